"""Logs out of PyG's own data sets of users and items."""

from pathlib import Path

import polars as pl
import torch
from torch_geometric.data import HeteroData
from torch_geometric.datasets import MovieLens1M, MovieLens100K, Taobao

from resemb_gnn.data import BehaviorLog
from resemb_gnn.datasets.attributes import main_attribute
from resemb_gnn.datasets.data_source import DataSource
from resemb_gnn.datasets.raw_table import known_rows
from resemb_gnn.errors import InputError, unknown_choice
from resemb_gnn.io.files import read_lines
from resemb_gnn.io.frame import naming
from resemb_gnn.io.paths import expanded
from resemb_gnn.io.times import parse_epoch

_MOVIELENS = {"100k": MovieLens100K, "1m": MovieLens1M}
# Where a user's line has what: file, what stands between its fields, places of the fields.
_USERS = {
    "100k": ("u.user", "|", {"age": 1, "gender": 2, "occupation": 3}),
    "1m": ("users.dat", "::", {"gender": 1, "age": 2, "occupation": 3}),
}
BEHAVIORS = {"view": 0, "cart": 1, "buy": 2, "favourite": 3}  # PyG's numbers


def read_movielens(
    root: str | Path, version: str = "1m", positive_rating: float | None = 4
) -> BehaviorLog:
    """Ratings of MovieLens (Harper and Konstan, TiiS 2015), through PyG's ``MovieLens1M`` or
    ``MovieLens100K``.

    A behaviour is a rating at its time, UTC, in microseconds; its label is whether it is at least
    ``positive_rating``, as in DIN's experiments. Ids are PyG's node numbers, the category is the
    film's main genre: of its genres that fewer than half of the films have, the most frequent.
    Features are a film's ``genres``, by PyG's numbers, and a user's ``gender``, ``age`` (1m: the
    lowest of its group) and ``occupation``. Of 100k PyG keeps times for the 80,000 ratings of
    ``u1.base`` only; the others are left out.

    Args:
        root: PyG's ``root``; it downloads to ``root/raw`` what is not there.
        version: ``"1m"`` or ``"100k"``.
        positive_rating: lowest rating of label 1; ``None`` for a log without labels, where
            every rating is a behaviour.

    Raises:
        InputError: if the version is unknown, or PyG cannot download or read the files.
    """
    if version not in _MOVIELENS:
        raise unknown_choice(f"version={version!r}", version, _MOVIELENS)
    root = expanded(root)
    data = _load(_MOVIELENS[version], root)
    relation = data["user", "rates", "movie"]
    user, item = relation.edge_index.numpy()
    table = pl.DataFrame({"user": user, "item": item, "time": relation.time.numpy()})
    film, genre = data["movie"].x.nonzero().T.numpy()
    pairs = pl.DataFrame({"item": film, "attribute": genre})
    category = main_attribute(pairs, num_items=int(data["movie"].num_nodes or 0))
    table = table.with_columns(
        _times(table, root),
        label=pl.Series(relation.rating.numpy()) >= (positive_rating or 0),
    ).join(category, on="item", how="left", maintain_order="left")
    genres = pairs.group_by("item", maintain_order=True).agg(genres="attribute")
    users = _read_users(version, root)
    if len(users) != data["user"].num_nodes:
        raise InputError(f"{root / 'raw'} has {len(users)} users, but PyG read another number")
    return BehaviorLog.from_frame(
        table,
        "user",
        "item",
        "time",
        category="category",
        label=None if positive_rating is None else "label",
        items=known_rows(table["item"], genres),
        users=users,
        kinds={"age": "numeric"},
    )


def _read_users(version: str, root: Path) -> pl.DataFrame:
    """Age, gender and occupation of the users, whom PyG numbers in the order of their file."""
    name, separator, places = _USERS[version]
    path = root / "raw" / name
    fields = [(number, line.split(separator)) for number, line in read_lines(path) if line.strip()]
    for number, parts in fields:
        if len(parts) != 5:
            raise InputError(f"{path}, line {number}: {len(parts)} fields, not 5")
    columns = {name: [parts[place] for _, parts in fields] for name, place in places.items()}
    return pl.DataFrame(columns).select(pl.int_range(pl.len()).alias("user"), pl.all())


def read_taobao(root: str | Path, behaviors: tuple[str, ...] = ("view",)) -> BehaviorLog:
    """User behaviours of Taobao (Zhu et al., KDD 2018), through PyG's ``Taobao``.

    Times are UTC, in microseconds. Ids are PyG's node numbers, the category is the item's own (of
    several, the first that PyG lists).

    Args:
        root: PyG's ``root``; it downloads to ``root/raw`` what is not there.
        behaviors: which kinds are behaviours: ``"view"``, ``"cart"``, ``"buy"``, ``"favourite"``.

    Raises:
        InputError: if a kind is unknown, there is none, or PyG cannot download or read the files.
    """
    for name in behaviors:
        if name not in BEHAVIORS:
            raise unknown_choice(f"behaviour {name!r}", name, BEHAVIORS)
    root = expanded(root)
    data = _load(Taobao, root)
    relation = data["user", "item"]
    wanted = torch.tensor([BEHAVIORS[name] for name in behaviors])
    kept = torch.isin(relation.behavior, wanted)
    user, item = relation.edge_index[:, kept].numpy()
    times = relation.time[kept].numpy()
    table = pl.DataFrame({"user": user, "item": item, "time": times})
    owned, number = data["item", "category"].edge_index.numpy()
    category = pl.DataFrame({"item": owned, "category": number}).unique(
        "item", keep="first", maintain_order=True
    )
    table = table.with_columns(_times(table, root)).join(
        category, on="item", how="left", maintain_order="left"
    )
    return BehaviorLog.from_frame(table, "user", "item", "time", category="category")


def _load(dataset: type, root: Path) -> HeteroData:
    try:
        return dataset(str(root))[0]
    except (OSError, ValueError, KeyError, TypeError) as error:  # pandas' and urllib's among them
        raise InputError(
            f"PyG's {dataset.__name__} cannot read {root / 'raw'}: {error!r}"
        ) from error


def _times(table: pl.DataFrame, root: Path) -> pl.Series:
    with naming(str(root / "raw")):
        return parse_epoch(table["time"], "s")


def movielens_100k(folder: Path) -> DataSource:
    """MovieLens-100k as commands read it."""
    return _movielens(folder, "100k")


def movielens_1m(folder: Path) -> DataSource:
    """MovieLens-1M as commands read it."""
    return _movielens(folder, "1m")


def _movielens(folder: Path, version: str) -> DataSource:
    return DataSource(
        f"movielens-{version}",
        "Films rated by users; ratings of 4 and 5 are positive.",
        read_movielens(folder, version),
    )


def taobao(folder: Path) -> DataSource:
    """Taobao as commands read it."""
    description = "Items viewed by users of Taobao, 25 November to 3 December 2017."
    return DataSource("taobao", description, read_taobao(folder))
