"""Progress of runs that go on side by side."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from resemb_gnn.io.streams import Bar, Display, on_terminal, progress_bar

EVERY = 0.2  # seconds between two looks at a bar


class Board:
    """On a terminal, a bar of all runs and one of each that is under way; else a line an epoch.

    Args:
        total: runs in all.
        done: those that have ended before.
        quiet: show nothing.
    """

    def __init__(self, total: int, done: int, quiet: bool) -> None:
        self.bars = not quiet and on_terminal()
        self._whole = progress_bar(
            disable=quiet,
            total=total,
            initial=done,
            desc="runs: ",
            leave=False,
            dynamic_ncols=True,
            bar_format="{desc}{bar:20} {n_fmt} of {total_fmt}, {elapsed}",
        )
        self._runs: dict[str, tqdm] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for run in list(self._runs):
            self._runs.pop(run).close()
        self._whole.close()

    def show(self, run: str, kind: str, *what: Any) -> None:
        """Takes what a :class:`RunDisplay` tells of a run."""
        if kind == "line":
            Display().line(f"{run}, {what[0]}")
        elif self.bars:
            self._draw(run, *what)

    def _draw(self, run: str, title: str, number: int, total: int) -> None:
        title = f"{run}, {title}: "
        bar = self._runs.get(run)
        if bar is None or bar.desc != title:
            if bar is not None:
                bar.close()
            bar = self._runs[run] = progress_bar(
                disable=False,
                total=total,
                initial=number,
                desc=title,
                unit="ex",
                unit_scale=True,
                leave=False,
                dynamic_ncols=True,
            )
        bar.n = number
        bar.refresh()

    def refresh(self) -> None:
        """Goes on with the clock."""
        self._whole.refresh()

    def over(self, run: str) -> None:
        """Counts a run that has ended."""
        if run in self._runs:
            self._runs.pop(run).close()
        self._whole.update()

    def aside(self, say: Callable[[str], None], line: str) -> None:
        """Says a line where no bar is drawn."""
        for bar in (*self._runs.values(), self._whole):
            bar.clear()
        say(line)
        for bar in (self._whole, *self._runs.values()):
            bar.refresh()


class RunDisplay(Display):
    """Tells of a run's progress rather than showing it.

    Args:
        run: its name.
        tell: is told name, and either ``"line"`` and a text or ``"bar"``, a title, and how much of
            how much is done.
        bars: whether bars are wanted.
    """

    def __init__(self, run: str, tell: Callable[..., None], bars: bool = True) -> None:
        self.run = run
        self.tell = tell
        self.bars = bars

    def bar(self, **options: Any) -> Bar:
        found: Bar = _ToldBar(self, **options)
        return found

    def line(self, text: str) -> None:
        self.tell(self.run, "line", text)


class _ToldBar:
    """A bar that tells how far it is, now and then."""

    def __init__(
        self, display: RunDisplay, desc: str, total: int, initial: int, **looks: Any
    ) -> None:
        self.display = display
        self.title = desc
        self.done = initial
        self.total = total
        self._told = -EVERY

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: Any) -> None:
        pass

    def update(self, n: int) -> None:
        self.done += n
        now = time.monotonic()
        if self.display.bars and now - self._told >= EVERY:
            self._told = now
            self.display.tell(self.display.run, "bar", self.title, self.done, self.total)

    def set_postfix(self, **figures: Any) -> None:
        pass
