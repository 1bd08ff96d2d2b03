"""A behaviour log as a folder of Parquet files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import torch

from resemb_gnn.data.features import Features
from resemb_gnn.data.saved_features import (
    PREFIX,
    feature_columns,
    read_feature_columns,
    vocabulary_table,
)
from resemb_gnn.io.frame import naming, parse_labels
from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.io.paths import expanded
from resemb_gnn.io.saved_table import (
    distinct_ids,
    read_saved,
    refuse_other_table,
    whole_numbers,
    write_saved,
)
from resemb_gnn.io.times import parse_times

if TYPE_CHECKING:
    from resemb_gnn.data.behavior_log import BehaviorLog

_VOCABULARIES = "vocabularies.parquet"


def write_log(log: "BehaviorLog", folder: str | Path) -> None:
    """Writes a log; raises as :meth:`~resemb_gnn.BehaviorLog.save`."""
    folder = shared_folder(folder)
    refuse_other_table(folder / "items.parquet", {"item_id", "category"}, PREFIX)
    folder.mkdir(parents=True, exist_ok=True)
    features = log.features or Features()
    every = [feature for _, table in features.tables() for feature in table]
    # Read only if a table has a feature, so that one that is left from another log does no harm.
    if any(feature.vocabulary is not None for feature in every):
        write_saved(vocabulary_table(every), folder / _VOCABULARIES)
    behaviors = {"item": log.items.numpy(), "time": log.times.numpy()}
    if log.labels is not None:
        behaviors["label"] = log.labels.numpy()
    if log.rows is not None:
        behaviors["row"] = log.rows.numpy()
    table = pl.DataFrame(behaviors).with_columns(*feature_columns(features.context))
    write_saved(table, folder / "behaviors.parquet")
    users = pl.DataFrame({"user_id": log.user_ids, "behaviors": log.ptr.diff().numpy()})
    users = users.with_columns(*feature_columns(features.users))
    write_saved(users, folder / "users.parquet")
    items = pl.DataFrame({"item_id": log.item_ids})
    if log.item_category is not None and log.category_ids is not None:
        items = items.with_columns(category=pl.Series(log.item_category.numpy()))
        categories = pl.DataFrame({"category_id": log.category_ids})
        write_saved(categories, folder / "categories.parquet")
    items = items.with_columns(*feature_columns(features.items))
    write_saved(items, folder / "items.parquet")


def read_log(folder: str | Path) -> dict[str, Any]:
    """The parts of a log that :func:`write_log` wrote, by name.

    Raises:
        InputError: if a file is missing or damaged, or the files do not fit each other.
    """
    folder = expanded(folder)
    behaviors = read_saved(folder / "behaviors.parquet", "item", "time")
    users = read_saved(folder / "users.parquet", "behaviors", "user_id")
    items = read_saved(folder / "items.parquet", "item_id")
    parts: dict[str, Any] = {
        "user_ids": distinct_ids(folder / "users.parquet", users["user_id"]),
        "item_ids": distinct_ids(folder / "items.parquet", items["item_id"]),
    }
    if "category" in items.columns:
        path = folder / "categories.parquet"
        ids = distinct_ids(path, read_saved(path, "category_id")["category_id"], True)
        parts["category_ids"] = ids
    with naming(str(folder)):
        if "category" in items.columns:
            parts["item_category"] = whole_numbers(items["category"])
        if "label" in behaviors.columns:
            parts["labels"] = parse_labels(behaviors["label"]).to_torch()
        if "row" in behaviors.columns:
            parts["rows"] = whole_numbers(behaviors["row"])
        sizes = whole_numbers(users["behaviors"])
        parts["ptr"] = torch.nn.functional.pad(sizes.cumsum(0), (1, 0))
        parts["items"] = whole_numbers(behaviors["item"])
        parts["times"] = parse_times(behaviors["time"]).to_torch()
        tables = (items, users, behaviors)
        found = Features(*(read_feature_columns(table, folder / _VOCABULARIES) for table in tables))
        parts["features"] = found or None
    return parts
