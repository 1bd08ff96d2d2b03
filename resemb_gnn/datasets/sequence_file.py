"""Sequence files as used in the sequential recommendation literature (SASRec, S3-Rec)."""

from pathlib import Path
from typing import Any

import polars as pl

from resemb_gnn.data import BehaviorLog
from resemb_gnn.datasets.attributes import main_attribute
from resemb_gnn.datasets.raw_table import known_rows
from resemb_gnn.errors import InputError, shown
from resemb_gnn.io.files import read_lines
from resemb_gnn.io.json_text import read_json
from resemb_gnn.io.paths import expanded


def read_sequence_file(path: str | Path, attributes: str | Path | None = None) -> BehaviorLog:
    """Reads a file with a user a line: the user's id, then item ids in time order.

    Ids are separated by white space. The file has no times; a behaviour's position in its line
    stands for one.

    Args:
        path: the sequence file.
        attributes: a JSON file ``{item: [attribute, ...]}``, as S3-Rec's
            ``*_item2attributes.json``; an item's category is the most frequent of its attributes
            that fewer than half of the file's items have, and all of them are its feature
            ``attributes``.

    Raises:
        InputError: if a file is missing or damaged, a line names no item, a user comes twice, or
            an item's attributes are not a list of numbers or strings.
    """
    path = expanded(path)
    lines = [line for _, line in read_lines(path)]
    table = pl.DataFrame({"line": lines}, schema={"line": pl.String}).with_row_index("number", 1)
    table = table.with_columns(token=pl.col("line").str.extract_all(r"\S+"))
    table = table.filter(pl.col("token").list.len() > 0)
    if table.is_empty():
        raise InputError(f"{path} is empty")
    alone = table.filter(pl.col("token").list.len() < 2)
    if not alone.is_empty():
        raise InputError(
            f"{path}, line {alone['number'][0]}: user {shown(alone['token'][0][0])} has no item"
        )
    table = table.with_columns(
        user=pl.col("token").list.first(), item=pl.col("token").list.slice(1)
    )
    twice = table.filter(~pl.col("user").is_first_distinct())
    if not twice.is_empty():
        raise InputError(
            f"{path}, line {twice['number'][0]}: user {shown(twice['user'][0])} came before"
        )
    table = table.with_columns(time=pl.int_ranges(pl.col("item").list.len()))
    behaviors = table.select("user", "item", "time").explode("item", "time")
    if attributes is None:
        return BehaviorLog.from_frame(behaviors, user="user", item="item", time="time")
    known = _read_attributes(expanded(attributes))
    pairs = known.explode("attributes").drop_nulls().rename({"attributes": "attribute"})
    category = main_attribute(pairs, num_items=len(known))
    return BehaviorLog.from_frame(
        behaviors.join(category, on="item", how="left", maintain_order="left"),
        "user",
        "item",
        "time",
        category="category",
        items=known_rows(behaviors["item"], known),
        kinds={"attributes": "list"},
    )


def _read_attributes(path: Path) -> pl.DataFrame:
    """Attributes of each item: columns ``item``, a string, and ``attributes``, lists of them."""
    table = read_json(path)
    if not isinstance(table, dict):
        raise InputError(f"{path} holds no object of items and their attributes")
    for item, attributes in table.items():
        if not isinstance(attributes, list) or not all(
            isinstance(one, int | str) and not isinstance(one, bool) for one in attributes
        ):
            raise InputError(
                f"{path}: attributes of item {shown(item)} are {shown(attributes)},"
                " not a list of numbers or strings"
            )
    rows = [(item, list(map(str, attributes))) for item, attributes in table.items()]
    schema: dict[str, Any] = {"item": pl.String, "attributes": pl.List(pl.String)}
    return pl.DataFrame(rows, schema=schema, orient="row")
