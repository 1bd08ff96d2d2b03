"""Cases for tests/tools/fuzz.py: folders of saved models, item vectors and co-visit graphs."""

import copy
import functools
import io
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors.numpy import load as load_weights
from safetensors.numpy import save as save_weights

import resemb_gnn as rg
from resemb_gnn.io.digests import tensor_digest
from resemb_gnn.saved.layout import DIGESTS, READ
from resemb_gnn.serving import ItemIndex, export_embeddings
from resemb_gnn.serving.item_index import DIGESTS as INDEX_DIGESTS
from tests.tools.fuzz_cases.cases import Case, Expected, Refused, damage

KINDS = (
    {"embedding": "gcn", "num_centers": 3, "category": "kind"},
    {"embedding": "kmeans", "num_centers": 3, "model": "pnn"},
    {"embedding": "plain", "model": "wide-deep", "category": "kind"},
    {"embedding": "plain", "num_centers": 3, "embed": ["maker=kmeans", "brand=gcn"]},
)
COLUMNS: tuple[tuple[list[Any], Any], ...] = (
    ([None], pl.Int64),
    ([-1], pl.Int64),
    ([0], pl.Int64),
    ([2**62], pl.Int64),
    ([2**64 - 1], pl.UInt64),
    ([1.5], pl.Float64),
    ([float("nan")], pl.Float32),
    ([-2.0], pl.Float32),
    (["x"], pl.String),
    ([[0]], pl.List(pl.Int64)),
    ([[99]], pl.List(pl.Int64)),
    ([[None]], pl.List(pl.Int64)),
    ([["x"]], pl.List(pl.String)),
    ([[0.0] * 4], pl.Array(pl.Float32, 4)),
    ([[float("inf")] * 4], pl.Array(pl.Float32, 4)),
    ([[1] * 4], pl.Array(pl.Int64, 4)),
    ([{"a": 1}], pl.Struct({"a": pl.Int64})),
    ([b"\xff"], pl.Binary),
    ([True], pl.Boolean),
)


_GRAPH = ("x", "edge_index", "edge_weight", "count")


@functools.cache
def models() -> list[tuple[dict[str, bytes], Any]]:
    """The files of a few saved models, and what each must give when it is loaded."""
    rng = np.random.default_rng(0)
    rows = {"user": rng.integers(9, size=80), "item": rng.integers(12, size=80)}
    table = pl.DataFrame(rows | {"time": np.arange(80)})
    table = table.with_columns(kind="c" + (pl.col("item") % 3).cast(pl.String))
    found = []
    with tempfile.TemporaryDirectory() as place:
        path, folder = Path(place) / "log.csv", Path(place) / "model"
        table.write_csv(path)
        items = pl.DataFrame({"item": range(12), "brand": ["x", None, "y"] * 4})
        items.with_columns(maker=pl.col("item") // 2).write_csv(Path(place) / "items.csv")
        columns = {"data": str(path), "user": "user", "item": "item", "time": "time"}
        small = {"epochs": 1, "quiet": True, "folds": 1, "embedding_dim": 4}
        for kind in KINDS:
            more = {"items": str(Path(place) / "items.csv")} if "embed" in kind else {}
            trained = rg.train(**(columns | small | kind | more))
            trained.save(folder, replace=True)
            files = {one.name: one.read_bytes() for one in sorted(folder.iterdir())}
            found.append((files, form_of_model(trained)))
    return found


def form_of_model(trained: rg.TrainedModel) -> Any:
    """What a saved model holds, and what it says of an item and a user."""
    item, users = trained.item_ids[0], trained.histories.user_ids[:1]
    graphs, histories = [trained.graph, *trained.feature_graphs.values()], trained.histories
    return (
        {name: tensor_digest(part) for name, part in trained.model.state_dict().items()},
        trained.settings.identity(),
        trained.item_ids.to_list(),
        None if trained.item_category is None else trained.item_category.tolist(),
        None if trained.category_ids is None else trained.category_ids.to_list(),
        [graph[name].tolist() for graph in graphs for name in _GRAPH],
        [histories.user_ids.to_list(), histories.items.tolist(), histories.ptr.tolist()],
        json.dumps(trained.facts, sort_keys=True),
        trained.predict(users, [item]).to_list() if len(users) else [],
        trained.similar(item, 3).rows(),
    )


def model_folder(rng: random.Random, folder: Path) -> Case:
    """A saved model: sound, with a damaged file, or with one of other contents."""
    sound, form = rng.choice(models())
    files = sound
    kind = rng.randrange(4)
    name = rng.choice([one for one in files if one in READ])
    if kind == 1:
        files = files | {name: damage(files[name], rng)}
    elif kind > 1:
        files = files | {name: _other(rng, name, files[name])}
    expected: Expected | Refused | None = Expected(form, valid=True)
    if files[name] != sound[name]:
        expected = Refused(f"{name} is not what was saved")
        if rng.random() < 0.5 or kind > 1:  # somebody who changes it on purpose
            files, expected = {key: files[key] for key in files if key != DIGESTS}, None
    place = folder / "model"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name, data in files.items():
        (place / name).write_bytes(data)
    return Case(lambda: form_of_model(rg.load(place)), lambda: expected, str(place))


def _other(rng: random.Random, name: str, data: bytes) -> bytes:
    if name.endswith(".json"):
        return _other_json(rng, data)
    if name.endswith(".safetensors"):
        return _other_weights(rng, data)
    return _other_table(rng, data)


def _other_json(rng: random.Random, data: bytes) -> bytes:
    contents = part = json.loads(data)
    while True:
        key = rng.choice(list(part))
        if not isinstance(part[key], dict) or not part[key] or rng.random() < 0.1:
            break
        part = part[key]
    odd: tuple[Any, ...] = (None, "x", "", -1, 0, 3, 5, 1e308, 10**9, 2**62, 10**400, True)
    odd += ([], {}, [1], "plain")
    part[key] = rng.choice(odd)
    if rng.random() < 0.1:
        del part[key]
    return json.dumps(contents).encode()


def _other_weights(rng: random.Random, data: bytes) -> bytes:
    weights = load_weights(data)
    name = rng.choice(list(weights))
    value = weights[name]
    odd: tuple[Any, ...] = (value[:1] if value.ndim else value, np.zeros(0))
    odd += (value.astype(np.float64), value.astype(np.int8))
    odd += (np.full_like(value, np.nan if value.dtype.kind == "f" else 7), value[None], value * 0)
    weights[name] = np.ascontiguousarray(rng.choice(odd))
    kind = rng.randrange(4)
    if kind == 0:
        del weights[name]
    elif kind == 1:
        weights[rng.choice(("more", "embedding.centers", ""))] = np.zeros(2, np.float32)
    return save_weights(weights)


def _other_table(rng: random.Random, data: bytes) -> bytes:
    table = pl.read_parquet(io.BytesIO(data))
    kind = rng.randrange(6)
    column = rng.choice(table.columns)
    if kind < 3:
        values, dtype = rng.choice(COLUMNS)
        odd = pl.Series(column, values * len(table), dtype=dtype)
        row = pl.Series(range(len(table))) == rng.randrange(len(table))
        if odd.dtype == table[column].dtype and rng.random() < 0.5:  # one value alone
            odd = table[column].zip_with(~row, odd)
        table = table.with_columns(odd.alias(column))
    elif kind == 3:
        table = table.drop(column)
    elif kind == 4:
        table = table.head(rng.choice((0, 1, -1)))
    else:
        table = pl.concat([table, table.tail(1)]) if rng.random() < 0.5 else table.reverse()
    return _parquet(table)


def _parquet(table: pl.DataFrame) -> bytes:
    target = io.BytesIO()
    table.write_parquet(target)
    return target.getvalue()


def covisit_folder(rng: random.Random, folder: Path) -> Case:
    """A co-visit graph on disk: sound, damaged, or with edges that no such graph has."""
    size = rng.randint(1, 6)
    every = [(low, high) for low in range(size) for high in range(low + 1, size)]
    pairs = sorted(rng.sample(every, rng.randint(0, len(every))))
    edges = [(low, high, float(rng.randint(1, 9))) for low, high in pairs]
    counts = [rng.randint(0, 9) for _ in range(size)]
    both = sorted([*edges, *((high, low, weight) for low, high, weight in edges)])
    expected: Expected | Refused | None = Expected((both, counts), valid=True)
    kind = rng.randrange(4)
    if kind == 0 and edges:
        at = rng.randrange(len(edges))
        low, high, _ = edges[at]
        odd = [(low, size, 1.0), (-1, high, 1.0), (low, low, 1.0), (high, low, 1.0)]
        odd += [(low, high, wrong) for wrong in (-1.0, float("nan"), float("inf"), 0.0)]
        edges[at] = rng.choice(odd)
        expected = Refused(f"the edge {edges[at]}")
    elif kind == 0:
        counts[rng.randrange(size)] = -1
        expected = Refused("a negative count")
    cut = rng.randint(0, len(edges))
    schema = {"item": pl.Int64, "neighbor": pl.Int64, "weight": rng.choice((pl.Int64, pl.Float32))}
    if any(weight % 1 != 0 for _, _, weight in edges):
        schema["weight"] = pl.Float32
    files = {
        f"edges/part-{number}.parquet": _parquet(
            pl.DataFrame(part, schema=schema, orient="row", strict=False)
        )
        for number, part in enumerate((edges[:cut], edges[cut:]))
    }
    items = pl.DataFrame({"item": [f"i{number}" for number in range(size)], "count": counts})
    files["items.parquet"] = _parquet(items)
    if kind in (1, 2):
        name = rng.choice([name for name in files if name != "edges/part-1.parquet"])
        data = files[name]
        changed = damage(data, rng) if kind == 1 or name[0] == "e" else _other_table(rng, data)
        files, expected = copy.copy(files) | {name: changed}, None
    place = folder / "graph"
    shutil.rmtree(place, ignore_errors=True)
    (place / "edges").mkdir(parents=True)
    for name, data in files.items():
        (place / name).write_bytes(data)

    def read() -> Any:
        graph = rg.read_covisit_graph(place)
        rows = zip(*graph.edge_index.tolist(), graph.edge_weight.tolist(), strict=True)
        assert graph.num_nodes == graph.count.numel()
        return sorted(rows), graph.count.tolist()

    return Case(read, lambda: expected, str(place))


@functools.cache
def exported() -> tuple[dict[str, bytes], Any]:
    """The files of exported item vectors with an index, and what they say of an item."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        table = torch.nn.Embedding.from_pretrained(torch.randn(20, 4, generator=torch.Generator()))
        index = export_embeddings(table, pl.Series(range(20)), folder)
        files = {one.name: one.read_bytes() for one in sorted(folder.iterdir())}
        return files, nearest(index)


def nearest(index: ItemIndex) -> Any:
    """The items near the first, if there is one."""
    return index.similar(index.item_ids[0], 5).rows() if len(index.item_ids) else []


def item_index(rng: random.Random, folder: Path) -> Case:
    """Exported item vectors with their index: sound, or with a changed file."""
    files, found = exported()
    name, kind = rng.choice(list(files)), rng.randrange(3)
    exact = rng.random() < 0.5
    data = damage(files[name], rng) if kind == 1 else files[name]
    if kind == 2:
        name = "items.parquet"
        data = _other_table(rng, files[name])
    expected: Expected | Refused | None = Expected(found, valid=True)
    if data != files[name]:
        expected = None if exact else Refused(f"{name} is not what was exported")
        if name == INDEX_DIGESTS:  # which may still list what is there
            expected = Expected(found)
    place = folder / "index"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for each, content in (files | {name: data}).items():
        (place / each).write_bytes(content)
    if kind == 2 and not exact:  # another table with a digest of its own
        (place / "items.usearch").unlink()
        expected = None
    return Case(lambda: nearest(ItemIndex.load(place, exact)), lambda: expected, str(place))
