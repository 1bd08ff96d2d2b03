"""``resemb-gnn update``: a saved model goes on with the rows of a later log."""

import os
from pathlib import Path

from resemb_gnn.cli.command_settings import UpdateSettings
from resemb_gnn.cli.evaluate import data_settings, say_what_begins_anew
from resemb_gnn.cli.model_commands import FIGURES, figure_cells, load_model
from resemb_gnn.cli.notes import note
from resemb_gnn.data import Features
from resemb_gnn.errors import InputError
from resemb_gnn.io.frame import naming_lines
from resemb_gnn.io.parts import shown_paths
from resemb_gnn.io.text_tables import aligned, one_line
from resemb_gnn.pipeline.facts import why_undefined
from resemb_gnn.pipeline.progress import Stages
from resemb_gnn.pipeline.task import read_source
from resemb_gnn.saved.ids import num_not_later
from resemb_gnn.saved.layout import model_place
from resemb_gnn.saved.trained_model import TrainedModel
from resemb_gnn.saved.updating import refuse_what_cannot_be_updated

_CHANGES = ("negatives", "lr", "batch_size", "patience", "seed", "threads")


def run_update(settings: UpdateSettings) -> None:
    """Updates a model and writes it, whole or not at all, as another one: the old one stays."""
    out = model_place(settings.out, settings.replace)
    say = note(settings.quiet)
    with Stages(2, settings.quiet) as stages:
        trained = load_model(settings, stages)
        refuse_what_cannot_be_updated(trained)
        data = data_settings(settings, trained)
        source = stages.run(f"reading {shown_paths(data.data)}", lambda: read_source(data))
    if source.published is not None:
        raise InputError(f"{source.name} comes with examples over item numbers of its own")
    say(str(source))
    if early := num_not_later(trained.facts, source.log):
        say(
            f"{early:,} of the {source.log.num_behaviors:,} rows are not later than the training's"
            " last one: the model may know them"
        )
    say_what_begins_anew(trained, source.name, say)
    changes = {name: getattr(settings, name) for name in _CHANGES}
    changes = {name: value for name, value in changes.items() if value is not None}
    if not os.environ.get("OMP_NUM_THREADS"):
        changes.setdefault("threads", 1)  # as fit has it
    with naming_lines(data.data):
        updated = trained.update(
            source.log,
            epochs=settings.epochs,
            replay=settings.replay,
            name=source.name,
            progress=not settings.quiet,
            **changes,
        )
    with Stages(1, settings.quiet) as stages:
        stages.run(f"writing {settings.out}", lambda: updated.save(out, replace=settings.replace))
    figures = updated.facts["figures"]
    parts = {"newest rows, untrained": "untrained", "newest rows": "test", "valid": "valid"}
    rows = [["examples", *FIGURES.values()]]
    rows += [[title, *figure_cells(figures[name])] for title, name in parts.items()]
    print(aligned(rows), *why_undefined(figures[name] for name in parts.values()), sep="\n")
    users, items = (
        len(new) - len(old)
        for new, old in (
            (updated.histories.user_ids, trained.histories.user_ids),
            (updated.item_ids, trained.item_ids),
        )
    )
    print(
        f"\nepoch {figures['best_epoch']} of {figures['epochs']}; {users:,} new users and"
        f" {items:,} new items; {Path(settings.out)}/ holds the model."
    )
    if new := _new_values(trained, updated):
        print(f"new values of features: {', '.join(new)}.")


def _new_values(before: TrainedModel, after: TrainedModel) -> list[str]:
    """The features that have more values than before, and how many more each."""
    found = []
    for place, table in (after.features or Features()).tables():
        for one in table:
            known = getattr(before.features, place).features[one.name]
            if more := one.num_codes - known.num_codes:
                found.append(f"{one_line(one.name)} {more:,}")
    return found
