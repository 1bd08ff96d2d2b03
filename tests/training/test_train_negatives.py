"""Negatives that are drawn anew each epoch."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import resemb_gnn as rg
from resemb_gnn import DIN, BehaviorLog, Examples, InputError, Split, fit
from resemb_gnn.training import epoch as epoch_module
from resemb_gnn.training import training_step


@pytest.fixture
def split() -> Split:
    return make_log(60).split(by="last")


def make_log(users: int) -> BehaviorLog:
    """Some items are met more often than others; nobody meets one twice."""
    rng = np.random.default_rng(0)
    frames = []
    for user in range(users):
        weight = np.linspace(1, 5, 40)
        items = rng.choice(40, size=8, replace=False, p=weight / weight.sum())
        frames.append(pl.DataFrame({"user": user, "item": items, "time": range(8)}))
    return BehaviorLog.from_frame(pl.concat(frames), "user", "item", "time")


def train(split: Split, **options: Any) -> tuple[nn.Module, rg.FitResult]:
    torch.manual_seed(0)
    model = DIN(nn.Embedding(split.history.num_items, 4), hidden=(8,))
    result = fit(model, split, batch_size=64, progress=False, **{"epochs": 2} | options)
    return model, result


def watch(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The batches that are trained on."""
    seen = []

    def watched(model: nn.Module, batch: rg.Batch, *args: Any) -> torch.Tensor:
        seen.append(batch)
        return training_step(model, batch, *args)

    monkeypatch.setattr(epoch_module, "training_step", watched)
    return seen


def test_drawn_by_the_law_of_the_split(split: Split) -> None:
    examples = split.redrawn(5, 0)
    positives = split.train[split.train.label > 0]
    assert torch.equal(examples.target, positives.target)
    assert examples.negatives is not None
    assert examples.negatives.shape == (len(positives), 5)
    for number in range(len(examples)):
        past = examples.items[examples.start[number] : examples.end[number]]
        drawn = examples.negatives[number]
        assert not torch.isin(drawn, torch.cat([past, examples.target[number, None]])).any()
    assert torch.equal(split.redrawn(5, 0).negatives, examples.negatives)
    assert not torch.equal(split.redrawn(5, 1).negatives, examples.negatives)


def test_popular_items_are_drawn_more_often() -> None:
    log = make_log(200)
    drawn = log.split(by="last", negatives="popularity").redrawn(20, 0).negatives
    assert drawn is not None
    counts = log.split(by="last").history.item_counts()
    often = drawn.flatten().bincount(minlength=40)
    assert np.corrcoef(counts, often)[0, 1] > 0.8
    assert not often[counts == 0].any()


def test_a_batch_of_examples_with_negatives(split: Split) -> None:
    examples = split.redrawn(2, 0)
    index = torch.tensor([4, 0])
    batch = examples.batch(index, max_history=3)
    assert batch.candidates == examples.candidates == 3
    assert batch.label.tolist() == [1, 0, 0] * 2
    assert examples.negatives is not None
    assert batch.target[:3].tolist() == [examples.target[4], *examples.negatives[4]]
    assert torch.equal(batch.user, examples.user[index].repeat_interleave(3))
    assert batch.row is not None
    assert examples.row is not None
    assert torch.equal(batch.row, examples.row[index].repeat_interleave(3))
    assert batch.ptr.numel() == 3
    assert repr(examples).endswith("negatives=2 each)")
    assert torch.equal(examples[index].negatives, examples.negatives[index])


def test_each_epoch_has_its_own(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watch(monkeypatch)
    train(split, train_negatives=3)
    half = len(seen) // 2
    drawn = [
        {
            (user, target, item)
            for batch in batches
            for user, target, item in zip(
                batch.user.tolist(),
                batch.target[::4].repeat_interleave(4).tolist(),
                batch.target.tolist(),
                strict=True,
            )
        }
        for batches in (seen[:half], seen[half:])
    ]
    positives = int(split.train.label.sum())
    assert len(drawn[0] & drawn[1]) < 0.6 * len(drawn[0])
    assert all(batch.candidates == 4 for batch in seen)
    assert half == -(-positives // 32)  # half of a batch's examples are positives
    assert sum(len(batch) for batch in seen[:half]) == 4 * positives


def test_the_seed_decides(split: Split) -> None:
    runs = [train(split, train_negatives=2, seed=seed)[1].test.auc for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


def test_one_of_them_makes_the_same_steps_as_the_split_s(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch(monkeypatch)
    train(split, epochs=1, train_negatives=0)
    fixed = [len(batch) for batch in seen]
    seen.clear()
    result = train(split, epochs=1, train_negatives=1)[1]
    assert [len(batch) for batch in seen] == fixed
    assert result.examples_per_second > 0


def test_four_of_them_are_usual_where_they_are_drawn(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch(monkeypatch)
    usual = train(split, epochs=1)[0]
    assert {batch.candidates for batch in seen} == {5}
    told = train(split, epochs=1, train_negatives=4, lr=0.004, ema_decay=0.999)[0]
    for one, other in zip(usual.parameters(), told.parameters(), strict=True):
        assert torch.equal(one, other)
    seen.clear()
    labelled = rg.InterestDelayModel(num_users=60, num_items=40).sample().split(by="last")
    usual = train(labelled, epochs=1)[0]
    assert {batch.candidates for batch in seen} == {1}
    told = train(labelled, epochs=1, train_negatives=0, lr=0.001)[0]
    for one, other in zip(usual.parameters(), told.parameters(), strict=True):
        assert torch.equal(one, other)


class Constant(nn.Module):
    """The same logit for everybody."""

    def __init__(self) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(1.0))

    def forward(self, batch: rg.Batch) -> torch.Tensor:
        return self.logit.expand(len(batch))


@pytest.mark.parametrize("number", [1, 4])
def test_the_logit_stays_that_of_one_to_one(split: Split, number: int) -> None:
    model = Constant()
    options = {"epochs": 1, "batch_size": 8, "lr": 0.1, "ema_decay": 0, "progress": False}
    fit(model, split, train_negatives=number, **options)
    assert float(model.logit) == pytest.approx(0, abs=0.25)  # and not log(1 / 4), -1.39


def test_evaluation_keeps_its_own(split: Split) -> None:
    before = [part.target.clone() for part in (split.valid, split.test)]
    train(split, train_negatives=4)
    assert all(
        torch.equal(part.target, old)
        for part, old in zip((split.valid, split.test), before, strict=True)
    )


@pytest.mark.parametrize("stop_at", [3, 12])
def test_a_stopped_run_goes_on_to_the_bit(split: Split, tmp_path: Path, stop_at: int) -> None:
    class Stopped(Exception):
        pass

    whole, _ = train(split, train_negatives=3)
    torch.manual_seed(0)
    options: dict[str, Any] = {"checkpoints": tmp_path, "checkpoint_seconds": 0}
    model = DIN(nn.Embedding(split.history.num_items, 4), hidden=(8,))
    steps = 0

    def count(module: nn.Module, args: Any) -> None:
        nonlocal steps
        steps += module.training
        if steps == stop_at:
            raise Stopped

    model.register_forward_pre_hook(count)
    with pytest.raises(Stopped):
        fit(model, split, epochs=2, batch_size=64, progress=False, train_negatives=3, **options)
    resumed, result = train(split, train_negatives=3, resume=True, **options)
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(InputError, match="train_negatives was 3 and is 2"):
        train(split, train_negatives=2, resume=True, **options)
    again = train(split, train_negatives=3, resume=True, **options)[1]  # nothing is left to do
    assert again.test == result.test


def test_a_model_of_one_s_own_gets_histories_of_their_own(split: Split) -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(split.history.num_items, 4)

        def forward(self, batch: rg.Batch) -> torch.Tensor:
            assert batch.candidates == 1
            histories = nn.functional.embedding_bag(
                batch.history, self.embedding.weight, batch.ptr[:-1], mode="mean"
            )
            return (histories * self.embedding(batch.target)).sum(dim=1)

    fit(Mean(), split, epochs=1, train_negatives=2, progress=False)


def test_what_is_refused(split: Split) -> None:
    with pytest.raises(InputError, match="train_negatives must be at least 0, not -1"):
        train(split, train_negatives=-1)
    labelled = rg.InterestDelayModel(num_users=60, num_items=40).sample().split(by="last")
    with pytest.raises(InputError, match="the log has labels, so each row is an example"):
        train(labelled, train_negatives=2)


def test_parts_of_other_sizes_are_refused(split: Split) -> None:
    parts = {name: value for name, value in vars(split.train).items() if name != "negatives"}
    with pytest.raises(InputError, match="differ in size"):
        Examples(**parts, negatives=torch.zeros(3, 2, dtype=torch.long))
