"""The training runs that faults.py stops: each is a process of its own."""

import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.synthetic_log import synthetic_log
from resemb_gnn import DIEN, DIN, BehaviorLog, ResEmbedding, Split, covisit_graph, fit
from resemb_gnn.errors import InputError
from resemb_gnn.nn import ResidualOptions
from resemb_gnn.theory import GapCurve

KINDS = {
    "gcn": "DIN, `gcn` with two folds, dense Adam",
    "rows": "DIN, `gcn`, residuals by AdamAR on the batch's rows with decay",
    "dien": "DIEN, which draws negatives from the global generator",
    "compiled": "DIN, `gcn`, compiled",
}
USERS, ITEMS, BEHAVIORS, BATCH = 500, 300, 6_000, 256
INTERRUPTED, REFUSED = 130, 2  # exit codes, as the command line's


@dataclass(frozen=True)
class Job:
    """A run, and what goes wrong in it.

    Args:
        folder: where its checkpoints (``checkpoints/``), its ``weights.pt`` and its ``message.txt``
            go.
        kind: one of ``KINDS``.
        seconds: between checkpoints.
        lr: learning rate.
        data_seed: seed of the synthetic log.
        fault: ``"nan"`` or ``"memory"`` at step ``at``, or ``"file size"``: no file may grow beyond
            100 kB.
        at: see ``fault``.
    """

    folder: Path
    kind: str = "gcn"
    seconds: float = 0.2
    lr: float = 0.01
    data_seed: int = 0
    fault: str | None = None
    at: int = 40

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"


def make_split(seed: int) -> Split:
    frame = synthetic_log(USERS, ITEMS, BEHAVIORS, seed)
    return BehaviorLog.from_frame(frame, "user", "item", "time").split()


def make_model(kind: str, split: Split) -> nn.Module:
    torch.manual_seed(0)
    graph = covisit_graph(split.history, folds=2 if kind == "gcn" else None)
    options = ResidualOptions(decay=1e-3) if kind == "rows" else None
    embedding = ResEmbedding(graph, 16, 16, feature_dim=16, residual_options=options)
    return DIEN(embedding) if kind == "dien" else DIN(embedding)


def run(job: Job) -> None:
    """Trains to the end from the last checkpoint, if there is one; exits as the command line does.

    Leaves the weights, the figures, and the number of training steps that this process made.
    """
    torch.set_num_threads(1)
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        found = _train(job)
        torch.save(found, job.folder / "weights.pt")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except InputError as error:
        (job.folder / "message.txt").write_text(str(error))
        sys.exit(REFUSED)


def _train(job: Job) -> dict[str, Any]:
    split = make_split(job.data_seed)
    model = make_model(job.kind, split)
    steps = 0

    def count(module: nn.Module, arguments: Any) -> None:
        nonlocal steps
        steps += module.training
        if module.training and job.fault in FAULTS and steps == job.at:
            FAULTS[job.fault](module)

    model.register_forward_pre_hook(count)
    if job.fault == "file size":
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    gaps = GapCurve(model, split.train_sample)
    result = fit(
        model,
        split,
        epochs=2,
        batch_size=BATCH,
        lr=job.lr,
        patience=2,
        max_history=20,
        compile=job.kind == "compiled",
        progress=False,
        on_epoch=gaps,
        checkpoints=job.checkpoints,
        resume=True,
        checkpoint_seconds=job.seconds,
    )
    return {
        "weights": result.model.state_dict(),
        "figures": [
            *((epoch.train_loss, epoch.valid.auc) for epoch in result.curve),
            *(gap.logloss for gap in gaps.gaps),
            result.test.auc,
            result.test.logloss,
        ],
        "steps": steps,
    }


def _spoil(model: nn.Module) -> None:
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] = float("nan")


def _hog(model: nn.Module) -> None:
    status = Path("/proc/self/statm").read_text().split()
    size = int(status[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 2**26, size + 2**26))
    torch.zeros(2**28)  # a GiB


FAULTS = {"nan": _spoil, "memory": _hog}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two runs ended with the same weights, to the bit, and the same figures."""

    def equal(a: Tensor, b: Tensor) -> bool:
        return a.dtype == b.dtype and torch.equal(a, b)

    first, second = one["weights"], other["weights"]
    return (
        first.keys() == second.keys()
        and all(equal(value, second[name]) for name, value in first.items())
        and one["figures"] == other["figures"]
    )
