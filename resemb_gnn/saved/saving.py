"""A trained model written as a folder."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn.data import Features
from resemb_gnn.data.saved_features import feature_columns, vocabulary_table
from resemb_gnn.errors import InputError
from resemb_gnn.graph import edge_list
from resemb_gnn.io.atomic import whole_folder
from resemb_gnn.io.digests import write_digests
from resemb_gnn.io.json_text import map_numbers
from resemb_gnn.io.lists import to_lists
from resemb_gnn.io.saved_table import write_saved
from resemb_gnn.nn import ResEmbedding, as_item_embedding
from resemb_gnn.saved.card import model_card
from resemb_gnn.saved.layout import (
    CARD,
    CATEGORIES,
    CENTERS,
    CONTENT,
    CONTEXT,
    DIGESTS,
    FORMAT,
    GRAPH,
    HISTORIES,
    ITEMS,
    READ,
    SCHEMA,
    SETTINGS,
    VALUE_GRAPHS,
    VALUES,
    VOCABULARIES,
    WEIGHTS,
    model_place,
)

if TYPE_CHECKING:
    from resemb_gnn.saved.trained_model import TrainedModel

MOST_CENTERS = 16  # centre weights of an item that are listed
_PART = 2**24  # numbers at a time


def save(trained: "TrainedModel", folder: str | Path, *, replace: bool = False) -> None:
    """Writes a trained model as a folder, whole or not at all.

    - ``weights.safetensors``: parameters and buffers by name
    - ``settings.json``: schema, settings, data, figures and package versions
    - ``items.parquet``: a row an item, in the order of their numbers: ``item_id``, ``behaviors``
      (in training), ``category`` (a number), ``center`` (if each item belongs to one known
      beforehand), ``features`` (of the node)
    - ``categories.parquet``: ``category_id`` in the order of the numbers, if there are categories
    - ``centers.parquet``: centre weights, for reading: ``item_id``, ``center``, ``weight``; the 16
      largest of an item, zeros left out (a Res-embedding alone)
    - ``graph.parquet``: ``source`` < ``target`` (item numbers), ``weight`` (co-visits)
    - ``histories.parquet``: ``user_id`` and ``items``, the latest behaviours as item numbers
    - ``README.md``: the model card
    - ``model.sha256``: SHA-256 of the files that are read again, for ``sha256sum --check``

    What a model knows of items and users stands in ``items.parquet`` and ``histories.parquet``, a
    column ``feature:NAME`` each: codes, lists of codes, numbers (NaN where missing) or vectors. Two
    further files hold the rest: ``context.parquet`` such columns of the context, without rows, and
    ``vocabularies.parquet`` one row of lists, the values of each feature: code 2 stands for the
    first of them, 1 for an unknown value and 0 for a missing one. If features have embeddings of
    their own, ``values.parquet`` has what ``items.parquet`` says of items, of the values of each
    ``feature``, feature by feature in the order of the vocabularies, and ``value_graphs.parquet``
    their co-visits. Where the graph's node features
    hold features of items (``graph_features``), these stand in ``items.parquet`` as well, and
    ``content.safetensors`` has the means, scales and values by which new items' are encoded.

    Args:
        trained: the model.
        folder: where to.
        replace: replace a saved model that stands there.

    Raises:
        InputError: if the folder cannot be written or holds something else, or a model and
            ``replace`` is not set; or if ``trained`` is a model alone, or what ``fit`` returned.
    """
    if not hasattr(trained, "histories"):
        raise InputError(
            f"{type(trained).__name__} is not all that a saved model needs, which is also ids,"
            " histories, graph and settings: rg.train(data=..., ...) makes a TrainedModel of them;"
            " the weights alone are saved by torch.save(model.state_dict(), ...)"
        )
    with whole_folder(model_place(folder, replace), replace=True) as new:
        save_file(_tensors(trained.model), str(new / WEIGHTS))
        (new / SETTINGS).write_text(_settings(trained), encoding="utf-8")
        write_saved(_items(trained), new / ITEMS)
        if trained.category_ids is not None:
            ids = pl.DataFrame({"category_id": trained.category_ids})
            write_saved(ids, new / CATEGORIES)
        if isinstance(trained.embedding, ResEmbedding):
            write_saved(center_table(trained.embedding, trained.item_ids), new / CENTERS)
        write_saved(_edges(trained.graph), new / GRAPH)
        if trained.feature_graphs:
            nodes, edges = _value_tables(trained)
            write_saved(nodes, new / VALUES)
            write_saved(edges, new / VALUE_GRAPHS)
        write_saved(_histories(trained), new / HISTORIES)
        features = trained.features or Features()
        if features.context is not None:
            write_saved(pl.DataFrame(feature_columns(features.context)), new / CONTEXT)
        every = [feature for _, table in features.tables() for feature in table]
        if features.items is None:
            every += trained.graph_features or ()
        if trained.graph_features is not None:
            save_file(trained.graph.content.state(), str(new / CONTENT))
            (new / CONTENT).chmod(0o644)
        if any(feature.vocabulary is not None for feature in every):
            write_saved(vocabulary_table(every), new / VOCABULARIES)
        (new / CARD).write_text(model_card(trained), encoding="utf-8")
        (new / WEIGHTS).chmod(0o644)  # safetensors makes it for its owner alone
        write_digests(new / DIGESTS, [name for name in READ if (new / name).exists()])


@torch.no_grad()
def center_table(
    embedding: ResEmbedding, item_ids: pl.Series, most: int = MOST_CENTERS
) -> pl.DataFrame:
    """The centre weights of largest size of each item, largest first; zeros are left out.

    Returns:
        ``item_id``, ``center`` (Int64) and ``weight`` (Float32), item by item.
    """
    most = min(most, embedding.num_centers)
    device = embedding.centers.device
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for ids in torch.arange(embedding.num_embeddings).split(max(1, _PART // embedding.num_centers)):
        every = embedding.center_weights(ids.to(device)).cpu()
        center = every.abs().topk(most, dim=1).indices
        weight = every.gather(1, center)
        keep = weight != 0
        item = ids.unsqueeze(1).expand_as(center)
        parts.append((item[keep], center[keep], weight[keep]))
    items, centers, weights = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return pl.DataFrame({"item_id": item_ids.gather(items), "center": centers, "weight": weights})


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """What the model's state holds, under one name each: a part may stand in several places.

    safetensors' own ``save_model`` lists the other names, in an order that changes with the
    process: equal models would not be equal files.
    """
    state = model.state_dict(keep_vars=True)
    names = {id(part): name for name, part in reversed(state.items())}  # the first of each
    return {name: state[name].detach().contiguous() for name in names.values()}


def _settings(trained: "TrainedModel") -> str:
    contents = {"format": FORMAT, "schema": SCHEMA, "settings": trained.settings.identity()}
    contents |= trained.facts | {"figures": map_numbers(trained.facts["figures"], to_file=True)}
    return json.dumps(contents, indent=1, allow_nan=False) + "\n"


def _edges(graph: Data) -> pl.DataFrame:
    edges = zip(("source", "target", "weight"), edge_list(graph), strict=True)
    return pl.DataFrame({name: part.numpy() for name, part in edges})


def _nodes(graph: Data, groups: Tensor | None, **more: pl.Series) -> pl.DataFrame:
    """What is saved of the nodes of a graph: ``more`` between their counts and groups."""
    table = pl.DataFrame({"behaviors": graph.count.numpy(), **more})
    if groups is not None:
        table = table.with_columns(center=pl.Series(groups.cpu().numpy()))
    features = pl.Series(graph.x.numpy(), dtype=pl.Array(pl.Float32, graph.x.size(1)))
    return table.with_columns(features=features)


def _value_tables(trained: "TrainedModel") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Nodes and edges of the graphs of features' values, one after the other."""
    nodes, edges = [], []
    for name, graph in trained.feature_graphs.items():
        column = pl.lit(name).alias("feature")
        groups = trained.model.feature_embeddings[name].item_groups
        nodes.append(_nodes(graph, groups).select(column, pl.all()))
        edges.append(_edges(graph).select(column, pl.all()))
    return pl.concat(nodes, how="diagonal"), pl.concat(edges)


def _items(trained: "TrainedModel") -> pl.DataFrame:
    more = {}
    if trained.item_category is not None:
        more["category"] = pl.Series(trained.item_category.numpy())
    groups = as_item_embedding(trained.embedding).item_groups
    table = _nodes(trained.graph, groups, **more)
    known = None if trained.features is None else trained.features.items
    known = trained.graph_features if known is None else known
    return table.select(trained.item_ids.alias("item_id"), pl.all(), *feature_columns(known))


def _histories(trained: "TrainedModel") -> pl.DataFrame:
    own = trained.histories
    items = to_lists(pl.Series(own.items.numpy()), own.ptr)
    users = pl.DataFrame({"user_id": own.user_ids, "items": items})
    known = None if trained.features is None else trained.features.users
    return users.with_columns(*feature_columns(known))
