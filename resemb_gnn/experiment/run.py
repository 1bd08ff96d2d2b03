"""One run of a comparison: an embedding trained from one seed, and what is kept of it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import nn

from resemb_gnn.data import Examples, Split
from resemb_gnn.errors import InputError
from resemb_gnn.experiment.geometry import item_geometry
from resemb_gnn.experiment.predictions import predictions_path, write_predictions
from resemb_gnn.experiment.ranking import ranking_figures
from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.io.paths import expanded
from resemb_gnn.models import CTRModel
from resemb_gnn.nn import ResEmbedding
from resemb_gnn.pipeline.facts import training_figures
from resemb_gnn.pipeline.task import Task, fit_with
from resemb_gnn.pipeline.tensorboard import TensorBoard
from resemb_gnn.settings import CompareSettings
from resemb_gnn.settings.compare import IN
from resemb_gnn.theory import GapCurve
from resemb_gnn.training import FitResult, evaluate, predict

RARE = 3  # training behaviours


@dataclass(frozen=True)
class Run:
    """What is compared, by its name (an embedding's, or EMBEDDING in MODEL), and a seed."""

    arm: str
    seed: int

    def __str__(self) -> str:
        return f"{self.arm}, seed {self.seed}"

    @property
    def file_name(self) -> str:
        """What its files are called."""
        return f"{file_name(self.arm)}-{self.seed}"

    def checkpoints(self, folder: Path) -> Path:
        """Where its checkpoints are, of a comparison in a folder."""
        return folder / "checkpoints" / self.file_name


def make_run(task: Task, run: Run) -> dict[str, Any]:
    """Trains a run from its start or its checkpoint, and returns what results.json says of it.

    Of seed 0 the picture of the items is saved. The checkpoints stay until the run stands there.

    Args:
        task: the data, read by the settings of the comparison.
        run: which.
    """
    settings = task.settings
    assert isinstance(settings, CompareSettings)
    split, folder = task.split, shared_folder(settings.out)
    device = torch.device(settings.device)
    embedding, model_name = settings.arms[run.arm]
    own = settings.of(embedding)
    model = task.make_model(embedding, own, run.seed, model_name)
    if settings.ranking is not None and not isinstance(model, CTRModel):
        raise InputError(f"ranking: the click model {model_name} is no CTRModel, which it takes")
    gaps = GapCurve(model, split.train_sample, max_history=settings.max_history)
    result = fit_with(
        own,
        model,
        split,
        seed=run.seed,
        on_epoch=_on_epoch(settings, run, gaps),
        checkpoints=run.checkpoints(folder),
        resume=settings.resume,
    )
    items = getattr(model, "embedding", None)  # a click model of one's own may have none
    if run.seed == 0 and _has_geometry(items):
        (folder / "geometry").mkdir(parents=True, exist_ok=True)
        item_geometry(items, count=task.graph.count).save(geometry_path(folder, run.arm))
    if settings.save_predictions:
        path = predictions_path(folder, run.file_name)
        logit = predict(result.model, split.test.to(device), max_history=settings.max_history)
        write_predictions(path, task.source.log, split.test, logit)
    record = run_record(run.arm, model_name, run.seed, settings.overrides(embedding), result)
    record["test_rare"] = _rare_metrics(result.model, split, settings)
    if settings.ranking is not None:
        assert isinstance(result.model, CTRModel)
        record["ranking"] = ranking_figures(result.model, task, settings)
    for epoch, gap in zip(record["curve"], gaps.gaps, strict=True):
        epoch["gap"] = gap.logloss
    return record


def run_record(
    embedding: str, model: str, seed: int, overrides: dict[str, Any], result: FitResult
) -> dict[str, Any]:
    """What results.json says of a run."""
    return {
        "embedding": embedding,
        "model": model,
        "seed": seed,
        "overrides": overrides,
        **training_figures(result),
        "examples_per_second": result.examples_per_second,
        "curve": [asdict(epoch) for epoch in result.curve],
    }


def file_name(arm: str) -> str:
    """The name of what is compared as a part of a file's name, which must not hold a colon
    everywhere.
    """
    return arm.replace(IN, "-").replace(":", "-")


def rare_targets(split: Split) -> Examples:
    """The test examples whose candidate has at most ``RARE`` training behaviours."""
    history = split.history
    count = history.items.bincount(minlength=history.num_items)
    return split.test[count[split.test.target] <= RARE]


def _rare_metrics(
    model: nn.Module, split: Split, settings: CompareSettings
) -> dict[str, float] | None:
    """AUC and log loss on them; ``None`` if they have one label only."""
    examples = rare_targets(split)
    if examples.label.unique().numel() < 2:  # no AUC
        return None
    device = torch.device(settings.device)
    found = evaluate(model, examples.to(device), max_history=settings.max_history)
    # No GAUC: hardly a user has both a rare positive and a rare negative.
    return {"auc": found.auc, "logloss": found.logloss, "examples": len(examples)}


def geometry_path(folder: Path, arm: str) -> Path:
    """Where the picture of the items is, of a comparison in a folder."""
    return folder / "geometry" / f"{file_name(arm)}.npz"


def _on_epoch(settings: CompareSettings, run: Run, gaps: GapCurve) -> GapCurve | TensorBoard:
    if settings.tensorboard is None:
        return gaps
    return TensorBoard(expanded(settings.tensorboard) / run.file_name, gaps)


def _has_geometry(embedding: Any) -> TypeGuard[ResEmbedding]:
    """Whether items have learnt centres whose weights are shares."""
    return (
        isinstance(embedding, ResEmbedding)
        and embedding.centers.requires_grad
        and embedding.encoder.normalize.shares
    )
