"""Our contenders: an epoch of DIN by embedding, the share of the arithmetic limit, metrics."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GCNConv

import resemb_gnn as rg
from benchmarks.synthetic_log import synthetic_log
from benchmarks.timing import Contender, always
from resemb_gnn.datasets import read_sequence_file
from resemb_gnn.training import ModelAdam, auc, gauc, log_loss, training_step
from resemb_gnn.training.fit import SPARSE_ROWS

DIM, CENTERS, ATTENTION, HIDDEN = 32, 64, 36, (200, 80)
BATCH_SIZE, MAX_HISTORY, LEARNING_RATE = 1024, 100, 1e-3
BEAUTY = (22_363, 12_101, 198_502)  # users, items, behaviours
SGEMM_SIZES = (512, 1024, 2048)
PREDICTIONS = 1_000_000


class Task(NamedTuple):
    """Training examples in a random order, the same for all contenders, and the graph; examples and
    order are on the device.
    """

    split: rg.Split
    graph: Data
    order: Tensor
    device: torch.device = torch.device("cpu")

    @property
    def train(self) -> rg.Examples:
        return self.split.train

    @property
    def num_items(self) -> int:
        return self.split.history.num_items

    def rows(self, number: int, steps: int) -> list[Tensor]:
        """Numbers of the examples of a round's batches: the whole epoch if ``steps`` is 0."""
        if not steps:
            return list(self.order.split(BATCH_SIZE))
        full = len(self.train) // BATCH_SIZE
        batches = (number * steps + torch.arange(steps)) % full
        return [self.order[b * BATCH_SIZE :][:BATCH_SIZE] for b in batches.tolist()]

    def batch(self, index: Tensor) -> rg.Batch:
        return self.train.batch(index, MAX_HISTORY)


def make_log(path: Path | None) -> rg.BehaviorLog:
    """A sequence file, or a synthetic log of the size of Beauty."""
    if path is not None:
        return read_sequence_file(path)
    return rg.BehaviorLog.from_frame(synthetic_log(*BEAUTY), "user", "item", "time")


def make_task(path: Path | None, device: str = "cpu") -> Task:
    split = make_log(path).split(by="last")
    graph = rg.SpectralFeatures(DIM)(rg.covisit_graph(split.history))
    order = torch.randperm(len(split.train), generator=torch.Generator().manual_seed(0))
    split = replace(split, train=split.train.to(device))
    return Task(split, graph, order.to(device), torch.device(device))


def waiting(device: torch.device, job: Callable[[], object]) -> Callable[[], object]:
    """The job with all that the device still has to do for it."""
    if device.type != "cuda":
        return job

    def whole() -> None:
        job()
        torch.cuda.synchronize(device)

    return whole


def make_optimizer(model: nn.Module) -> ModelAdam:
    """The optimiser of ``fit``."""
    return ModelAdam(model, LEARNING_RATE, SPARSE_ROWS)


def make_din(embedding: nn.Module) -> rg.DIN:
    return rg.DIN(
        embedding,
        attention_hidden=(ATTENTION,),
        hidden=HIDDEN,
        activation="dice",
        attention_normalization="none",  # as its peers compute it
    )


def plain(task: Task) -> nn.Module:
    return nn.Embedding(task.num_items, DIM)


def embedding(task: Task, encoder: str | nn.Module | None) -> nn.Module:
    """A plain table, or Res-embedding around an encoder."""
    if encoder is None:
        return plain(task)
    centers = None if encoder == "average" else CENTERS
    return rg.ResEmbedding(task.graph, DIM, centers, encoder=encoder)


def din(task: Task, encoder: str | nn.Module | None = None) -> rg.DIN:
    """Our DIN as its peers compute it, with such an embedding."""
    return make_din(embedding(task, encoder))


def contender(
    name: str,
    task: Task,
    model: rg.models.CTRModel,
    steps: int,
    prepared: bool = False,
    flops: Callable[[int], float] | None = None,
    compiled: bool = False,
) -> Contender:
    """Training steps of a model of ours; with ``prepared``, on batches cut beforehand."""
    model.to(task.device).train()
    if compiled:
        model.compile()
    optimizer = make_optimizer(model)

    def step(batch: rg.Batch) -> Tensor:
        return training_step(model, batch, optimizer)

    def prepare(number: int) -> Callable[[], object]:
        rows = task.rows(number, steps)
        step(task.batch(rows[0]))  # warms the caches
        if prepared:
            batches = [task.batch(index) for index in rows]
            return waiting(task.device, lambda: [step(batch) for batch in batches])
        return waiting(task.device, lambda: [step(task.batch(index)) for index in rows])

    size = sum(parameter.numel() for parameter in model.parameters())
    examples = steps * BATCH_SIZE if steps else len(task.train)
    return Contender(name, prepare, examples, size, flops)


def embeddings(task: Task, steps: int) -> list[Contender]:
    encoders = {
        "plain table": None,
        "Res, average": "average",
        "Res, gcn": "gcn",
        "Res, gat": "gat",
    }
    made = [contender(name, task, din(task, encoder), steps) for name, encoder in encoders.items()]
    return made + [
        contender(f"{name}, compiled", task, din(task, encoders[name]), steps, compiled=True)
        for name in ("plain table", "Res, gcn")
    ]


def full_graph(task: Task, steps: int) -> list[Contender]:
    """PyG's own layers, as they are, on the full graph at each step."""
    width = task.graph.num_features
    encoders: dict[str, str | nn.Module] = {
        "gcn": "gcn",
        "gat": "gat",
        "GCNConv": GCNConv(width, CENTERS),
        "GCNConv(cached=True)": GCNConv(width, CENTERS, cached=True),
        "GATConv": GATConv(width, CENTERS),
    }
    return [contender(f"Res, {name}", task, din(task, e), steps) for name, e in encoders.items()]


def din_flops(behaviors: int, examples: int) -> float:
    """Floating-point operations of training steps of DIN as the paper writes it.

    Products of matrices and the weighted sum alone, two a multiply-add; unpadded, and the first
    layer of the attention, on ``[q, k, q - k, q * k]``, in one piece. Forward and backward are
    three times the forward pass.
    """
    attention = 2 * (4 * DIM * ATTENTION + ATTENTION) + 2 * DIM
    widths = (3 * DIM, *HIDDEN, 1)
    mlp = 2 * sum(a * b for a, b in pairwise(widths))
    return 3.0 * (behaviors * attention + examples * mlp)


def limit(task: Task, steps: int) -> list[Contender]:
    """The plain step and, beside it, the machine's float32 matrix product."""

    def flops(number: int) -> float:
        rows = torch.cat(task.rows(number, steps))
        length = (task.train.end - task.train.start)[rows].clamp(max=MAX_HISTORY)
        return din_flops(int(length.sum()), rows.numel())

    made = [
        contender(name, task, din(task), steps, prepared=True, flops=flops, compiled=compiled)
        for name, compiled in (("plain step", False), ("plain step, compiled", True))
    ]
    typical = task.batch(task.rows(0, 1)[0]).history.numel()
    shapes = [(size, size, size) for size in SGEMM_SIZES]
    shapes.append((typical, 4 * DIM, ATTENTION))
    return [*made, *(sgemm(*shape, task.device) for shape in shapes)]


def sgemm(rows: int, inner: int, columns: int, device: torch.device) -> Contender:
    work = 2.0 * rows * inner * columns
    # Some tens of milliseconds of a core, or of a GPU.
    times = max(1, round((8e9 if device.type == "cpu" else 8e11) / work))
    a, b = torch.randn(rows, inner, device=device), torch.randn(inner, columns, device=device)
    out = torch.empty(rows, columns, device=device)

    def prepare(number: int) -> Callable[[], object]:
        torch.mm(a, b, out=out)
        return waiting(device, lambda: [torch.mm(a, b, out=out) for _ in range(times)])

    name = f"sgemm {rows} x {inner} x {columns}"
    return Contender(name, prepare, flops=lambda number: times * work)


def metrics() -> list[Contender]:
    """AUC, GAUC and log loss of a million predictions, ten a user on average."""
    rng = np.random.default_rng(0)
    label = torch.from_numpy((rng.random(PREDICTIONS) < 0.5).astype(np.float32))
    logit = torch.from_numpy(rng.normal(size=label.numel()).astype(np.float32)) + label
    user = torch.from_numpy(rng.integers(PREDICTIONS // 10, size=PREDICTIONS))
    reference = roc_auc_score(label.numpy(), logit.numpy())
    if abs(auc(logit, label) - reference) > 1e-9:
        raise AssertionError("the AUC differs from scikit-learn's")
    jobs: dict[str, Callable[[], object]] = {
        "AUC, GAUC and log loss": lambda: (
            auc(logit, label),
            gauc(logit, label, user),
            log_loss(logit, label),
        ),
        "scikit-learn's AUC alone": lambda: roc_auc_score(label.numpy(), logit.numpy()),
    }
    return [always(name, job) for name, job in jobs.items()]
