"""Training, early stopping and evaluation."""

import copy
import dataclasses
import math
import random
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import Sequential

from resemb_gnn import (
    DIN,
    Batch,
    BehaviorLog,
    InputError,
    ResEmbedding,
    Split,
    covisit_graph,
    evaluate,
    fit,
    predict,
)
from resemb_gnn.nn import ResidualOptions
from resemb_gnn.training import auc, gauc, log_loss, seed_everything


@pytest.fixture(scope="module")
def split(log: BehaviorLog) -> Split:
    return log.split()


class Dot(nn.Module):
    """Candidate times mean of the history: small, no batch statistics."""

    def __init__(self, embedding: nn.Module, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = embedding
        if isinstance(embedding, nn.Embedding):
            nn.init.normal_(embedding.weight, std=0.5)
        self.offset = nn.Parameter(torch.zeros(()))

    def forward(self, batch: Batch) -> Tensor:
        rows = self.embedding(batch.history)
        total = torch.zeros(len(batch), rows.size(1))
        owner = torch.arange(len(batch)).repeat_interleave(batch.ptr.diff())
        mean = total.index_add(0, owner, rows) / batch.ptr.diff().clamp(min=1)[:, None]
        return (mean * self.embedding(batch.target)).sum(dim=1) + self.offset


class DotWithPenalty(Dot):
    def penalty(self, batch: Batch) -> Tensor:
        return 3.0 * (self.offset - 1).square() + self.embedding(batch.target).square().mean()


class Scripted(nn.Module):
    """After its n-th batch of training, its quality on any examples is ``script[n]``."""

    def __init__(self, script: list[float]) -> None:
        super().__init__()
        self.script = script
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, batch: Batch) -> Tensor:
        if self.training:
            self.steps += 1
            return self.weight.expand(len(batch))
        quality = self.script[int(self.steps)]
        noise = torch.sin(7.0 * torch.arange(len(batch))).double()
        return noise + quality / 10 * (batch.label - 0.5)


class Recorder(Dot):
    """Keeps what it was trained on."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__(embedding)
        self.batches: list[Batch] = []

    def forward(self, batch: Batch) -> Tensor:
        if self.training:
            self.batches.append(batch)
        return super().forward(batch)


def table(log: BehaviorLog, width: int = 4) -> nn.Embedding:
    return nn.Embedding(log.num_items, width)


def quick_fit(model: nn.Module, split: Split, **options: Any) -> Any:
    """On the split's own negatives, by the weights themselves, unless the options say otherwise."""
    usual = {"epochs": 1, "batch_size": 10_000, "train_negatives": 0, "ema_decay": 0}
    return fit(model, split, progress=False, **usual | options)


@pytest.fixture(scope="module")
def clustered() -> Split:
    """300 users who stay in one of 4 clusters of 12 items."""
    rng = np.random.default_rng(0)
    items = (np.arange(300) % 4)[:, None] * 12 + rng.integers(12, size=(300, 10))
    frame = {
        "user": np.repeat(np.arange(300), 10),
        "item": items.ravel(),
        "time": np.tile(np.arange(10), 300),
    }
    return BehaviorLog.from_frame(pl.DataFrame(frame), "user", "item", "time").split()


@pytest.mark.parametrize("kind", ["table", "average", "gcn", "gat"])
def test_learns_a_planted_signal(kind: str, clustered: Split) -> None:
    torch.manual_seed(0)
    emb: nn.Module = nn.Embedding(clustered.history.num_items, 8)
    if kind == "table":
        nn.init.normal_(emb.weight, std=0.1)
    else:
        graph = covisit_graph(clustered.history)
        emb = ResEmbedding(graph, 8, 8, kind, shrinkage=20.0, feature_dim=8)
    model = DIN(emb, attention_hidden=(8,), hidden=(16,))
    before = evaluate(model, clustered.test)
    result = quick_fit(model, clustered, epochs=8, batch_size=256, lr=0.01, patience=8)
    losses = [epoch.train_loss for epoch in result.curve]
    assert losses[-1] < 0.8 * losses[0]
    # A negative is of the user's own cluster once in four: .875 is the most that can be had.
    assert 0.4 < before.auc < 0.6
    assert result.test.auc > 0.8
    assert result.test.gauc > 0.8
    assert result.test.logloss < 0.55 < before.logloss


def test_the_best_weights_are_restored(split: Split, log: BehaviorLog) -> None:
    result = quick_fit(Dot(table(log)), split, epochs=12, batch_size=64, lr=0.3, patience=12)
    curve = [epoch.valid.auc for epoch in result.curve]
    assert len(curve) == 12
    assert result.best_epoch == 1 + int(np.argmax(curve)) < 12
    assert result.valid == result.curve[result.best_epoch - 1].valid
    assert evaluate(result.model, split.valid) == result.valid
    assert evaluate(result.model, split.test) == result.test
    assert evaluate(result.model, split.train_sample) == result.train


def test_a_result_is_shown_in_a_few_lines(split: Split, log: BehaviorLog) -> None:
    result = quick_fit(Dot(table(log)), split, epochs=2, batch_size=64, lr=0.3)
    first, *lines = repr(result).splitlines()
    parameters = f"{result.num_parameters:,} parameters"
    assert first == f"FitResult(Dot, {parameters}, epoch {result.best_epoch} of 2)"
    assert [line.split()[0] for line in lines] == ["test", "valid", "train"]
    assert f"AUC {result.test.auc:.4f}, GAUC {result.test.gauc:.4f}, log loss" in lines[0]


@pytest.mark.parametrize(
    ("script", "patience", "epochs", "best", "length"),
    [
        ([1, 3, 2, 2, 2, 9], 2, 9, 2, 4),  # the ninth never comes
        ([1, 3, 2, 2, 2, 9], 4, 6, 6, 6),
        ([5, 1], 1, 9, 1, 2),
        ([1, 2, 3, 4], 1, 4, 4, 4),  # no more than the epochs asked for
        ([2, 2, 2, 2, 2], 3, 9, 1, 4),  # as good is not better
        ([1, 3, 2, 4, 3, 3, 8], 2, 9, 4, 6),  # patience counts from the best epoch
    ],
)
def test_early_stopping(
    split: Split, script: list[float], patience: int, epochs: int, best: int, length: int
) -> None:
    model = Scripted([0.0, *script])
    result = quick_fit(model, split, epochs=epochs, patience=patience)
    assert (result.best_epoch, len(result.curve)) == (best, length)
    assert int(result.model.steps) == best
    assert result.model is model
    assert evaluate(model, split.valid).auc == result.curve[best - 1].valid.auc == result.valid.auc
    assert result.valid.auc == max(epoch.valid.auc for epoch in result.curve)


def run(log: BehaviorLog, split: Split, seed: int) -> tuple[Any, list[Tensor]]:
    torch.manual_seed(1)
    emb = ResEmbedding(covisit_graph(split.history), 4, 3, feature_dim=4)
    model = DIN(emb, attention_hidden=(4,), hidden=(5,))
    result = quick_fit(model, split, epochs=3, batch_size=50, seed=seed)
    return result, [value.clone() for value in result.model.state_dict().values()]


def test_the_same_seed_gives_the_same_result(log: BehaviorLog, split: Split) -> None:
    first, weights = run(log, split, seed=3)
    torch.rand(5)  # what the caller drew in between does not matter
    second, again = run(log, split, seed=3)
    other, others = run(log, split, seed=4)
    assert all(torch.equal(one, two) for one, two in zip(weights, again, strict=True))
    assert [(e.train_loss, e.valid) for e in first.curve] == [
        (e.train_loss, e.valid) for e in second.curve
    ]
    assert (first.test, first.train, first.gap) == (second.test, second.train, second.gap)
    assert [e.train_loss for e in first.curve] != [e.train_loss for e in other.curve]
    assert not all(torch.equal(one, two) for one, two in zip(weights, others, strict=True))


def train_by_hand(model: nn.Module, split: Split, epochs: int, lr: float) -> list[float]:
    """Adam on the mean cross-entropy plus penalty of the whole training set."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for _ in range(epochs):
        (batch,) = split.train.batches(len(split.train), max_history=50)
        probability = model(batch).sigmoid()
        loss = -torch.where(batch.label > 0, probability, 1 - probability).log().mean()
        if hasattr(model, "penalty"):
            loss = loss + model.penalty(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("kind", [Dot, DotWithPenalty])
def test_steps_are_adam_s_on_loss_and_penalty(
    kind: type[Dot], split: Split, log: BehaviorLog
) -> None:
    model = kind(table(log))
    by_hand = copy.deepcopy(model)
    losses = train_by_hand(by_hand, split, epochs=4, lr=0.01)
    result = quick_fit(copy.deepcopy(model), split, epochs=4, lr=0.01, patience=4)
    assert [epoch.train_loss for epoch in result.curve] == pytest.approx(losses, rel=1e-5)
    result = quick_fit(model, split, lr=0.01)
    once = kind(table(log))
    train_by_hand(once, split, epochs=1, lr=0.01)
    for one, other in zip(model.parameters(), once.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_penalty_is_added_to_the_loss(split: Split, log: BehaviorLog) -> None:
    with_penalty = DotWithPenalty(table(log))
    (batch,) = split.train.batches(len(split.train))
    penalty = with_penalty.penalty(batch).item()
    assert penalty > 3
    # The learning rate is too small to change anything.
    free = quick_fit(Dot(table(log)), split, lr=1e-12)
    bound = quick_fit(with_penalty, split, lr=1e-12)
    gained = bound.curve[0].train_loss - free.curve[0].train_loss
    assert gained == pytest.approx(penalty, rel=1e-4)
    assert bound.valid.logloss == pytest.approx(free.valid.logloss)  # metrics are without it


def test_residual_penalty_keeps_the_residuals_small(split: Split) -> None:
    norms = []
    for strength in (0.0, 100.0):
        torch.manual_seed(0)
        graph = covisit_graph(split.history)
        options = {"feature_dim": 4, "residual_std": 0.1, "residual_penalty": strength}
        model = DIN(ResEmbedding(graph, 4, 3, **options), attention_hidden=(4,), hidden=(5,))
        quick_fit(model, split, epochs=5, batch_size=50, lr=0.01, patience=5)
        norms.append(model.embedding.residual.norm().item())
    assert norms[1] < 0.5 * norms[0]


def staged(split: Split, staged: bool = True) -> DIN:
    torch.manual_seed(0)
    emb = ResEmbedding(
        covisit_graph(split.history),
        8,
        4,
        "gcn",
        feature_dim=8,
        shrinkage=None,
        residual_std=0.0 if not staged else 0.05,
        residual_penalty=0.0,
        residual_options=ResidualOptions(staged=staged),
    )
    emb.residual.requires_grad_(False)
    return DIN(emb, attention_hidden=(8,), hidden=(16,))


def test_a_staged_residual_trains_after_the_centres(clustered: Split) -> None:
    options = {"epochs": 6, "batch_size": 256, "lr": 0.01, "patience": 2}
    centers = quick_fit(staged(clustered, staged=False), clustered, **options)
    result = quick_fit(staged(clustered), clustered, **options)
    first = len(centers.curve)
    # The first stage is the training of the centres alone; the second goes on from its best.
    assert [e.valid.auc for e in result.curve[:first]] == [e.valid.auc for e in centers.curve]
    assert first < len(result.curve) <= first + options["epochs"]
    assert result.valid.auc >= centers.valid.auc
    # The residual is part of the model that is kept if and only if it earned its place.
    kept = bool(result.model.embedding.residual.any())
    assert kept == (result.best_epoch > first)
    last_losses = [epoch.train_loss for epoch in result.curve[first:]]
    assert min(last_losses) < result.curve[centers.best_epoch - 1].train_loss


def test_the_most_epochs_are_those_of_a_stage(clustered: Split) -> None:
    result = quick_fit(staged(clustered), clustered, epochs=2, batch_size=256, patience=2)
    assert len(result.curve) == 4


def test_train_loss_is_the_mean_over_the_examples(split: Split, log: BehaviorLog) -> None:
    model = Dot(table(log))
    batch_size = len(split.train) - 3  # the last batch holds three
    expected = log_loss(predict(model, split.train), split.train.label)
    result = quick_fit(model, split, lr=1e-12, batch_size=batch_size)
    assert result.curve[0].train_loss == pytest.approx(expected, rel=1e-5)


def rows_of(batches: list[Any]) -> list[tuple[int, int, float]]:
    return [
        row
        for part in batches
        for row in zip(part.user.tolist(), part.target.tolist(), part.label.tolist(), strict=True)
    ]


def test_every_epoch_sees_every_example_in_another_order(split: Split, log: BehaviorLog) -> None:
    model = Recorder(table(log))
    quick_fit(model, split, epochs=2, batch_size=100, patience=2, max_history=3)
    steps = math.ceil(len(split.train) / 100)
    assert len(model.batches) == 2 * steps
    assert max(len(batch) for batch in model.batches) == 100
    wanted = rows_of([split.train])
    orders = [rows_of(model.batches[:steps]), rows_of(model.batches[steps:])]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(wanted)
    assert orders[0] != orders[1]
    assert max(int(batch.ptr.diff().max()) for batch in model.batches) == 3


def test_trains_in_training_mode_and_evaluates_in_the_other(split: Split, log: BehaviorLog) -> None:
    model = Recorder(table(log)).eval()  # whatever it comes in
    quick_fit(model, split, epochs=3, batch_size=10_000, patience=3)
    assert [len(batch) for batch in model.batches] == [len(split.train)] * 3


def test_max_history_in_evaluation(split: Split, log: BehaviorLog) -> None:
    result = quick_fit(Dot(table(log)), split, max_history=2)
    assert evaluate(result.model, split.test, max_history=2) == result.test
    assert evaluate(result.model, split.valid, max_history=2) == result.valid
    assert evaluate(result.model, split.train_sample, max_history=2) == result.train
    assert evaluate(result.model, split.test) != result.test
    whole = quick_fit(Dot(table(log)), split, max_history=None)
    assert evaluate(whole.model, split.test, max_history=None) == whole.test


def test_gap_and_numbers(split: Split, log: BehaviorLog) -> None:
    result = quick_fit(Dot(table(log)), split, epochs=3, batch_size=100, patience=3)
    losses = [
        log_loss(predict(result.model, part), part.label)
        for part in (split.test, split.train_sample)
    ]
    assert result.gap == pytest.approx(losses[0] - losses[1], abs=1e-12)
    assert result.gap != 0
    assert result.num_parameters == log.num_items * 4 + 1
    seconds = [epoch.seconds for epoch in result.curve]
    assert min(seconds) > 0
    assert result.seconds_per_epoch == pytest.approx(sum(seconds) / 3)
    assert result.examples_per_second == pytest.approx(len(split.train) * 3 / sum(seconds))


def test_on_epoch(split: Split) -> None:
    seen = []
    result = quick_fit(
        Scripted([0, 1, 2, 3]),
        split,
        epochs=3,
        on_epoch=lambda number, epoch: seen.append((number, epoch)),
    )
    assert seen == list(enumerate(result.curve, start=1))


def test_progress(split: Split, log: BehaviorLog, capsys: pytest.CaptureFixture[str]) -> None:
    fit(Dot(table(log)), split, epochs=1, progress=True)
    assert "epoch 1" in capsys.readouterr().err
    fit(Dot(table(log)), split, epochs=1, progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("batch_size", -1),
        ("patience", 0),
        ("lr", 0.0),
        ("lr", -1e-3),
        ("lr", float("nan")),
        ("max_history", 0),
    ],
)
def test_settings_out_of_range(split: Split, log: BehaviorLog, name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name} must be .*{value}"):
        fit(Dot(table(log)), split, progress=False, **{name: value})


def test_unknown_device(split: Split, log: BehaviorLog) -> None:
    with pytest.raises(InputError, match="device='gpu' is unknown"):
        quick_fit(Dot(table(log)), split, device="gpu")


@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda:0")], ids=str)
def test_device_that_is_not_there(
    split: Split, log: BehaviorLog, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match=r"device='cuda.*PyTorch sees no CUDA device"):
        quick_fit(Dot(table(log)), split, device=device)


def test_device_beyond_the_last(
    split: Split, log: BehaviorLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match=r"device='cuda:2' was asked for.* 2 CUDA devices"):
        quick_fit(Dot(table(log)), split, device="cuda:2")


def test_embedding_of_another_vocabulary(split: Split, log: BehaviorLog) -> None:
    graph = covisit_graph(split.history)
    graph.num_nodes += 1
    graph.count = nn.functional.pad(graph.count, (0, 1))
    for emb in (ResEmbedding(graph, 4, 3), nn.Embedding(log.num_items + 1, 4)):
        message = f"has {log.num_items + 1} items, but the log {log.num_items}"
        with pytest.raises(InputError, match=message):
            quick_fit(DIN(emb), split)


def test_model_without_a_known_vocabulary(split: Split) -> None:
    quick_fit(Scripted([0, 1]), split)  # no embedding: nothing to compare


@pytest.mark.parametrize(("offset", "loss"), [(float("nan"), "nan"), (1e30, "inf")])
def test_a_loss_that_is_not_finite(
    split: Split, log: BehaviorLog, offset: float, loss: str
) -> None:
    model = DotWithPenalty(table(log))
    nn.init.constant_(model.offset, offset)
    with pytest.raises(FloatingPointError, match=f"step 1 of epoch 1 is {loss}"):
        quick_fit(model, split)


def test_predict(split: Split, log: BehaviorLog) -> None:
    torch.manual_seed(0)
    model = DIN(table(log))
    for training in (True, False):
        model.train(training)
        before = copy.deepcopy(model.state_dict())
        logit = predict(model, split.test)
        assert model.training is training
        assert all(m.training is training for m in model.modules())
        assert not logit.requires_grad
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[name]), name
        torch.testing.assert_close(predict(model, split.test, batch_size=7), logit)
    (batch,) = split.test.batches(len(split.test), 50)
    torch.testing.assert_close(model.eval()(batch), logit)  # in the order of the examples


def test_evaluate(split: Split, log: BehaviorLog) -> None:
    torch.manual_seed(0)
    model = DIN(table(log))
    logit = predict(model, split.test)
    metrics = evaluate(model, split.test)
    assert metrics.auc == auc(logit, split.test.label)
    assert metrics.gauc == gauc(logit, split.test.label, split.test.user)
    assert metrics.logloss == log_loss(logit, split.test.label)


def test_seed_everything() -> None:
    def drawn(seed: int) -> tuple[float, float, float, float]:
        generator = seed_everything(seed)
        own = torch.rand((), generator=generator).item()
        return random.random(), np.random.rand(), torch.rand(()).item(), own  # noqa: NPY002

    assert drawn(5) == drawn(5)
    assert all(one != other for one, other in zip(drawn(5), drawn(6), strict=True))
    drawn(2**40 + 1)  # NumPy takes 32 bits


def test_labelled_log(labelled_log: BehaviorLog) -> None:
    """Empty histories, real labels, categories."""
    split = labelled_log.split(by="time")
    assert bool((split.train.start == split.train.end).any())
    torch.manual_seed(0)
    emb = ResEmbedding(covisit_graph(split.history), 4, 3, feature_dim=4)
    model = DIN(emb, item_category=labelled_log.item_category, item_bias=True)
    result = quick_fit(model, split, epochs=4, batch_size=50, lr=0.01, patience=4)
    losses = [epoch.train_loss for epoch in result.curve]
    assert losses[-1] < losses[0]
    assert math.isfinite(result.test.auc)


def test_validation_of_one_label_is_refused(log: BehaviorLog) -> None:
    split = log.split()
    split = dataclasses.replace(split, valid=split.valid[split.valid.label > 0])
    with pytest.raises(InputError, match="validation holds examples of one label only"):
        fit(DIN(nn.Embedding(log.num_items, 4)), split, progress=False)


def test_returned_model_is_in_evaluation_mode(log: BehaviorLog) -> None:
    split = log.split()
    result = fit(DIN(nn.Embedding(log.num_items, 4)), split, epochs=1, progress=False)
    batch = split.test.batch(torch.arange(8))
    assert torch.equal(result.model(batch), result.model(batch))
    assert not result.model.training


def test_modules_that_pyg_writes_after_runs_of_one_seed_are_their_own(log: BehaviorLog) -> None:
    layer, x = nn.Linear(3, 3), torch.randn(2, 3)
    outputs = []
    for header in ("x, unused", "x"):
        fit(DIN(nn.Embedding(log.num_items, 4)), log.split(), epochs=1, progress=False)
        module = Sequential(header, [(layer, "x -> x")])
        outputs.append(module(*[x, x][: len(header.split(","))]))
    assert torch.equal(*outputs)


def test_a_place_of_checkpoints_that_cannot_be_written(tmp_path, log):
    """Known before the first epoch, which would be lost."""
    (tmp_path / "file").touch()
    epochs = []
    with pytest.raises(InputError, match="cannot be written: Not a directory"):
        fit(
            DIN(nn.Embedding(log.num_items, 4)),
            log.split(),
            checkpoints=tmp_path / "file" / "run",
            on_epoch=lambda number, epoch: epochs.append(number),
            progress=False,
        )
    assert not epochs
