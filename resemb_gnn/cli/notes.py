"""Lines on what happens, beside the output."""

import sys
from collections.abc import Callable


def note(quiet: bool) -> Callable[[str], None]:
    """Prints a line on standard error; with ``quiet``, does nothing."""

    def say(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr, flush=True)

    return say
