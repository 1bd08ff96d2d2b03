"""Interruptions, losses that are not finite, exhausted memory."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from resemb_gnn import DIN, Batch, BehaviorLog, ResEmbedding, covisit_graph, fit
from resemb_gnn.errors import InputError, NotFiniteError, TrainingError
from resemb_gnn.training.guards import FiniteGuard, Interrupts, explained


@pytest.fixture(autouse=True)
def default_handlers() -> Iterator[None]:
    """As in a terminal; a shell starts what runs in its background with SIGINT ignored."""
    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def train(log: BehaviorLog, hook: Any = None, at: int | None = None, **options: Any) -> Any:
    """Trains, and has ``hook(model, batch)`` called before the step of that number."""
    torch.manual_seed(0)
    split = log.split()
    model = DIN(ResEmbedding(covisit_graph(split.history), 4, 3, feature_dim=4))
    steps = 0

    def count(module: nn.Module, args: Any) -> None:
        nonlocal steps
        steps += module.training
        if steps == at and module.training:
            hook(model, args[0])

    model.register_forward_pre_hook(count)
    return fit(model, split, epochs=2, batch_size=100, progress=False, **options).model


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", [2, 9])
def test_a_signal_saves_the_step_that_it_came_in(
    log: BehaviorLog, tmp_path: Path, number: int, at: int
) -> None:
    whole = train(log).state_dict()
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        train(log, lambda *_: os.kill(os.getpid(), number), at, checkpoints=tmp_path)
    assert handlers == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    newest = max(tmp_path.iterdir())
    position = torch.load(newest, weights_only=True)["state"]["position"]
    steps = position["step"] + (position["epoch"] - 1) * 8
    assert steps == at
    resumed = train(log, checkpoints=tmp_path, resume=True).state_dict()
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_a_signal_during_evaluation(
    log: BehaviorLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(log).state_dict()

    def interrupt(*args: Any, **options: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["resemb_gnn.training.run"], "evaluate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(log, checkpoints=tmp_path)
    resumed = train(log, checkpoints=tmp_path, resume=True).state_dict()
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_half_a_step_is_not_saved(log: BehaviorLog, tmp_path: Path) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt  # as a handler of the caller's own would

    with pytest.raises(KeyboardInterrupt):
        train(log, interrupt, 3, checkpoints=tmp_path)
    assert not list(tmp_path.iterdir())


def test_handlers_of_others_and_other_threads_are_left_alone() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Interrupts(True) as interrupts:
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGINT) == interrupts._handle
    finally:
        signal.signal(signal.SIGTERM, before)
    found = []

    def elsewhere() -> None:
        with Interrupts(True):
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


def spoil(value: float) -> Any:
    def hook(model: nn.Module, batch: Batch) -> None:
        with torch.no_grad():
            model.embedding.centers[0, 0] = value  # type: ignore[union-attr,index]

    return hook


def test_a_loss_that_is_not_finite(log: BehaviorLog, tmp_path: Path) -> None:
    seen = []

    def hook(model: nn.Module, batch: Batch) -> None:
        seen.append(batch)
        spoil(float("nan"))(model, batch)

    message = r"loss of step 3 of epoch 1 is nan; .*not-finite.pt holds its batch"
    with pytest.raises(NotFiniteError, match=message) as caught:
        train(log, hook, 3, checkpoints=tmp_path, checkpoint_seconds=0)
    assert isinstance(caught.value, InputError)
    assert isinstance(caught.value, FloatingPointError)
    kept = torch.load(tmp_path / "not-finite.pt", weights_only=True)
    for name in ("history", "ptr", "target", "label", "user"):
        assert torch.equal(kept["batch"][name], getattr(seen[0], name))
        assert torch.equal(getattr(caught.value.batch, name), getattr(seen[0], name))
    assert not torch.equal(kept["before"]["target"], seen[0].target)
    newest = max(tmp_path.glob("checkpoint-*"))
    state = torch.load(newest, weights_only=True)["state"]
    assert state["position"]["step"] == 2
    assert all(bool(value.isfinite().all()) for value in state["model"].values())
    whole = train(log).state_dict()
    resumed = train(log, checkpoints=tmp_path, resume=True).state_dict()
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_a_weight_that_is_not_finite_after_a_finite_loss(log: BehaviorLog, tmp_path: Path) -> None:
    def hook(model: nn.Module, batch: Batch) -> None:
        model.norm.bias.register_hook(lambda grad: grad * float("inf"))  # type: ignore[union-attr]

    with pytest.raises(NotFiniteError, match=r"norm.bias is not finite after step 4 of epoch 1"):
        train(log, hook, 4, checkpoints=tmp_path, checkpoint_seconds=0)
    newest = max(tmp_path.glob("checkpoint-*"))
    assert torch.load(newest)["state"]["position"]["step"] == 3


def test_losses_elsewhere_are_looked_at_in_intervals(tmp_path: Path) -> None:
    """On the meta device nothing can be looked at: doing so raises."""
    empty = torch.empty(0, dtype=torch.long)
    batch = Batch(empty, empty, empty, empty.float(), empty)
    guard = FiniteGuard(nn.Linear(1, 1), tmp_path, interval=3)
    for _ in range(2):
        guard.see(batch, torch.zeros((), device="meta"), "a step")
    with pytest.raises((RuntimeError, NotImplementedError)):
        guard.see(batch, torch.zeros((), device="meta"), "a step")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_exhausted_memory(log: BehaviorLog, tmp_path: Path, error: Exception) -> None:
    def hook(*_: Any) -> None:
        raise error

    message = "memory is exhausted .*batch_size.* Resume from .*checkpoint-00000002"
    with pytest.raises(TrainingError, match=message):
        train(log, hook, 3, checkpoints=tmp_path, checkpoint_seconds=0)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"), explained(str):
        torch.zeros(2, 3) @ torch.zeros(2, 3)
