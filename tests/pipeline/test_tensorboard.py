"""TensorBoard reads the figures that training ended its epochs with."""

from pathlib import Path

import pytest

from resemb_gnn.pipeline.tensorboard import TensorBoard
from resemb_gnn.training import Epoch, Metrics


def test_scalars_are_read_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoard(tmp_path / "runs")
    epochs = [Epoch(0.5 / n, Metrics(0.6 + n / 10, 0.5, 0.7), float(n)) for n in (1, 2)]
    for number, epoch in enumerate(epochs, start=1):
        board(number, epoch)
    found = EventAccumulator(str(tmp_path / "runs")).Reload()
    names = found.Tags()["scalars"]
    read = {name: [(s.step, s.value) for s in found.Scalars(name)] for name in names}
    assert read["train/loss"] == [(1, pytest.approx(0.5)), (2, pytest.approx(0.25))]
    assert read["valid/auc"] == [(1, pytest.approx(0.7)), (2, pytest.approx(0.8))]
    assert read.keys() == {
        "train/loss", "train/seconds", "valid/auc", "valid/gauc", "valid/logloss",
    }  # fmt: skip
