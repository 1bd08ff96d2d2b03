"""A shop's three tables through every command, as a new user would type them."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import resemb_gnn as rg
from resemb_gnn import cli
from tests.shop import CONTEXT, shop_flags, shop_settings, write_shop

SMALL = ["--epochs", "1", "--folds", "2", "--embedding-dim", "4", "--quiet"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three tables, ``pairs.csv`` to be scored and the ``model``."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    pairs = pl.read_csv(folder / "log.csv").select("shopper", "article", *CONTEXT).head(40)
    pairs.write_csv(folder / "pairs.csv")
    assert cli.main(["fit", *shop_flags(folder), "--out", str(folder / "model"), *SMALL]) == 0
    return folder


def run(place: Path, command: str, *arguments: str) -> int:
    return cli.main([command, *arguments, "--model", str(place / "model"), "--quiet"])


def scores(place: Path, pairs: pl.DataFrame, name: str) -> pl.Series:
    pairs.write_csv(place / f"{name}.csv")
    asked, out = str(place / f"{name}.csv"), str(place / f"{name}-scores.csv")
    assert run(place, "predict", "--data", asked, "--out", out, "--replace") == 0
    return pl.read_csv(out)["score"]


def test_evaluate_gives_what_fit_measured(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "evaluate", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    saved = json.loads((place / "model" / "settings.json").read_text())["figures"]["test"]
    assert found["training_data"]
    assert found["test"] == saved
    # The log alone, without the tables of items and users: the model knows them.
    assert run(place, "evaluate", "--data", str(place / "log.csv"), "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["training_data"]
    assert again["test"] == saved


def test_evaluate_on_another_log_with_other_users(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures are those of predict, row by row, with features of the users that are given."""
    write_shop(tmp_path, seed=5)
    log = pl.read_csv(tmp_path / "log.csv")
    renamed = pl.col("shopper").str.replace("s4", "new4")
    log.with_columns(renamed).write_csv(tmp_path / "log.csv")
    users = pl.read_csv(tmp_path / "users.csv").with_columns(renamed)
    users.write_csv(tmp_path / "users.csv")
    data = ["--data", str(tmp_path / "log.csv"), "--json"]
    assert run(place, "evaluate", *data) == 0
    without = json.loads(capsys.readouterr().out)
    assert not without["training_data"]
    assert run(place, "evaluate", *data, "--users", str(tmp_path / "users.csv")) == 0
    given = json.loads(capsys.readouterr().out)
    assert given["test"]["logloss"] != without["test"]["logloss"]
    # Without a table, the model knows nothing of the new users and the old ones as they were.
    is_new = pl.col("shopper").str.starts_with("new")
    emptied = (pl.when(~is_new).then(name).alias(name) for name in ("country", "age"))
    users.with_columns(emptied).write_csv(tmp_path / "empty.csv")
    assert run(place, "evaluate", *data, "--users", str(tmp_path / "empty.csv")) == 0
    assert json.loads(capsys.readouterr().out)["test"] == without["test"]


def test_evaluate_needs_the_context(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pl.read_csv(place / "log.csv").drop("delay").write_csv(tmp_path / "log.csv")
    assert run(place, "evaluate", "--data", str(tmp_path / "log.csv")) == 2
    assert "'delay'" in capsys.readouterr().err
    (tmp_path / "lines.txt").write_text("s01 A-1 A-2 A-3 A-4\ns02 A-1 A-3 A-4 A-2\n")
    assert run(place, "evaluate", "--data", str(tmp_path / "lines.txt")) == 2
    assert "lines.txt lacks the context ['position', 'coupons', 'delay']" in capsys.readouterr().err


def test_predictions_follow_the_context(place: Path) -> None:
    pairs = pl.read_csv(place / "pairs.csv")
    before = scores(place, pairs, "asked")
    for name in CONTEXT:
        shuffled = pairs.with_columns(pl.col(name).shuffle(seed=1))
        assert not scores(place, shuffled, name).equals(before), name
    # Columns are found by name, whatever else is there and in whichever order.
    other = pairs.select(pl.lit(1).alias("more"), *reversed(pairs.columns))
    assert scores(place, other, "other").equals(before)


def test_unknown_and_missing_values_are_scored(place: Path) -> None:
    pairs = pl.read_csv(place / "pairs.csv")
    unknown = pairs.with_columns(
        position=pl.lit("side"), coupons=pl.lit("c9|c1"), delay=pl.lit(1e30)
    )
    missing = pairs.with_columns(pl.lit(None).alias(name) for name in CONTEXT)
    found = [scores(place, one, "odd") for one in (pairs, unknown, missing)]
    assert all(one.is_finite().all() for one in found)
    assert not found[1].equals(found[2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pairs: pairs.drop("position"), "'position'"),
        (lambda pairs: pairs.with_columns(delay=pl.lit("soon")), "'delay', line 2: 'soon' is no"),
    ],
)
def test_context_that_is_not_as_in_training(
    change: object, message: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(pl.read_csv(place / "pairs.csv")).write_csv(tmp_path / "asked.csv")
    asked, out = str(tmp_path / "asked.csv"), tmp_path / "scores.csv"
    assert run(place, "predict", "--data", asked, "--out", str(out)) == 2
    error = capsys.readouterr().err
    assert "asked.csv" in error
    assert pl.Series([error]).str.contains(message)[0], error
    assert not out.exists()


def test_similar(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "similar", "A-3", "--k", "4") == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_export_equals_predict(place: Path) -> None:
    """ONNX Runtime with the exported files alone, over unknown and missing values and an unknown
    user, against predict.
    """
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra serve")
    out = place / "served"
    assert run(place, "export", "--out", str(out), "--no-index") == 0
    card = json.loads((out / "scorer.json").read_text())
    pairs = pl.read_csv(place / "pairs.csv").with_columns(
        position=pl.when(pl.col("article") == "A-3").then(pl.lit("side")).otherwise("position")
    )
    expected = scores(place, pairs, "exported").to_numpy()
    words = pl.read_parquet(out / "vocabularies.parquet")
    code = {(feature, value): number for feature, value, number in words.iter_rows()}
    users = {one: n for n, one in enumerate(pl.read_parquet(out / "users.parquet")["user_id"])}
    items = {one: n for n, one in enumerate(pl.read_parquet(out / "items.parquet")["item_id"])}
    clicks = pl.read_csv(place / "log.csv").filter(pl.col("click") == 1).sort("ts")
    past = [
        [items[one] for one in clicks.filter(pl.col("shopper") == user)["article"]][-50:]
        for user in pairs["shopper"]
    ]
    coupons = [
        [code.get(("coupons", one), 1) for one in (text or "").split("|") if one]
        for text in pairs["coupons"]
    ]
    feed = {
        "history": np.concatenate(past).astype(np.int64),
        "ptr": np.cumsum([0, *map(len, past)]),
        "target": np.array([items[one] for one in pairs["article"]]),
        "user": np.array([users[one] for one in pairs["shopper"]]),
        "context.position": np.array(
            [0 if one is None else code.get(("position", one), 1) for one in pairs["position"]]
        ),
        "context.delay": pairs["delay"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
        "context.coupons": np.concatenate(coupons).astype(np.int64),
        "context.coupons.ptr": np.cumsum([0, *map(len, coupons)]),
    }
    assert feed.keys() == card["inputs"].keys()
    session = onnxruntime.InferenceSession(out / "scorer.onnx")
    (logit,) = session.run(None, feed)
    np.testing.assert_allclose(1 / (1 + np.exp(-logit)), expected, atol=1e-5)
    feed["user"][:] = card["num_users"]  # one of whom nothing is known
    (unknown,) = session.run(None, feed)
    assert np.isfinite(unknown).all()
    assert not np.array_equal(unknown, logit)


@pytest.mark.usefixtures("no_pictures")
def test_compare_reports_the_features(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = place / "compared"
    arguments = ["compare", *shop_flags(place), "--embeddings", "plain", "--seeds", "1", *SMALL]
    assert cli.main([*arguments, "--out", str(out)]) == 0
    data = json.loads((out / "results.json").read_text())["data"]
    found = {one["name"]: one for one in data["features"]}
    expected = {"of": "items", "name": "tags", "kind": "list", "num_values": 3}
    assert expected.items() <= found["tags"].items()
    assert found["tags"]["missing"] == pytest.approx(8 / 30)
    assert {one["of"] for one in found.values()} == {"items", "users", "context"}
    assert "| tags | items | list | 3 | 26.7% |" in (out / "results.md").read_text()
    assert "of items, list, 3 values, 26.7% missing" in (out / "report.html").read_text()
    # Other features are another comparison; so is one without them, or with other widths.
    capsys.readouterr()
    for more, message in (
        (["--no-use-features"], "use_features was True and is False"),
        (["--widths", "brand=3"], r"widths was None and is ['brand=3']"),
        (["--kinds", "age=numeric"], "fingerprint of the features of users was"),
    ):
        assert cli.main([*arguments, "--out", str(out), "--resume", *more]) == 2
        assert message in capsys.readouterr().err


def test_features_bring_what_position_and_brand_decide(place: Path) -> None:
    options = {"epochs": 3, "folds": 2, "embedding_dim": 4, "batch_size": 64, "quiet": True}
    options |= {"embedding": "plain"} | shop_settings(place)
    with_features = rg.train(**options).facts["figures"]["test"]["auc"]
    without = rg.train(**options, use_features=False).facts["figures"]["test"]["auc"]
    assert with_features > without + 0.05


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--data", "complete-journey"], "--items, --users, --context, --list-separator"),
        (["--model", "pnn", "--widths", "brand=2"], "pnn has features as wide as the items"),
        (["--widths", "brnd=2"], "there is no feature 'brnd'; did you mean brand?"),
        (["--context", "posittion"], "'posittion'"),
        (["--item-features", "brnd"], "'brnd'"),
        (["--out", "items.csv"], "items.csv"),
    ],
)
def test_bad_flags(
    flags: list[str], message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [str(place / one) if one == "items.csv" else one for one in flags]
    arguments = ["fit", *shop_flags(place), "--out", str(place / "bad"), *SMALL, *flags]
    try:
        code = cli.main(arguments)
    except SystemExit as end:  # of argparse
        code = int(end.code or 0)
    assert code == 2
    assert message in capsys.readouterr().err
    assert not (place / "bad").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--kinds", "brand=text"],
            "kinds='brand=text': the kind 'text' is unknown; choose from category, numeric",
        ),
        (["--kinds", "brand"], "kinds='brand' is not of the form NAME=KIND"),
        (["--widths", "brand=0"], "widths='brand=0' is not of the form NAME=WIDTH"),
    ],
)
def test_pairs_of_another_form(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["fit", *flags])
    assert message in capsys.readouterr().err


def test_features_of_a_table_that_is_not_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = shop_flags(place)
    at = flags.index("--items")
    del flags[at : at + 2]
    more = ["--item-features", "brand", "--out", str(place / "bad")]
    assert cli.main(["fit", *flags, *SMALL, *more]) == 2
    assert "--item-features names columns of --items" in capsys.readouterr().err


def test_chosen_features_and_kinds(place: Path, tmp_path: Path) -> None:
    more = ["--item-features", "brand", "--kinds", "age=numeric", "--widths", "brand=3"]
    out = str(tmp_path / "model")
    assert cli.main(["fit", *shop_flags(place), *SMALL, *more, "--out", out]) == 0
    features = rg.load(out).features
    assert list(features.items.features) == ["brand"]
    assert features.users.features["age"].kind == "numeric"
    assert rg.load(out).model.known_items.dim == 3
