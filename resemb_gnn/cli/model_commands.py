"""The commands that train a model, or use a saved one."""

import os
from dataclasses import replace
from pathlib import Path

from resemb_gnn.cli.command_settings import (
    ExportSettings,
    ModelSettings,
    SimilarSettings,
)
from resemb_gnn.cli.notes import note
from resemb_gnn.errors import InputError
from resemb_gnn.io.atomic import whole_folder
from resemb_gnn.io.outputs import lies_in, new_folder
from resemb_gnn.io.paths import expanded
from resemb_gnn.io.text_tables import aligned
from resemb_gnn.optional import require
from resemb_gnn.pipeline.facts import shown_figure, why_undefined
from resemb_gnn.pipeline.progress import Stages
from resemb_gnn.saved import TrainedModel, load, train
from resemb_gnn.saved.layout import model_place
from resemb_gnn.settings import FitSettings
from resemb_gnn.training import is_first
from resemb_gnn.training.checkpoint import CheckpointFolder

FIGURES = {"auc": "AUC", "gauc": "GAUC", "logloss": "log loss"}


def run_fit(settings: FitSettings) -> None:
    """``resemb-gnn fit``: checkpoints stand beside the model's folder until it is written."""
    out = model_place(settings.out, settings.replace)
    if settings.tensorboard is not None and lies_in(expanded(settings.tensorboard), out):
        raise InputError(f"--tensorboard {settings.tensorboard} lies in the model's own folder")
    checkpoints = out.with_name(out.name + ".checkpoints")
    if settings.threads is None and not os.environ.get("OMP_NUM_THREADS"):
        # Steps are too small for two threads to gain by, and these wait for each other busily: they
        # crawl as soon as anything else runs.
        settings = replace(settings, threads=1)
    trained = train(settings, checkpoints=checkpoints, log=note(settings.quiet or not is_first()))
    if not is_first():  # torchrun started several, and one writes
        return
    with Stages(1, settings.quiet) as stages:
        stages.run(f"writing {settings.out}", lambda: trained.save(out, replace=settings.replace))
    CheckpointFolder(checkpoints).remove()
    figures = trained.facts["figures"]
    folder = Path(settings.out)  # as it was named, but for a last slash
    if not settings.test:
        print(f"every row trained, and none was left to score; {folder}/ holds the model.")
        return
    rows = [["examples", *FIGURES.values()]]
    parts = ("test", "valid", "train")
    rows += [[name, *figure_cells(figures[name])] for name in parts]
    print(aligned(rows), *why_undefined(figures[name] for name in parts), sep="\n")
    print(f"\nepoch {figures['best_epoch']} of {figures['epochs']}; {folder}/ holds the model.")


def run_similar(settings: SimilarSettings) -> None:
    """``resemb-gnn similar``: the items nearest to one, by the cosine of their embeddings."""
    with Stages(2, settings.quiet) as stages:
        trained = load_model(settings, stages)
        found = stages.run("searching", lambda: trained.similar(settings.item_id, settings.k))
    print(aligned([["item", "similarity"], *([str(i), f"{s:.4f}"] for i, s in found.rows())]))


def run_export(settings: ExportSettings) -> None:
    """``resemb-gnn export``: item vectors, index and scorer for serving."""
    from resemb_gnn.serving import export, export_embeddings, export_scorer, item_index

    files = (*item_index.FILES, *export.FILES)
    out = new_folder(
        settings.out, settings.replace, (item_index.TABLE,), files, what="exported model"
    )
    if settings.index:  # told before the scorer is made
        require("usearch.index", "index=True", "serve")
    with Stages(2 + settings.scorer, settings.quiet) as stages:
        trained = load_model(settings, stages)
        with whole_folder(out, replace=True) as new:
            if settings.scorer:  # first: some models have none, and an index may take minutes
                stages.run(
                    "scorer",
                    lambda: export_scorer(
                        trained.model,
                        new,
                        onnx=settings.onnx,
                        user_ids=trained.histories.user_ids,
                        features=trained.features,
                        candidates=settings.candidates,
                    ),
                )
            vectors = trained.embedding, trained.item_ids, new
            stages.run("item vectors", lambda: export_embeddings(*vectors, index=settings.index))
    sizes = [[file.name, f"{file.stat().st_size:,}"] for file in sorted(out.iterdir())]
    print(aligned([["file", "bytes"], *sizes]))


def load_model(settings: ModelSettings, stages: Stages) -> TrainedModel:
    """The saved model that a command names, as a stage of it."""
    return stages.run(
        f"reading {settings.model}", lambda: load(settings.model, device=settings.device)
    )


def figure_cells(figures: dict[str, float]) -> list[str]:
    """The cells of a row of figures, in the order of ``FIGURES``."""
    return [shown_figure(figures[name]) for name in FIGURES]
