"""Progress of a command that has several stages."""

from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from tqdm import tqdm

T = TypeVar("T")


class Stages:
    """A bar on standard error that names the stage under way.

    Args:
        number: how many stages there are.
        quiet: show nothing.
    """

    def __init__(self, number: int, quiet: bool) -> None:
        self.bar = tqdm(
            total=number,
            disable=quiet,
            leave=False,
            bar_format="{desc}{bar:20} stage {n_fmt} of {total_fmt}, {elapsed}",
        )

    def run(self, title: str, stage: Callable[[], T]) -> T:
        """Does a stage, under its title."""
        self.bar.set_description(title)
        found = stage()
        self.bar.update()
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.close()
