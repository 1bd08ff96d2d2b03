"""A trained model read from its folder."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import polars as pl
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, load_model
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.data import Features
from resemb_gnn.data.saved_features import read_feature_columns, with_num_fitted
from resemb_gnn.errors import InputError, brief, shown
from resemb_gnn.graph import ContentEncoder
from resemb_gnn.io.digests import changed_file
from resemb_gnn.io.frame import naming
from resemb_gnn.io.json_text import map_numbers, read_json
from resemb_gnn.io.lists import from_lists
from resemb_gnn.io.paths import expanded
from resemb_gnn.io.saved_table import distinct_ids, read_saved
from resemb_gnn.models import CTRModel
from resemb_gnn.pipeline.embeddings import make_embedding, make_feature_embeddings, make_model
from resemb_gnn.pipeline.task import graph_features_of, widths_of
from resemb_gnn.saved.histories import Histories
from resemb_gnn.saved.layout import (
    CATEGORIES,
    CONTENT,
    CONTEXT,
    DIGESTS,
    FORMAT,
    HISTORIES,
    ITEMS,
    READ,
    SCHEMA,
    SETTINGS,
    VALUES,
    VOCABULARIES,
    WEIGHTS,
)
from resemb_gnn.saved.saved_graphs import (
    numbers,
    read_feature_graphs,
    read_graph,
    read_typed,
    read_values,
)
from resemb_gnn.saved.trained_model import TrainedModel
from resemb_gnn.settings import FitSettings
from resemb_gnn.settings.embedding import split_name
from resemb_gnn.settings.shared import EARLIER
from resemb_gnn.training import check_device


def load(folder: str | Path, *, device: torch.device | str = "cpu") -> TrainedModel:
    """Restores what :func:`~resemb_gnn.save` wrote. Nothing is unpickled, no code is run.

    A setting that the folder does not name, since it came later, has its default. A folder without
    ``model.sha256`` is read without that check.

    Args:
        folder: the folder.
        device: where to put the model.

    Raises:
        InputError: if a file is missing or damaged, is not the one that was saved, has another
            schema, or does not fit the rest.
    """
    folder = expanded(folder)
    device = check_device(device)
    _refuse_changed(folder)
    contents = _read_json(folder / SETTINGS)
    settings = _settings(folder / SETTINGS, contents["settings"])
    items = read_typed(folder / ITEMS, item_id=None, behaviors=pl.Int64, features=None)
    category = category_ids = None
    if "category" in items.columns:
        path = folder / CATEGORIES
        category_ids = distinct_ids(path, read_saved(path, "category_id")["category_id"], True)
        category = numbers(folder / ITEMS, items["category"], len(category_ids))
    item_ids = distinct_ids(folder / ITEMS, items["item_id"])
    graph = read_graph(folder, items)
    users = read_typed(folder / HISTORIES, user_id=None, items=pl.List)
    histories = _histories(folder / HISTORIES, users, len(items))
    features = _features(folder, items, users)
    with naming(str(folder / SETTINGS)):
        features = with_num_fitted(features, contents["data"].get("features"))
    values = read_values(folder, settings, features)
    _check_size(folder, settings, len(items), {name: len(own) for name, own in values.items()})
    feature_graphs = read_feature_graphs(folder, values)
    graph.content = _content(folder, settings, features)
    features = features if settings.use_features else None
    try:
        with naming(str(folder)):
            model = _build(
                folder, settings, items, graph, category, features, values, feature_graphs
            )
    except (RuntimeError, OverflowError) as error:
        raise InputError(
            f"{folder / SETTINGS}: no such model can be made: {brief(error)}"
        ) from error
    _load_weights(model, folder / WEIGHTS)
    return TrainedModel(
        model=model.to(device).eval(),
        settings=settings,
        item_ids=item_ids,
        item_category=category,
        category_ids=category_ids,
        graph=graph,
        histories=histories,
        features=features,
        feature_graphs=feature_graphs,
        facts={key: contents[key] for key in ("data", "figures", "versions")},
    )


def _refuse_changed(folder: Path) -> None:
    path = folder / DIGESTS
    if not path.is_file():
        return
    try:
        name = changed_file(path, [name for name in READ if (folder / name).exists()])
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error}") from error
    if name is not None:
        raise InputError(
            f"{folder / name} is damaged or not the one that was saved: {DIGESTS} has another"
            f" SHA-256; delete {DIGESTS} if it was changed on purpose"
        )


_SLACK = 2**24  # bytes; a setting that the embedding does not use may ask for so much


def _build(
    folder: Path,
    settings: FitSettings,
    items: pl.DataFrame,
    graph: Data,
    category: Tensor | None,
    features: Features | None,
    values: dict[str, pl.DataFrame],
    feature_graphs: dict[str, Data],
) -> CTRModel:
    name, groups = _known_groups(settings.embedding, folder / ITEMS, items)
    used = category if settings.use_category else None
    embedding = make_embedding(name, graph, settings, category if groups is None else groups)
    embedded, value_groups = {}, {}
    for feature, own in settings.embedded.items():
        embedded[feature], found = _known_groups(own, folder / VALUES, values[feature])
        if found is not None:
            value_groups[feature] = found
    widths = widths_of(settings)
    embed = make_feature_embeddings(embedded, feature_graphs, settings, widths, value_groups)
    return make_model(settings.model, embedding, used, features, widths, embed, settings.attention)


def _known_groups(name: str, path: Path, nodes: pl.DataFrame) -> tuple[str, Tensor | None]:
    """The name of an embedding and its groups; of clusters, which are known now, the name of the
    embedding that has as its groups what categories are elsewhere.
    """
    shared, own = split_name(name)
    if shared != "kmeans":
        return name, None
    if "center" not in nodes.columns:
        raise InputError(f"{path} has no column 'center'")
    return f"category:{own}", numbers(path, nodes["center"], len(nodes))


def _check_size(
    folder: Path, settings: FitSettings, num_items: int, num_values: dict[str, int]
) -> None:
    """Refuses settings that ask for much more memory than the weights take."""
    asked = 4 * settings.embedding_dim * max(settings.num_centers, num_items)
    widths = widths_of(settings)
    for name, size in num_values.items():
        width = widths.get(name, settings.embedding_dim)
        asked += 4 * width * max(settings.num_centers, size)
    path = folder / WEIGHTS
    if path.is_file() and asked > path.stat().st_size + _SLACK:
        raise InputError(
            f"{path} does not fit the settings: {asked:,} bytes of centres or rows are asked for"
        )


def _load_weights(model: CTRModel, path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path} is missing")
    try:
        load_model(model, str(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (SafetensorError, RuntimeError, OSError, KeyError) as error:
        message = brief(ValueError(" ".join(str(error).split())))
        raise InputError(f"{path} is damaged or does not fit the settings: {message}") from error
    for name, part in model.state_dict().items():
        if not bool(part.isfinite().all()):
            raise InputError(f"{path}: {name} holds a value that is not finite")


def _read_json(path: Path) -> dict[str, Any]:
    contents = read_json(path)
    if not isinstance(contents, dict) or contents.get("format") != FORMAT:
        raise InputError(f"{path} does not belong to a {FORMAT}")
    if contents.get("schema") != SCHEMA:
        raise InputError(
            f"{path} has schema {shown(contents.get('schema'))}; this version reads {SCHEMA}"
        )
    for name in ("settings", "data", "figures", "versions"):
        if not isinstance(contents.get(name), dict):
            raise InputError(f"{path} lacks {name!r}")
    contents["figures"] = map_numbers(contents["figures"], to_file=False)
    return contents


def _settings(path: Path, values: dict[str, Any]) -> FitSettings:
    unknown = values.keys() - {spec.name for spec in fields(FitSettings)}
    if unknown:
        raise InputError(f"{path} holds the unknown setting {shown(min(unknown))}")
    try:
        return FitSettings(**EARLIER | values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _histories(path: Path, table: pl.DataFrame, num_items: int) -> Histories:
    behaviors, ptr = from_lists(table["items"])
    ids = distinct_ids(path, table["user_id"])
    return Histories(ids, numbers(path, behaviors, num_items), ptr)


def _features(folder: Path, items: pl.DataFrame, users: pl.DataFrame) -> Features | None:
    """What the model knows of items, users and context."""
    path = folder / CONTEXT
    tables = {ITEMS: items, HISTORIES: users, CONTEXT: None}
    if path.is_file():
        tables[CONTEXT] = read_saved(path)
    found = []
    for name, table in tables.items():
        with naming(str(folder / name)):
            columns = None if table is None else read_feature_columns(table, folder / VOCABULARIES)
            found.append(columns)
    return Features(*found) or None


def _content(
    folder: Path, settings: FitSettings, features: Features | None
) -> ContentEncoder | None:
    """What encodes new items' features as the graph's node features hold them."""
    path = folder / CONTENT
    with naming(str(folder / SETTINGS)):
        table = graph_features_of(settings, features)
    if table is None:
        return None
    if not path.is_file():
        raise InputError(f"{path} is missing, but the graph was made with features of the items")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged: {brief(error)}") from error
    with naming(str(path)):
        return ContentEncoder(table, state=state)
