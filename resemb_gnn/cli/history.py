"""The log of the behaviours since training, which some commands take."""

from resemb_gnn.cli.command_settings import HistorySettings
from resemb_gnn.cli.notes import note
from resemb_gnn.data import BehaviorLog
from resemb_gnn.data.log_table import read_log_table
from resemb_gnn.io.arrow import check_names
from resemb_gnn.io.frame import read_columns
from resemb_gnn.io.parts import shown_paths
from resemb_gnn.io.times import are_dates
from resemb_gnn.saved import TrainedModel
from resemb_gnn.saved.ids import num_not_later


def column_of(settings: HistorySettings, trained: TrainedModel, name: str) -> str:
    """The column of ``"user"``, ``"item"`` or ``"time"``: the one that is given, or that of
    training, or one of that name.
    """
    found: str = getattr(settings, name) or getattr(trained.settings, name) or name
    return found


def read_history(
    settings: HistorySettings, trained: TrainedModel
) -> tuple[BehaviorLog | None, bool]:
    """The behaviours since training, if there is a file of them, and whether their times are dates;
    labels count where there are some. Rows that may count twice are told.
    """
    if settings.history is None:
        return None, False
    place = shown_paths(settings.history)
    user, item, time = (column_of(settings, trained, name) for name in ("user", "item", "time"))
    table = read_columns(settings.history, None)
    label = settings.label
    if label is None and trained.settings.label in table.columns:
        label = trained.settings.label
    check_names(place, table.columns, [user, item, time, *([] if label is None else [label])])
    columns = (user, item, time, None, label)
    log = BehaviorLog(**read_log_table(table, columns, files=settings.history))
    if early := num_not_later(trained.facts, log):
        note(settings.quiet)(
            f"{early:,} of the {log.num_behaviors:,} rows of {place} are not later than the"
            " training's last one, and may count twice"
        )
    return log, are_dates(table[time])
