"""The program ``resemb-gnn``: reads flags and settings file, runs a command, tells how it went.

Exit codes: 0 if all went well, 2 if the input or the usage is wrong, 130 if interrupted, and 1 for
any other failure, such as memory that is exhausted or a loss that is not finite.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from importlib import metadata

from resemb_gnn.cli.commands import COMMANDS
from resemb_gnn.cli.flags import add_settings, flag_name, make_settings
from resemb_gnn.cli.outputs import refuse_own_input
from resemb_gnn.cli.settings_file import read_settings_file
from resemb_gnn.errors import InputError, TrainingError, did_you_mean
from resemb_gnn.io.paths import expanded
from resemb_gnn.io.streams import standard_streams
from resemb_gnn.settings.names import find

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit code. A usage error and ``--help`` leave by ``SystemExit``, as argparse has it.
    """
    with standard_streams():
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    parser, parsers = _parsers()
    arguments, unknown = parser.parse_known_args(argv)
    given = vars(arguments)
    name = given.pop("command")
    command, config = COMMANDS[name], given.pop("config", None)
    if unknown:
        hint = _nearest_flag(unknown, command.settings)
        parsers[name].error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    try:
        if config is not None:
            given = read_settings_file(expanded(config), command.settings) | given
        settings = make_settings(command.settings, given, command.positional)
        refuse_own_input(settings, config)
        find(command.place)(settings)
        sys.stdout.flush()
        return OK
    except TrainingError as error:
        return _fail(str(error), FAILED)
    except (InputError, ImportError) as error:  # such as a package of an extra
        if isinstance(error, ImportError) and "pip install" not in str(error):
            raise
        return _fail(str(error), BAD_INPUT)
    except KeyboardInterrupt:
        return _fail("interrupted; what had ended is kept", INTERRUPTED)
    except BrokenPipeError:  # the reader, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:  # such as a disk that is full by now
        return _fail(str(error), FAILED)


def _parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser(
        prog="resemb-gnn",
        description="Res-embedding for click-through-rate models: item = centre + residual.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"resemb-gnn {metadata.version('resemb-gnn')}"
    )
    found = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parsers = {}
    for name, command in COMMANDS.items():
        parsers[name] = found.add_parser(
            name, help=command.help, description=command.description, allow_abbrev=False
        )
        parsers[name].add_argument(
            "--config",
            metavar="FILE.yaml",
            default=argparse.SUPPRESS,
            help="settings, one NAME: VALUE a line; flags go before them",
        )
        add_settings(parsers[name], command.settings, command.positional)
    return parser, parsers


def _nearest_flag(unknown: list[str], settings: type) -> str:
    known = ["--config", *(flag_name(spec.name) for spec in fields(settings))]
    hints = (did_you_mean(word.partition("=")[0], known) for word in unknown)
    return next(filter(None, hints), "")


def _fail(message: str, code: int) -> int:
    print(f"resemb-gnn: {message}", file=sys.stderr)
    return code
