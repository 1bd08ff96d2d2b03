"""What the cases of tests/tools/fuzz.py are made of: values, damage, and the second reading."""

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from resemb_gnn import BehaviorLog
from tests.ties import tie_key

INT64 = range(-(2**63), 2**63)
ODD: tuple[str, ...] = ("007", "+5", "-0", "1e3", " 7", "7 ", "NA", "null", "NaN", "None", "true")
ODD += ("é", "\u2028")
ODD += ("日本", "a,b", 'q"q', "two\nlines", "<b>", "</script>", "=1+1", "a|b", "\ufeff", "\u0000x")
ODD += ("x" * 300, str(2**63), str(-(2**63) - 1), "1" * 40, "../../etc/passwd", "🛒")


@dataclass(frozen=True)
class Expected:
    """What must come out if anything does; with ``valid`` it must."""

    value: Any
    valid: bool = False


@dataclass(frozen=True)
class Refused:
    """The input must be refused."""

    why: str


@dataclass(frozen=True)
class Case:
    """A file or frame to read.

    Args:
        read: reads it, and gives the result in a form that can be compared.
        expected: what should come out, by another way; ``None`` if that cannot be told.
        place: what an error must name.
    """

    read: Callable[[], Any]
    expected: Callable[[], Expected | Refused | None]
    place: str | None = None


def some_place(rng: random.Random, tree: Any, stop: float) -> tuple[Any, Any]:
    """A place in nested dictionaries and lists: what holds it, and its key; on the way down it
    stays at a part that has parts of its own with probability ``stop``.
    """
    while True:
        key = rng.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
        child = tree[key]
        if not isinstance(child, dict | list) or not child or rng.random() < stop:
            return tree, key
        tree = child


def damage(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, cut out, doubled or put in."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
        at = rng.randrange(len(changed) + 1)
        kind = rng.randrange(7)
        if kind == 0 and changed:
            changed[at % len(changed)] = rng.randrange(256)
        elif kind == 1 and changed:
            changed[at % len(changed)] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del changed[at : at + rng.choice((1, 2, 10, 1000))]
        elif kind == 3:
            changed[at:at] = rng.choice(PIECES)
        elif kind == 4:
            end = at + rng.choice((1, 4, 30))
            changed[at:at] = bytes(changed[at:end]) * rng.choice((1, 1, 50))
        elif kind == 5:
            changed[at:at] = rng.randbytes(rng.choice((1, 3, 8)))
        else:
            del changed[at:]
    return bytes(changed)


PIECES = [b'"', b"'", b",", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xfe\xff"]
PIECES += [b"{", b"}", b"[" * 200, b"]", b":", b"null", b"NaN", b"Infinity", b"-1", b"1e999"]
PIECES += [b"9" * 30, b"9" * 5000, b" ", b"\t", b"\\u0000", b"\\ud800", b"\xed\xa0\x80"]
PIECES += [b"\xe2\x80\xa8", b"#", b"!!python/object:os.system", b"&a", b"*a", b"1.5"]
PIECES += [b"2022-02-30", b"0x10", b"true", b"\x85"]


def some_ids(rng: random.Random, count: int) -> list[str]:
    """Ids as text: numbers, words, or oddities."""
    kind = rng.randrange(4)
    if kind == 0:
        return [str(rng.randrange(20)) for _ in range(count)]
    if kind == 1:
        return [f"i{rng.randrange(20)}" for _ in range(count)]
    if kind == 2:
        return [str(rng.choice((0, 5, -3, 2**53 + 1, 2**63 - 1, -(2**63)))) for _ in range(count)]
    return [rng.choice(ODD) for _ in range(count)]


def typed(ids: Sequence[str | None]) -> list[int | str | None]:
    """Ids as the library means them: numbers where all are spelt as such and fit 64 bits."""
    filled = [one for one in ids if one is not None]
    if all(one.isascii() and one.lstrip("-").isdigit() for one in filled):
        try:
            numbers = [int(one) for one in filled]
        except ValueError:  # too many digits for Python
            return list(ids)
        if all(n in INT64 and str(n) == one for n, one in zip(numbers, filled, strict=True)):
            return [None if one is None else int(one) for one in ids]
    return list(ids)


Row = tuple[Any, Any, Any, Any, Any]  # user, item, time, category, label


def form_of_rows(rows: list[Row], category: bool, label: bool) -> Any:
    """What a log of these rows must hold, as :func:`form_of_log`."""
    users = defaultdict(list)
    counts: dict[Any, Counter[Any]] = defaultdict(Counter)
    for user, item, time, kind, click in rows:
        users[user].append((item, time, float(click) if label else None))
        counts[item][kind] += 1
    behaviors = {
        user: sorted(did, key=lambda one: (one[1], tie_key(user, one[0]), one[2]))
        for user, did in users.items()
    }
    if not category:
        return behaviors, None

    def rank(pair: tuple[Any, int]) -> tuple[Any, ...]:
        kind, count = pair
        text = kind.encode() if isinstance(kind, str) else kind
        return (-count, kind is not None, text if kind is not None else 0)

    return behaviors, {item: min(found.items(), key=rank)[0] for item, found in counts.items()}


def form_of_log(log: BehaviorLog, ordered: bool = True) -> Any:
    """Behaviours of each user in order, and the category of each item; a log that was read from a
    frame is also in the order of its ids.
    """
    ids, items, times = log.item_ids.to_list(), log.items.tolist(), log.times.tolist()
    labels = [None] * len(items) if log.labels is None else log.labels.tolist()
    did = [(ids[i], t, x) for i, t, x in zip(items, times, labels, strict=True)]
    ptr = log.ptr.tolist()
    users = log.user_ids.to_list()
    for found in (users, ids) if ordered else ():
        assert all(a < b for a, b in itertools.pairwise(_keys(found))), "order of ids"
    behaviors = {user: did[ptr[i] : ptr[i + 1]] for i, user in enumerate(users)}
    if log.item_category is None:
        return behaviors, None
    assert log.category_ids is not None
    kinds = log.category_ids.to_list()
    return behaviors, dict(zip(ids, (kinds[i] for i in log.item_category.tolist()), strict=True))


def _keys(ids: list[Any]) -> list[Any]:
    return [one.encode() if isinstance(one, str) else one for one in ids]
