"""``resemb-gnn evaluate``: how well a saved model does, on held-out rows or on later ones."""

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from resemb_gnn.cli.command_settings import EvaluateSettings, ModelDataSettings
from resemb_gnn.cli.model_commands import FIGURES, figure_cells, load_model
from resemb_gnn.cli.notes import note
from resemb_gnn.datasets import DataSource
from resemb_gnn.errors import InputError
from resemb_gnn.io.frame import naming_lines
from resemb_gnn.io.json_text import map_numbers
from resemb_gnn.io.parts import find_places, is_table, shown_paths
from resemb_gnn.io.text_tables import aligned
from resemb_gnn.pipeline.facts import why_undefined
from resemb_gnn.pipeline.progress import Stages
from resemb_gnn.pipeline.task import make_split, read_source
from resemb_gnn.saved import TrainedModel
from resemb_gnn.saved.new_log import LaterLog, is_training_data
from resemb_gnn.settings import DataSettings
from resemb_gnn.settings.names import SPLITS
from resemb_gnn.settings.shared import FEATURE_SETTINGS

_CUTS = ("by", "valid_from", "test_from")  # what decides which rows test


def run_evaluate(settings: EvaluateSettings) -> None:
    """Scores the test part of the training's data, or every row of another log."""
    with Stages(2, settings.quiet) as stages:
        trained = load_model(settings, stages)
        _refuse_without_held_out(settings, trained)
        data = data_settings(settings, trained)
        source = stages.run(f"reading {shown_paths(data.data)}", lambda: read_source(data))
    if is_training_data(trained, source.log):
        if not trained.settings.test:
            raise InputError(f"{settings.model} was trained on every row of {source.name}")
        _evaluate_held_out(settings, trained, data, source)
    else:
        _evaluate_later(settings, trained, data, source)


def _refuse_without_held_out(settings: EvaluateSettings, trained: TrainedModel) -> None:
    """Refuses to score held-out rows of a model that has none, or whose can no longer be told."""
    why = None
    if not trained.settings.test:
        why = "was trained on every row of its data"
    elif trained.facts["data"].get("updates"):
        why = "was updated, and which rows were held out is not kept (its card has their figures)"
    if settings.data is None and why is not None:
        raise InputError(f"{settings.model} {why}: name a later log (--data)")


def _evaluate_held_out(
    settings: EvaluateSettings, trained: TrainedModel, data: DataSettings, source: DataSource
) -> None:
    split = make_split(source, data)
    trained_on = trained.facts["data"]["split"]
    if any(split.settings.get(name) != trained_on.get(name) for name in _CUTS):
        note(settings.quiet)(
            "the log is cut otherwise than in training: the model may have been trained on some of"
            " the test rows"
        )
    found = asdict(trained.evaluate(split.test, progress=not settings.quiet))
    if settings.json:
        _print_json(settings, source, True, len(split.test), split.settings, {"test": found})
        return
    rows = [["test examples", "number", *FIGURES.values()]]
    rows.append([source.name, f"{len(split.test):,}", *figure_cells(found)])
    if split.settings == trained_on:
        saved = trained.facts["figures"]["test"]
        rows.append(["as fit measured", f"{len(split.test):,}", *figure_cells(saved)])
    print(aligned(rows), *why_undefined([found]), sep="\n")


def _evaluate_later(
    settings: EvaluateSettings, trained: TrainedModel, data: DataSettings, source: DataSource
) -> None:
    if source.published is not None:
        raise InputError(f"{source.name} comes with examples over item numbers of its own")
    for name in ("split", "valid_from", "test_from", "split_seed"):
        if (given := getattr(settings, name)) is not None:
            raise InputError(
                f"--{name.replace('_', '-')} {given}: {source.name} is another log than the"
                " training's, and every row of it is scored"
            )
    with naming_lines(data.data):
        later = LaterLog.of(trained, source.log, negatives=settings.negatives, name=source.name)
    say = note(settings.quiet)
    say(str(source))
    if later.num_early:
        say(
            f"{later.num_early:,} of the {later.num_rows:,} rows are not later than the training's"
            " last one: the model may have seen them"
        )
    say_what_begins_anew(trained, source.name, say)
    found = {name: asdict(one) for name, one in later.metrics(progress=not settings.quiet).items()}
    new = int(later.new_user.sum())
    numbers = {"all": len(later.examples), "new users": new}
    numbers["known users"] = numbers["all"] - new
    if settings.json:
        counts = {
            "rows": later.num_rows,
            "scored_rows": later.num_scored,
            "rows_of_new_users": later.num_of_new_users,
            "rows_not_later": later.num_early,
        }
        figures = {"test": found.pop("all")} | {key.replace(" ", "_"): found[key] for key in found}
        _print_json(settings, source, False, numbers["all"], later.split, figures, counts)
        return
    rows = [["examples", "number", *FIGURES.values()]]
    for name, of_part in found.items():
        title = source.name if name == "all" else f"of {name}"
        rows.append([title, f"{numbers[name]:,}", *figure_cells(of_part)])
    print(aligned(rows), *why_undefined(found.values()), sep="\n")
    print(f"\nscored {later.num_scored:,} of {later.num_rows:,} rows", end="")
    left_out = later.num_rows - later.num_scored
    print(f"; left out {left_out:,} of items unknown to the model" if left_out else "", end="")
    if later.num_of_new_users:
        print(f"; {later.num_of_new_users:,} rows of unknown users, by their earlier rows", end="")
    print(".")


def say_what_begins_anew(trained: TrainedModel, name: str, say: Callable[[str], None]) -> None:
    """Tells of time features that look back, in a log that is read alone."""
    by_time = set(trained.settings.time_features or ()) & set(trained.context_names)
    if since := sorted(by_time & {"item_age", "gap"}):
        say(f"{' and '.join(since)} count from the first rows of {name}, which is read alone")


def _print_json(
    settings: EvaluateSettings,
    source: DataSource,
    training_data: bool,
    examples: int,
    split: dict[str, Any],
    figures: dict[str, dict[str, float]],
    counts: dict[str, int] | None = None,
) -> None:
    contents = {
        "model": settings.model,
        "data": source.name,
        "training_data": training_data,
        "examples": examples,
        **(counts or {}),
        "split": split,
        **{name: map_numbers(one, to_file=True) for name, one in figures.items()},
    }
    print(json.dumps(contents, indent=1, allow_nan=False))


def data_settings(settings: ModelDataSettings, trained: TrainedModel) -> DataSettings:
    """What the command gives of the data, and the rest as in training. The model knows the features
    of items and users itself: with other data, their tables are read where they are given alone.
    """
    names = [spec.name for spec in fields(DataSettings)]
    values: dict[str, Any] = {name: getattr(settings, name, None) for name in names}
    left: tuple[str, ...] = ()
    if settings.data is not None:
        named = any(values[name] is not None for name in _COLUMNS)
        left = () if is_table(find_places(settings.data), columns_named=named) else _COLUMNS
        for table, chosen in (("items", "item_features"), ("users", "user_features")):
            left += () if values[table] is not None else (table, chosen)
    if trained.features is None:
        left += FEATURE_SETTINGS
    for name in names:
        if values[name] is None and name not in left:
            values[name] = getattr(trained.settings, name)
    by = trained.facts["data"]["split"].get("by")
    if values["split"] is None and by in SPLITS:  # also where the default was another
        values["split"] = by
    if settings.kinds is None and trained.features is not None:  # kinds as the model has them
        read = {"items": values["items"], "users": values["users"], "context": values["context"]}
        tables = [table for place, table in trained.features.tables() if read[place]]
        values["kinds"] = tuple(f"{one.name}={one.kind}" for table in tables for one in table)
    return DataSettings(**values)


_COLUMNS = (
    *("user", "item", "time", "category", "label"),
    *("context", "time_features", "kinds", "list_separator"),
)
