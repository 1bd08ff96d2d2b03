"""What a behaviour's time tells: the hour, the weekday, the item's age, the time since the user's
last behaviour.

Nothing here looks ahead: of a log's row it is what was known when it came. So a row that is yet to
come has the same, from the first time of each item and the last of each user in the log.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl
import torch
from torch import Tensor

from resemb_gnn.data.windows import first_of_moment
from resemb_gnn.errors import InputError, check_lengths, unknown_choice

KIND_OF_TIME = {"hour": "category", "weekday": "category", "item_age": "numeric", "gap": "numeric"}
TIME_FEATURES = tuple(KIND_OF_TIME)
_CALENDAR = ("hour", "weekday")
_SECOND = 1e6  # microseconds, in which a log keeps dates


def check_time_features(names: Iterable[str], dates: bool) -> None:
    """Refuses names that are none, and those that need dates where there are none.

    Raises:
        InputError: naming it.
    """
    for name in names:
        if name not in TIME_FEATURES:
            raise unknown_choice(f"the time feature {name!r}", name, TIME_FEATURES)
        if name in _CALENDAR and not dates:
            raise InputError(
                f"the time feature {name!r} needs dates, but the log's times are plain numbers"
            )


def time_columns(
    names: Iterable[str],
    times: Tensor,
    dates: bool,
    first_of_item: Tensor | None = None,
    last_of_user: Tensor | None = None,
) -> pl.DataFrame:
    """Time features of ``n`` rows, a column each, in the order of the names.

    ``hour`` (0 to 23) and ``weekday`` (1, a Monday, to 7) are UTC. ``item_age`` and ``gap`` are
    :math:`\\ln(1 + d)`, with :math:`d` the seconds since the item's first behaviour and since the
    user's last one, or the unit of times that are no dates; 0 for an item that has none yet, null
    for a user who has none.

    Args:
        names: some of ``TIME_FEATURES``.
        times: as a log keeps them, ``[n]``.
        dates: whether they are dates.
        first_of_item: time of the first behaviour on the item of each row, ``[n]``, NaN where there
            is none yet; needed for ``item_age`` (:func:`first_times` of a log, at its items).
        last_of_user: time of the last behaviour of its user before it, likewise; needed for ``gap``
            (:func:`last_times` of a log, at its users).

    Raises:
        InputError: if a name is unknown or needs dates that the times are not, or what it needs is
            not given or of another length.
    """
    names = list(names)
    check_time_features(names, dates)
    moments = pl.Series(times.numpy())
    since = {"item_age": (first_of_item, 0.0), "gap": (last_of_user, np.nan)}
    found = {}
    for name in names:
        if name in _CALENDAR:
            clock = moments.cast(pl.Datetime("us")).dt
            found[name] = (clock.hour() if name == "hour" else clock.weekday()).cast(pl.Int64)
            continue
        start, unknown = since[name]
        if start is None:
            raise InputError(f"the time feature {name!r} needs the times that it counts from")
        check_lengths(times=times, start=start)
        passed = (times - start).double().numpy().clip(min=0) / (_SECOND if dates else 1.0)
        numbers = np.where(np.isnan(passed), unknown, np.log1p(passed))
        found[name] = pl.Series(numbers, nan_to_null=True)
    return pl.DataFrame(found)


def first_times(items: Tensor, times: Tensor, num_items: int) -> Tensor:
    """Time of the first behaviour on each item, float64 ``[num_items]``, NaN of one without any."""
    first = torch.full((num_items,), torch.inf, dtype=torch.float64)
    first = first.scatter_reduce(0, items, times.double(), "amin")
    return first.masked_fill(first.isinf(), torch.nan)


def last_times(users: Tensor, times: Tensor, num_users: int) -> Tensor:
    """Time of the last behaviour of each user, float64 ``[num_users]``, NaN of one without any."""
    return -first_times(users, -times, num_users)


def previous_times(users: Tensor, times: Tensor) -> Tensor:
    """Time of each row's user's last behaviour of earlier time, float64 ``[n]``, NaN where there is
    none: rows shown together have the same one.

    Args:
        users: user of each row, sorted.
        times: time of each row, sorted within a user.
    """
    before = first_of_moment(users, times) - 1
    there = (before >= 0) & (users[before.clamp(min=0)] == users)
    return torch.where(there, times[before.clamp(min=0)].double(), torch.nan)
