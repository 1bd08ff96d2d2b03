"""Progress of a command that has several stages."""

import time
from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Self, TypeVar

from resemb_gnn.io.streams import display, progress_bar

T = TypeVar("T")


class Stages:
    """A bar on standard error that names the stage under way and its seconds, or a line a stage
    that has ended where that is no terminal.

    Args:
        number: how many stages there are.
        quiet: show nothing.
    """

    def __init__(self, number: int, quiet: bool) -> None:
        self.bar = progress_bar(
            total=number,
            disable=quiet,
            leave=False,
            bar_format="{desc}{bar:20} stage {n_fmt} of {total_fmt}, {elapsed}",
        )
        self._lines = not quiet
        self._over = Event()
        if not self.bar.disable:
            Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        """Goes on with the clock, so that a long stage does not look like a hang."""
        while not self._over.wait(1):
            self.bar.refresh()

    def run(self, title: str, stage: Callable[[], T]) -> T:
        """Does a stage, under its title."""
        self.bar.set_description(title)
        started = time.perf_counter()
        found = stage()
        self.bar.update()
        if self._lines:
            display().line(f"{title}: {time.perf_counter() - started:.1f} s")
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self.bar.close()
