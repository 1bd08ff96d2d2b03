"""What each run of a comparison predicts of the test examples, as Parquet files."""

from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from resemb_gnn.data import BehaviorLog, Examples
from resemb_gnn.io.saved_table import read_saved
from resemb_gnn.io.tables import write_table


def predictions_path(folder: Path, file_name: str) -> Path:
    """Where the predictions of a run are, of a comparison in a folder."""
    return folder / "predictions" / f"{file_name}.parquet"


def write_predictions(path: Path, log: BehaviorLog, examples: Examples, logit: Tensor) -> None:
    """Writes a row an example, in their order, as a whole or not at all: ``user`` and ``item``
    (their own ids), ``label`` (int8), ``logit`` (float32) and, of examples of the log, ``time`` (as
    the log has it) and ``row`` (of the table that the log was read from, from 0; a drawn negative
    has its positive's).

    Args:
        path: the file.
        log: the log that the examples are of.
        examples: the examples.
        logit: what was predicted, ``[num_examples]``.
    """
    table = pl.DataFrame(
        {
            "user": log.user_ids.gather(examples.user.numpy()),
            "item": log.item_ids.gather(examples.target.numpy()),
            "label": examples.label.to(torch.int8).numpy(),
            "logit": logit.float().cpu().numpy(),
        }
    )
    if examples.row is not None:
        row = examples.row if log.rows is None else log.rows[examples.row]
        table = table.with_columns(
            time=pl.Series(log.times[examples.row].numpy()), row=pl.Series(row.numpy())
        )
    write_table(table, path)


def read_predictions(path: Path) -> pl.DataFrame:
    """What :func:`write_predictions` wrote.

    Raises:
        InputError: if the file is missing or damaged, or lacks a column.
    """
    return read_saved(path, "user", "item", "label", "logit")
