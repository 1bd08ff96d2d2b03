"""The program ``resemb-gnn``: reads flags and settings file, runs a command, tells how it went.

Exit codes: 0 if all went well, 2 if the input or the usage is wrong, 130 if interrupted, and 1 for
any other failure, such as memory that is exhausted or a loss that is not finite.
"""

import argparse
import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import fields
from importlib import metadata
from typing import Any

from resemb_gnn.cli.commands import COMMANDS, Command
from resemb_gnn.cli.flags import add_settings, flag_name, make_settings
from resemb_gnn.cli.inputs import check_tables
from resemb_gnn.cli.outputs import refuse_own_input
from resemb_gnn.cli.settings_file import read_settings_file
from resemb_gnn.cli.synonyms import nearest_command, nearest_setting
from resemb_gnn.errors import InputError, TrainingError, shown
from resemb_gnn.io.paths import expanded
from resemb_gnn.io.streams import standard_streams
from resemb_gnn.settings.names import find
from resemb_gnn.settings.setting import is_required

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit code. A usage error and ``--help`` leave by ``SystemExit``, as argparse has it.
    """
    with standard_streams():
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser, parsers = _parsers()
    if argv and not argv[0].startswith("-") and argv[0] not in COMMANDS:
        hint = nearest_command(argv[0], COMMANDS) or f"; choose from {', '.join(COMMANDS)}"
        parser.error(f"unknown command {shown(argv[0])}{hint}")
    arguments, unknown = parser.parse_known_args(argv)
    given = vars(arguments)
    name = given.pop("command")
    command, config = COMMANDS[name], given.pop("config", None)
    if unknown:
        hint = _hint(unknown, command.settings, given)
        parsers[name].error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    try:
        if config is not None:
            given = read_settings_file(expanded(config), command.settings) | given
        settings = make_settings(command.settings, given, command.positional, command.needs)
        refuse_own_input(settings, config)
        check_tables(settings)
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
        return _fail(
            "interrupted; what had ended is kept: fit and compare go on with --resume", INTERRUPTED
        )
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
            name,
            help=command.help,
            description=command.description,
            usage=_usage(name, command),
            allow_abbrev=False,
        )
        _add_flags(parsers[name], command, rare=False)
    return parser, parsers


def _usage(name: str, command: Command) -> str:
    """One line: what must be given, and where the rest is told."""
    words = ["resemb-gnn", name]
    for spec in fields(command.settings):
        if spec.name == command.positional:
            words.insert(2, spec.name.upper())
        elif is_required(spec) or spec.name in command.needs:
            words.append(f"{flag_name(spec.name)} {spec.name.upper()}")
    return " ".join([*words, "[OPTION ...]"])


def _add_flags(parser: argparse.ArgumentParser, command: Command, rare: bool) -> None:
    parser.add_argument(
        "--help-all", action=_HelpAll, command=command, text="show every option, and exit"
    )
    parser.add_argument(
        "--config",
        metavar="FILE.yaml",
        default=argparse.SUPPRESS,
        help="settings, one NAME: VALUE a line; flags go before them",
    )
    add_settings(parser, command.settings, command.positional, command.needs, rare)


class _HelpAll(argparse.Action):
    """Shows what ``--help`` does, and the options that most people do without."""

    def __init__(self, option_strings: list[str], dest: str, command: Command, text: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=text)
        self.command = command

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        every = argparse.ArgumentParser(
            prog=parser.prog, usage=parser.usage, description=parser.description
        )
        _add_flags(every, self.command, rare=True)
        every.print_help()
        parser.exit()


def _hint(unknown: list[str], settings: type, given: Collection[str]) -> str:
    """What was meant by words that no flag took."""
    names = {spec.name for spec in fields(settings)}
    if not unknown[0].startswith("-"):
        return f"; did you mean --data {unknown[0]}?" if "data" in names - set(given) else ""
    words = (word.partition("=")[0] for word in unknown if word.startswith("-"))
    known = {flag_name(name): name for name in ("config", *names)}
    return next(filter(None, (nearest_setting(word, known) for word in words)), "")


def _fail(message: str, code: int) -> int:
    print(f"resemb-gnn: {message}", file=sys.stderr)
    return code
