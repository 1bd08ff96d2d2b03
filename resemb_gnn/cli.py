"""The command line: one thin function a command."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_origin

from resemb_gnn import __version__
from resemb_gnn.errors import InputError
from resemb_gnn.experiment import CompareSettings, compare
from resemb_gnn.experiment.arm_settings import value_type
from resemb_gnn.experiment.report import text_table


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0, or 2 if the input cannot be used, or 130 if interrupted."""
    parser = argparse.ArgumentParser(
        prog="resemb-gnn",
        description="Res-embedding for click-through-rate models: item = centre + residual.",
    )
    parser.add_argument("--version", action="version", version=f"resemb-gnn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_settings(
        commands.add_parser(
            "compare",
            help="train embeddings side by side and report",
            description="Trains a click model with each embedding over several seeds on the same"
            " examples, and writes results.json, results.md and report.html.",
            allow_abbrev=False,
        ),
        CompareSettings,
    )
    arguments = vars(parser.parse_args(argv))
    try:
        return {"compare": run_compare}[arguments.pop("command")](arguments)
    except InputError as error:
        print(f"resemb-gnn: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("resemb-gnn: interrupted; finished runs are kept", file=sys.stderr)
        return 130


def run_compare(arguments: dict[str, Any]) -> int:
    """``resemb-gnn compare``."""
    for name in ("embeddings", "override"):
        arguments[name] = tuple(dict.fromkeys(arguments[name]))
    settings = CompareSettings(**arguments)
    results = compare(settings, log=lambda line: print(line, file=sys.stderr, flush=True))
    print(text_table(results))
    print(f"\n{settings.out}/report.html, results.md and results.json hold the whole of it.")
    return 0


def add_settings(parser: argparse.ArgumentParser, settings: type) -> None:
    """One flag a field of a settings class, with its default, choices and help."""
    groups: dict[str | None, Any] = {None: parser}
    for spec in fields(settings):
        group = spec.metadata["group"]
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        flag = "--" + spec.name.replace("_", "-")
        text = spec.metadata["help"].replace("%", "%%")
        options: dict[str, Any] = {"default": spec.default}
        kind = value_type(spec)
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction if spec.default else "store_true"
        else:
            if get_origin(spec.type) is tuple:
                options["nargs"] = "+"
            options["type"] = kind
            options["choices"] = spec.metadata["choices"]
            options["metavar"] = None if options["choices"] else kind.__name__.upper()
            if spec.default not in (None, ()):
                shown = spec.default
                shown = " ".join(shown) if isinstance(shown, tuple) else shown
                text += f" (default: {shown})"
        groups[group].add_argument(flag, help=text, **options)
