"""Data sets by name and path."""

from pathlib import Path

import polars as pl
import pytest
import torch

from resemb_gnn import BehaviorLog, InputError
from resemb_gnn.datasets import PLACED, DataSource, load_source, read_complete_journey
from resemb_gnn.io.tables import write_table
from resemb_gnn.training.metrics import auc


def test_table(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("u,i,t,k\nb,2,2024-01-02,x\na,1,2024-01-01,y\nb,1,2024-01-01,y\n")
    source = load_source(str(path), user="u", item="i", time="t", category="k")
    assert source.name == "log.csv"
    assert source.split == {"by": "last"}
    assert source.log.items.tolist() == [0, 0, 1]
    assert source.log.num_categories == 2


ROWS = pl.DataFrame(
    {"u": ["b", "a", "b"], "i": [2, 1, 1], "t": ["2024-01-02", "2024-01-01", "2024-01-01"]}
)
FORMS = ("log.csv", "LOG.CSV", "log.csv.gz", "log.tsv", "log.TSV.gz", "log.txt", "log.parquet")
FORMS += ("log.PQ", "log.parquet/", "folder")


@pytest.mark.parametrize("form", FORMS)
def test_table_in_any_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / form
    if form in ("log.parquet/", "folder"):
        path.mkdir()
        (path / "_SUCCESS").touch()
        ROWS[:2].write_parquet(path / "part-0.parquet")
        ROWS[2:].write_parquet(path / "part-1.parquet")
    else:
        write_table(ROWS, path)
    for data in (path, f"{tmp_path}/{form}"):
        log = load_source(data, user="u", item="i", time="t").log
        assert log.item_ids.gather(log.items.numpy()).to_list() == [1, 1, 2]
        assert log.user_ids.to_list() == ["a", "b"]
    if form != "log.txt":
        with pytest.raises(InputError, match="is a table: name its columns by --user, --item, --t"):
            load_source(path)


def test_text_is_a_table_where_columns_are_named_and_sequences_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("7 3 1 3\n9 1\n")
    assert load_source(path).log.num_behaviors == 4
    with pytest.raises(InputError, match=r"log\.txt \(tabs\) has no column 'u'; its columns are"):
        load_source(path, user="u", item="i", time="t")
    with pytest.raises(
        InputError,
        match="is a table since columns are named, else a sequence file: name its columns by --it",
    ):
        load_source(path, user="u")


def test_columns_of_what_has_none_are_refused(tmp_path: Path) -> None:
    for data in ("complete-journey", f"kuairand:{tmp_path}/log.csv", str(tmp_path / "log.seq")):
        with pytest.raises(InputError, match="--user name columns of a table, but --data is"):
            load_source(data, user="u")


def test_sequence_file(tmp_path: Path) -> None:
    path = tmp_path / "seq.txt"
    path.write_text("7 3 1 3\n9 1\n")
    log = load_source(str(path)).log
    assert log.items.tolist() == [1, 0, 1, 0]
    assert log.ptr.tolist() == [0, 3, 4]


def test_complete_journey_holds_first_purchases() -> None:
    source = load_source("complete-journey")
    log = source.log
    assert (log.num_users, log.num_items, log.num_behaviors) == (2461, 17148, 740763)
    pairs = log.users * log.num_items + log.items
    assert pairs.unique().numel() == pairs.numel()  # a household buys a product first once
    assert int(log.item_counts().min()) >= 10
    assert bool((log.times.diff() >= 0)[log.users.diff() == 0].all())
    products, households = log.features.items, log.features.users
    assert list(products.features) == [
        "manufacturer_id", "department", "brand", "product_type", "package_size",
    ]  # fmt: skip
    assert set(products.features["brand"].vocabulary) == {"National", "Private"}
    assert int((~households.features["income"].missing()).sum()) == 801
    split = log.split(**source.split)
    per_household = torch.bincount(split.train.user[split.train.label > 0])
    assert int(per_household.max()) == 20
    assert int(split.history.times.max()) < split.settings["valid_from"]
    # The package lists a basket by product id. When a history held what stood before in the same
    # basket, the nearest higher id than the last one's scored an AUC of .78.
    for part in (split.train, split.test):
        above = part.target - part.items[part.end - 1]
        score = torch.where(above > 0, -above, -log.num_items)
        assert abs(auc(score, part.label) - 0.5) < 0.02


def test_complete_journey_below_a_folder_whose_name_fits_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the package is installed below one: a name is no pattern."""
    for name, product in (("run1", "other"), ("run[1]", "own")):
        folder = tmp_path / name / "data"
        folder.mkdir(parents=True)
        bought = {"household_id": ["1"], "product_id": [product]}
        with (folder / "transactions.parquet").open("wb") as file:
            pl.DataFrame({**bought, "transaction_timestamp": [1]}).write_parquet(file)
        with (folder / "products.parquet").open("wb") as file:
            pl.DataFrame({"product_id": [product], "product_category": ["c"]}).write_parquet(file)
        with (folder / "demographics.parquet").open("wb") as file:
            pl.DataFrame({"household_id": ["1"], "age": ["35-44"]}).write_parquet(file)
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path / "run[1]")
    assert read_complete_journey(min_buyers=1).item_ids.to_list() == ["own"]


@pytest.mark.parametrize("data", ["complete-journy", "nowhere.parquet"])
def test_unknown_data_names_the_choices(data: str) -> None:
    with pytest.raises(InputError, match="complete-journey"):
        load_source(data, **({"user": "u"} if data.endswith("parquet") else {}))


@pytest.mark.parametrize("name", PLACED)
def test_data_set_needs_its_place(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"--data {name}: needs a folder or file"):
        load_source(f"{name}:")
    with pytest.raises(InputError, match=f"'{name}' is neither a known data set .* with :FOLDER"):
        load_source(name)
    with pytest.raises(InputError, match="--user name columns of a table"):
        load_source(f"{name}:{tmp_path}", user="u")


def test_file_with_a_colon_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "taobao:log"
    path.write_text("7 3 1 3\n9 1\n")
    assert load_source(str(path)).log.num_behaviors == 4


def test_split_of_a_source(log: BehaviorLog) -> None:
    options = {"by": "time", "valid_from": 1050, "test_from": 1080}
    source = DataSource("mine", "", log, options)
    assert source.make_split().settings["valid_from"] == 1050
    assert source.make_split("time", "popularity").settings["negatives"] == "popularity"
    assert source.make_split("last").settings["by"] == "last"
    published = DataSource("mine", "", log, published=log.split(seed=7))
    assert published.make_split() is published.published
    with pytest.raises(InputError, match="mine comes with its own examples: leave out"):
        published.make_split("last")
    with pytest.raises(InputError, match="leave out --split-seed 7"):
        published.make_split(seed=7)


def test_the_seed_of_a_split_draws_other_negatives_of_the_same_rows(log: BehaviorLog) -> None:
    zero, same, other = (DataSource("mine", "", log).make_split(seed=seed) for seed in (0, 0, 3))
    assert torch.equal(zero.test.target, same.test.target)
    clicks = zero.test.label > 0
    assert torch.equal(zero.test.target[clicks], other.test.target[clicks])
    assert not torch.equal(zero.test.target[~clicks], other.test.target[~clicks])
    assert other.settings["seed"] == 3
