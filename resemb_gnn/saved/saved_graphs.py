"""The co-visit graphs of a saved model, of its items and of features' values, read."""

from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import coalesce

from resemb_gnn.data import Features
from resemb_gnn.errors import InputError
from resemb_gnn.graph.adjacency import check_graph
from resemb_gnn.io.frame import naming
from resemb_gnn.io.saved_table import float_vectors, read_saved, whole_numbers
from resemb_gnn.models.known_features import check_embed
from resemb_gnn.saved.layout import GRAPH, ITEMS, SETTINGS, VALUE_GRAPHS, VALUES, VOCABULARIES
from resemb_gnn.settings import FitSettings

_EDGES: dict[str, Any] = {"source": pl.Int64, "target": pl.Int64, "weight": pl.Float32}


def read_graph(folder: Path, items: pl.DataFrame) -> Data:
    """The graph of the items, whose table is given."""
    path = folder / GRAPH
    return _graph(folder / ITEMS, items, path, read_typed(path, **_EDGES))


def read_values(
    folder: Path, settings: FitSettings, features: Features | None
) -> dict[str, pl.DataFrame]:
    """What ``values.parquet`` says of the values of each feature with an embedding of its own.

    Raises:
        InputError: if the file is missing or damaged, or does not fit the settings or the features.
    """
    if not settings.embedded:
        return {}
    path = folder / VALUES
    with naming(str(folder / SETTINGS)):
        check_embed(features or Features(), settings.embedded)
    assert features is not None
    assert features.items is not None
    table = read_typed(path, feature=pl.String, behaviors=pl.Int64, features=None)
    found = {name: table.filter(feature=name) for name in settings.embedded}
    for name, own in found.items():
        vocabulary = features.items.features[name].vocabulary
        assert vocabulary is not None
        if len(own) != len(vocabulary):
            raise InputError(
                f"{path} has {len(own)} values of {name!r}, but {folder / VOCABULARIES}"
                f" {len(vocabulary)}"
            )
    return found


def read_feature_graphs(folder: Path, values: dict[str, pl.DataFrame]) -> dict[str, Data]:
    """The graph of the values of each of these features.

    Raises:
        InputError: if a file is missing or damaged, or they do not fit each other.
    """
    if not values:
        return {}
    path = folder / VALUE_GRAPHS
    table = read_typed(path, feature=pl.String, **_EDGES)
    return {
        name: _graph(folder / VALUES, own, path, table.filter(feature=name))
        for name, own in values.items()
    }


def _graph(nodes_path: Path, nodes: pl.DataFrame, path: Path, table: pl.DataFrame) -> Data:
    source, target = (numbers(path, table[name], len(nodes)) for name in ("source", "target"))
    weight = table["weight"].to_torch()
    if not bool((source < target).all()):
        raise InputError(f"{path}: source must be less than target")
    edge_index, edge_weight = coalesce(
        torch.stack([torch.cat([source, target]), torch.cat([target, source])]),
        torch.cat([weight, weight]),
        len(nodes),
    )
    graph = Data(
        x=torch.from_numpy(float_vectors(nodes_path, nodes["features"]).copy()),
        edge_index=edge_index,
        edge_weight=edge_weight,
        count=nodes["behaviors"].to_torch(),
        num_nodes=len(nodes),
    )
    with naming(f"{path}, {nodes_path.name}"):
        check_graph(graph)
    return graph


def numbers(path: Path, column: pl.Series, size: int) -> Tensor:
    """A column of whole numbers in ``0..size - 1`` of the file."""
    with naming(str(path)):
        return whole_numbers(column, size)


def read_typed(path: Path, **columns: Any) -> pl.DataFrame:
    """A Parquet file with these columns, of these types (and no null) if they are not ``None``."""
    table = read_saved(path, *columns)
    for name, dtype in columns.items():
        found = table[name].dtype
        if dtype is not None and found != dtype:
            raise InputError(f"{path}: column {name!r} holds {found}, not {dtype}")
        if dtype is not None and table[name].null_count():
            raise InputError(f"{path}: column {name!r} has missing values")
    return table
