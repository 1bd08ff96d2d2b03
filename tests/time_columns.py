"""Columns of times of every kind that a log takes, with the exact values that they hold."""

import datetime
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import polars as pl

INT64 = range(-(2**63), 2**63)
MAY = 1_651_399_200 * 10**9  # 1 May 2022, nanoseconds since 1970
EPOCH = datetime.datetime(1970, 1, 1)


@dataclass(frozen=True)
class TimeColumn:
    """A column of times.

    Args:
        column: the column.
        exact: what its values are, in numbers that order them.
        numbers: what a log keeps of each.
    """

    column: pl.Series
    exact: list[Any]
    numbers: list[Any]


def _whole(low: int, high: int, *centres: int) -> st.SearchStrategy[list[int]]:
    """Whole numbers close together around a centre, zero or a limit, and perhaps others."""
    steps = st.sampled_from([0, 1, -1, 499, 500, 501, 999, 1000, 1001, -499, -500, -501, -1000])
    places = st.sampled_from([*centres, 0, low, high])

    def of(place: int, near: list[int], far: list[int]) -> list[int]:
        numbers = [*far, *(place + step for step in near)]
        return [min(max(number, low), high) for number in numbers]

    near = st.lists(steps, min_size=3, max_size=12)
    return st.builds(of, places, near, st.lists(places, max_size=2))


def _integers() -> st.SearchStrategy[TimeColumn]:
    kinds = [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64]

    def of(kind: Any) -> st.SearchStrategy[TimeColumn]:
        low = pl.select(kind.min()).item()
        high = min(pl.select(kind.max()).item(), INT64[-1])
        return _whole(low, high).map(
            lambda values: TimeColumn(pl.Series(values, dtype=kind), values, values)
        )

    return st.sampled_from(kinds).flatmap(of)


def _floats() -> st.SearchStrategy[TimeColumn]:
    def of(width: int) -> st.SearchStrategy[TimeColumn]:
        some = st.sampled_from([0.0, -0.0, 1.0, -1.5, 2.0**30]) | st.floats(
            allow_nan=False, allow_infinity=False, width=width
        )
        kind = pl.Float32 if width == 32 else pl.Float64
        lists = st.lists(some, min_size=1, max_size=12)
        return lists.map(lambda values: TimeColumn(pl.Series(values, dtype=kind), values, values))

    return st.sampled_from([32, 64]).flatmap(of)


def _moments(unit: Any) -> st.SearchStrategy[TimeColumn]:
    size = {"ns": 1, "us": 10**3, "ms": 10**6}[unit]

    def of(zone: str | None, values: list[int]) -> TimeColumn:
        exact = [value * size for value in values]
        column = pl.Series(values, dtype=pl.Int64).cast(pl.Datetime(unit, zone))
        return TimeColumn(column, exact, [value // 1000 for value in exact])

    limit = (2**63 - 1) // (10**3 if unit == "ms" else 1)  # microseconds fit 64 bits
    zones = st.sampled_from([None, "UTC", "Europe/Paris"])
    return st.builds(of, zones, _whole(-limit, limit, MAY // size))


def _dates() -> st.SearchStrategy[TimeColumn]:
    day = 86_400 * 10**6

    def of(values: list[int]) -> TimeColumn:
        numbers = [value * day for value in values]
        return TimeColumn(
            pl.Series(values, dtype=pl.Int32).cast(pl.Date), [n * 1000 for n in numbers], numbers
        )

    return _whole(-(2**63 // day), 2**63 // day).map(of)


def _decimals() -> st.SearchStrategy[TimeColumn]:
    def of(scale: int, values: list[int], as_text: bool) -> TimeColumn:
        texts = [_decimal_text(value, scale) for value in values]
        exact = [Fraction(text) for text in texts]
        column = pl.Series(texts)
        if not as_text:
            column = column.cast(pl.Decimal(38, scale))
        return TimeColumn(column, exact, [float(one) if scale else int(one) for one in exact])

    def with_scale(scale: int) -> st.SearchStrategy[TimeColumn]:
        high = 2**63 - 1 if scale == 0 else 10 ** (20 + scale) - 1
        return st.builds(
            of, st.just(scale), _whole(-high, high, MAY * 10**scale // 10**9), st.booleans()
        )

    return st.sampled_from([0, 3, 9, 18]).flatmap(with_scale)


def _decimal_text(value: int, scale: int) -> str:
    digits = str(abs(value)).rjust(scale + 1, "0")
    whole, fraction = digits[: len(digits) - scale], digits[len(digits) - scale :]
    return "-" * (value < 0) + whole + ("." + fraction) * (scale > 0)


def _texts_of_numbers() -> st.SearchStrategy[TimeColumn]:
    """With an exponent in one, or more digits than a decimal holds, they are float numbers all."""
    some = st.sampled_from(["+5", "007", "-0", "9.5", ".5", "2.", "5e-1", "1E3", "1e300"])
    long = st.sampled_from(["9" * 20, "1" + "0" * 20, "1" * 38, f"-{2**63}.1", f"0.{'1' * 20}"])
    numbers = some | long | st.integers(2**53 - 2, 2**53 + 3).map(str)

    def of(texts: list[str]) -> TimeColumn:
        floats = [float(text) for text in texts]
        exact = [Fraction(text) for text in texts]
        if all(text.lstrip("+-").isdigit() and int(text) in INT64 for text in texts):
            return TimeColumn(pl.Series(texts), exact, [int(one) for one in exact])
        plain = all(is_plain(text.lstrip("+-")) for text in texts)
        return TimeColumn(pl.Series(texts), exact if plain else floats, floats)

    def is_plain(digits: str) -> bool:
        whole, _, fraction = digits.partition(".")
        return "e" not in digits.lower() and len(whole) <= 20 and len(fraction) <= 18

    return st.lists(numbers, min_size=1, max_size=12).map(of)


def _texts_of_moments() -> st.SearchStrategy[TimeColumn]:
    zones = {"": 0, "Z": 0, " UTC": 0, "+00": 0, "+0530": 330, "-00:30": -30, " +14:00": 840}

    @st.composite
    def moment(draw: st.DrawFn) -> tuple[str, int]:
        start = draw(st.sampled_from([0, MAY, -2_208_988_800 * 10**9, 250_000_000_000 * 10**9]))
        nano = start + draw(st.sampled_from([0, 1, 999, 1000, -1, -1000, 10**9, 60 * 10**9]))
        digits = draw(st.sampled_from([0, 3, 6, 7, 9]))
        nano -= nano % 10 ** (9 - digits)
        zone = draw(st.sampled_from(list(zones)))
        local = EPOCH + datetime.timedelta(minutes=zones[zone], seconds=nano // 10**9)
        text = local.isoformat(draw(st.sampled_from("T ")))
        if digits:
            text += f".{nano % 10**9:09d}"[: digits + 1]
        elif local.second == 0 and draw(st.booleans()):
            text = text[:-3]
            if not zone and text.endswith("00:00") and draw(st.booleans()):
                text = text[:10]
        return text + zone, nano

    def of(pairs: list[tuple[str, int]]) -> TimeColumn:
        texts, exact = (list(part) for part in zip(*pairs, strict=True))
        return TimeColumn(pl.Series(texts), exact, [nano // 1000 for nano in exact])

    return st.lists(moment(), min_size=1, max_size=12).map(of)


TIME_COLUMNS = {
    "integers": _integers(),
    "floats": _floats(),
    "nanoseconds": _moments("ns"),
    "microseconds": _moments("us"),
    "milliseconds": _moments("ms"),
    "dates": _dates(),
    "decimals": _decimals(),
    "texts of numbers": _texts_of_numbers(),
    "texts of moments": _texts_of_moments(),
}
