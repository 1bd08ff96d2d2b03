"""The average of the weights that a run keeps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from resemb_gnn import DIN, Batch, FitResult, InputError, Split, fit
from resemb_gnn.data import BehaviorLog
from resemb_gnn.nn import PlainEmbedding, TableOptions
from resemb_gnn.training import epoch as epoch_module
from resemb_gnn.training import evaluate, training_step

OPTIONS: dict[str, Any] = {"batch_size": 64, "progress": False, "epochs": 3}


@pytest.fixture
def split(log: BehaviorLog) -> Split:
    return log.split(by="last")


def make(split: Split, embedding: nn.Module | None = None) -> DIN:
    torch.manual_seed(0)
    return DIN(embedding or nn.Embedding(split.history.num_items, 4), hidden=(8,))


def seen_weights(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """The weights after each step."""
    seen = []

    def watched(model: nn.Module, batch: Batch, *args: Any) -> Tensor:
        loss = training_step(model, batch, *args)
        seen.append({name: one.detach().double() for name, one in model.named_parameters()})
        return loss

    monkeypatch.setattr(epoch_module, "training_step", watched)
    return seen


def by_hand(start: dict[str, Tensor], steps: list[dict[str, Tensor]], decay: float) -> Any:
    average = start
    for number, weights in enumerate(steps, start=1):
        own = min(decay, (1 + number) / (10 + number))
        average = {name: own * average[name] + (1 - own) * weights[name] for name in average}
    return average


def test_what_is_kept_is_the_average_over_all_steps(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(split)
    start = {name: one.detach().double() for name, one in model.named_parameters()}
    seen = seen_weights(monkeypatch)
    result = fit(model, split, ema_decay=0.7, **OPTIONS)
    steps = len(seen) // len(result.curve) * result.best_epoch
    expected = by_hand(start, seen[:steps], 0.7)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.detach().double(), expected[name])
    assert evaluate(model, split.valid) == result.curve[result.best_epoch - 1].valid


def test_training_itself_is_the_same(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = seen_weights(monkeypatch)
    fit(make(split), split, ema_decay=None, patience=9, **OPTIONS)
    without = seen[-1]
    fit(make(split), split, ema_decay=0.9, patience=9, **OPTIONS)
    assert all(torch.equal(without[name], weight) for name, weight in seen[-1].items())


def test_a_decay_of_zero_keeps_the_weights_themselves(split: Split) -> None:
    def run(**options: Any) -> FitResult:
        return fit(make(split), split, **OPTIONS, **options)

    assert run(ema_decay=0).test == run(ema_decay=None).test != run().test


def test_resumed_to_the_bit(split: Split, tmp_path: Path) -> None:
    options = {**OPTIONS, "ema_decay": 0.9, "patience": 9}
    whole = make(split)
    fit(whole, split, **options)

    def stop(number: int, epoch: object) -> None:
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(make(split), split, checkpoints=tmp_path, on_epoch=stop, **options)
    resumed = make(split)
    fit(resumed, split, checkpoints=tmp_path, resume=True, **options)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_what_is_drawn_anew_is_not_averaged_with_what_was(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = PlainEmbedding(split.history.num_items, 4, options=TableOptions(renew=True))
    model = make(split, table)
    seen = seen_weights(monkeypatch)
    kept = {}

    def look(number: int, epoch: object) -> None:
        weights = dict(model.named_parameters())
        kept[number] = weights["mlp.0.weight"].detach().double()  # the average's

    result = fit(model, split, ema_decay=0.9, patience=9, on_epoch=look, **OPTIONS)
    size = len(seen) // len(result.curve)
    # The network goes on from the first epoch's end, and so does its average.
    expected = by_hand(seen[size - 1], seen[size : 2 * size], 0.9)
    torch.testing.assert_close(kept[2], expected["mlp.0.weight"])


def test_a_decay_out_of_range(split: Split) -> None:
    with pytest.raises(InputError, match="ema_decay"):
        fit(make(split), split, ema_decay=1.0, **OPTIONS)
