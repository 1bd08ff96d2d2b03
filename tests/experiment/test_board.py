"""What is shown of runs side by side, on a terminal and in a file."""

import io
import re
import sys
from collections.abc import Callable

import pytest
import torch

import resemb_gnn as rg
from resemb_gnn.experiment.board import Board, RunDisplay
from resemb_gnn.io.streams import display, shown_on


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(params=[Terminal, io.StringIO])
def make_stream(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], io.StringIO]:
    """Puts a terminal, or a file, in the place of standard error; to be called in the test, since
    pytest puts its own there between fixtures and test.
    """

    def make() -> io.StringIO:
        found: io.StringIO = request.param()
        monkeypatch.setattr(sys, "stderr", found)
        return found

    return make


def test_bars_are_drawn_on_a_terminal_and_lines_elsewhere(
    make_stream: Callable[[], io.StringIO],
) -> None:
    stream = make_stream()
    said: list[str] = []
    with Board(3, 1, quiet=False) as board:
        board.show("gcn, seed 0", "bar", "epoch 1", 50, 200)
        board.show("gat, seed 0", "bar", "epoch 1", 10, 200)
        board.show("gcn, seed 0", "line", "epoch 1: loss 0.5")
        board.show("gcn, seed 0", "bar", "epoch 2", 150, 200)
        board.over("gcn, seed 0")
        board.aside(said.append, "gcn: done")
    shown = stream.getvalue()
    assert said == ["gcn: done"]
    if isinstance(stream, Terminal):
        assert re.search(r"gcn, seed 0, epoch 1: +25%.*50.0/200", shown)
        assert re.search(r"gcn, seed 0, epoch 2: +75%.*150/200", shown)
        assert re.search(r"gat, seed 0, epoch 1: +5%", shown)
        assert "1 of 3" in shown
        assert "2 of 3" in shown
        assert "loss 0.5" not in shown
    else:
        assert shown == "gcn, seed 0, epoch 1: loss 0.5\n"


def test_quiet_draws_no_bar(make_stream: Callable[[], io.StringIO]) -> None:
    stream = make_stream()
    with Board(2, 0, quiet=True) as board:
        board.show("gcn, seed 0", "bar", "epoch 1", 50, 200)
        board.over("gcn, seed 0")
    assert not stream.getvalue()


def test_fit_shows_a_bar_on_a_terminal_and_else_a_line_an_epoch(
    make_stream: Callable[[], io.StringIO], log: rg.BehaviorLog
) -> None:
    stream = make_stream()
    options = {"epochs": 2, "patience": 2}
    model = rg.DIN(torch.nn.Embedding(log.num_items, 4))
    curve = rg.fit(model, log.split(), **options).curve
    shown = stream.getvalue()
    if isinstance(stream, Terminal):
        assert "\repoch 2:" in shown
        assert "valid AUC" not in shown
    else:
        assert shown == "".join(
            f"epoch {number}: loss {epoch.train_loss:.4f}, valid AUC {epoch.valid.auc:.4f},"
            f" {epoch.seconds:.1f} s\n"
            for number, epoch in enumerate(curve, 1)
        )


def test_a_run_tells_its_progress_instead_of_showing_it(
    make_stream: Callable[[], io.StringIO], log: rg.BehaviorLog
) -> None:
    stream = make_stream()
    told: list[tuple[object, ...]] = []
    model = rg.DIN(torch.nn.Embedding(log.num_items, 4))
    split = log.split()
    before = display()
    with shown_on(RunDisplay("plain, seed 0", lambda *what: told.append(what))):
        rg.fit(model, split, epochs=1, train_negatives=0)
    assert display() is before
    assert not stream.getvalue()
    assert [what[:2] for what in told] == [("plain, seed 0", "bar"), ("plain, seed 0", "line")]
    _, _, title, done, total = told[0]
    assert (title, total) == ("epoch 1", len(split.train))
    assert done <= total  # type: ignore[operator]
    told.clear()
    with shown_on(RunDisplay("plain, seed 0", lambda *what: told.append(what), bars=False)):
        rg.fit(model, split, epochs=1)
        rg.fit(model, split, epochs=1, progress=False)
    assert [what[1] for what in told] == ["line"]
