"""A folder that is not whole is refused with the file's name, and nothing is half-written."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

import resemb_gnn as rg


@pytest.fixture
def folder(trained: rg.TrainedModel, tmp_path: Path) -> Path:
    """A saved model whose files may be changed on purpose."""
    trained.save(tmp_path / "model")
    (tmp_path / "model" / "model.sha256").unlink()
    return tmp_path / "model"


FILES = (
    "settings.json", "weights.safetensors", "items.parquet", "categories.parquet", "graph.parquet",
    "histories.parquet",
)  # fmt: skip


def test_any_changed_bit_is_seen(trained: rg.TrainedModel, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    trained.save(folder)
    listed = dict(line.split("  ")[::-1] for line in (folder / "model.sha256").open())
    assert set(listed) == {f"{name}\n" for name in FILES}
    for name in FILES:
        content = (folder / name).read_bytes()
        assert listed[f"{name}\n"] == hashlib.sha256(content).hexdigest()
        changed = bytearray(content)
        changed[len(content) // 2] ^= 1
        (folder / name).write_bytes(changed)
        with pytest.raises(rg.InputError, match=f"{name} is damaged or not the one that was saved"):
            rg.load(folder)
        (folder / name).write_bytes(content)
    rg.load(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage"])
def test_missing_and_damaged_files(name: str, damage: str, folder: Path) -> None:
    path = folder / name
    contents = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(contents[: len(contents) // 2] if damage == "truncated" else b"\x80\x04N.")
    with pytest.raises(rg.InputError, match=name):
        rg.load(folder)


def edit_settings(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    contents = json.loads((folder / "settings.json").read_text())
    change(contents)
    (folder / "settings.json").write_text(json.dumps(contents))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema=2), r"settings\.json has schema 2; this version reads 1"),
        (lambda c: c.update(format="other"), r"does not belong to a resemb-gnn model"),
        (lambda c: c.pop("figures"), r"lacks 'figures'"),
        (lambda c: c["settings"].update(epochz=1), r"unknown setting 'epochz'"),
        (lambda c: c["settings"].update(heads="1"), r"heads must be a whole number, not '1'"),
        (lambda c: c["settings"].update(heads=True), r"heads must be a whole number, not True"),
        (lambda c: c["settings"].update(shrinkage=10**400), r"shrinkage must be at most 3.* 1000"),
        (lambda c: c["settings"].update(max_history=2**64), r"max_history must be at most"),
        (lambda c: c["settings"].update(residual_max_norm=1e308), r"residual_max_norm must be at "),
        (lambda c: c["settings"].update(lr=-1.0), r"lr must be above 0"),
        (lambda c: c["settings"].update(model="dim"), r"model='dim' is unknown"),
        (lambda c: c["settings"].update(model="pnn"), r"weights\.safetensors .* does not fit"),
        (lambda c: c["settings"].update(heads=3), r"model, heads=3 does not divide"),
        (lambda c: c["settings"].update(num_centers=10**9), r"asked for"),
        (lambda c: c["settings"].update(embedding_dim=2**62), r"asked for"),
        (lambda c: c["settings"].update(num_centers=4), r"weights\.safetensors .* does not fit"),
        (lambda c: c["settings"].update(embedding="gat"), r"weights\.safetensors .* does not fit"),
    ],
)
def test_settings_that_do_not_fit(
    change: Callable[[dict[str, object]], object], message: str, folder: Path
) -> None:
    edit_settings(folder, change)
    with pytest.raises(rg.InputError, match=message):
        rg.load(folder)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("items.parquet", lambda t: t.drop("features"), "no column 'features'"),
        ("items.parquet", lambda t: t.with_columns(category=pl.lit(99)), r"'category' must lie in"),
        ("items.parquet", lambda t: t.head(-1), r"parquet"),
        ("items.parquet", lambda t: t.with_columns(item_id=pl.lit("a")), "holds an id twice"),
        ("items.parquet", lambda t: t.with_columns(item_id=pl.struct("item_id")), "no log can use"),
        ("items.parquet", lambda t: t.with_columns(behaviors=-pl.col("behaviors")), "negative"),
        (
            "items.parquet",
            lambda t: t.with_columns(features=pl.col("features").arr.to_list()),
            "holds List",
        ),
        (
            "items.parquet",
            lambda t: t.with_columns(
                pl.lit([float("nan")] * 4, pl.Array(pl.Float32, 4)).alias("features")
            ),
            "not finite",
        ),
        ("histories.parquet", lambda t: pl.concat([t, t]), "holds an id twice"),
        ("graph.parquet", lambda t: t.with_columns(weight=-pl.col("weight")), "not be negative"),
        ("items.parquet", lambda t: t.with_columns(behaviors=pl.lit("a")), "holds String, not"),
        (
            "graph.parquet",
            lambda t: t.with_columns(target=pl.col("target") + 99),
            "'target' must lie in",
        ),
        ("graph.parquet", lambda t: t.head(-1), "belong to another graph"),
        ("graph.parquet", lambda t: t.with_columns(source="target"), "source must be less"),
        ("graph.parquet", lambda t: t.with_columns(weight=pl.lit(None)), "weight"),
        (
            "histories.parquet",
            lambda t: t.with_columns(items=pl.col("items").list.eval(pl.element() + 99)),
            "'items' must lie in",
        ),
    ],
)
def test_tables_that_do_not_fit(
    name: str, change: Callable[[pl.DataFrame], pl.DataFrame], message: str, folder: Path
) -> None:
    change(pl.read_parquet(folder / name)).write_parquet(folder / name)
    with pytest.raises(rg.InputError, match=message):
        rg.load(folder)


def test_weights_of_another_shape_or_name(folder: Path) -> None:
    path = folder / "weights.safetensors"
    weights = load_file(path)
    key = next(name for name in weights if name.endswith("centers"))
    save_file(weights | {key: weights[key][:, :2].copy()}, path)
    with pytest.raises(rg.InputError, match="size mismatch"):
        rg.load(folder)
    save_file(weights | {"more": np.zeros(2)}, path)
    with pytest.raises(rg.InputError, match="more"):
        rg.load(folder)
    del weights[key]
    save_file(weights, path)
    with pytest.raises(rg.InputError, match="centers"):
        rg.load(folder)


def test_weights_that_are_not_finite_or_no_hash(folder: Path) -> None:
    path = folder / "weights.safetensors"
    weights = load_file(path)
    key = next(name for name in weights if name.endswith("centers"))
    save_file(weights | {key: weights[key] * np.float32("nan")}, path)
    with pytest.raises(rg.InputError, match=r"weights\.safetensors: .*centers holds a value that"):
        rg.load(folder)
    key = next(name for name in weights if name.endswith("graph_hash"))
    save_file(weights | {key: np.arange(3)}, path)
    with pytest.raises(rg.InputError, match="belong to another graph"):
        rg.load(folder)


def test_only_a_model_is_replaced_and_only_when_asked(
    trained: rg.TrainedModel, folder: Path
) -> None:
    with pytest.raises(rg.InputError, match="holds a model: add --replace"):
        trained.save(folder)
    (folder / "README.md").write_text("old")
    trained.save(folder, replace=True)
    assert (folder / "README.md").read_text() != "old"
    other = folder.parent / "papers"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(rg.InputError, match="is no saved model"):
        trained.save(other, replace=True)
    assert (other / "thesis.txt").read_text() == "years of work"


def test_a_failure_leaves_the_old_model(
    trained: rg.TrainedModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: rg.TrainedModel) -> str:
        raise KeyboardInterrupt

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("resemb_gnn.saved.saving.model_card", fail)
    for place in (folder, folder.parent / "new"):
        with pytest.raises(KeyboardInterrupt):
            trained.save(place, replace=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_moved_folder_loads_without_the_data(trained: rg.TrainedModel, folder: Path) -> None:
    moved = folder.parent / "elsewhere"
    shutil.move(folder, moved)
    users, items = trained.histories.user_ids[:3], trained.item_ids[:3]
    assert rg.load(moved).predict(users, items).equals(trained.predict(users, items))


@pytest.mark.parametrize(
    ("users", "items", "message"),
    [
        (["u00", "nobody"], ["P-100", "P-100"], r"column 'user', row 1.*'nobody' is unknown"),
        (["u00"], ["P-7"], r"column 'item', row 0.*'P-7' is unknown to the model"),
        (["u00"], [None], r"column 'item', row 0.*missing"),
    ],
)
def test_unknown_ids(
    trained: rg.TrainedModel, users: list[str], items: list[str | None], message: str
) -> None:
    with pytest.raises(rg.InputError, match=message):
        trained.predict(users, items)


def test_unknown_ids_may_be_skipped(trained: rg.TrainedModel) -> None:
    score = trained.predict(["nobody", "u01", "u01"], ["P-100", "P-100", "x"], unknown="skip")
    assert score.is_null().to_list() == [True, False, True]
    assert score[1] == trained.predict(["u01"], ["P-100"])[0]
