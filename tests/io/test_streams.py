"""Standard streams that cannot show, or take, what is written."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import resemb_gnn as rg
from resemb_gnn.io.streams import progress_bar, standard_streams
from resemb_gnn.pipeline.progress import Stages


class Broken(io.StringIO):
    """A pipe whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@given(st.text(), st.sampled_from(["ascii", "cp1252", "latin-1", "shift_jis", "utf-8"]))
def test_what_cannot_be_shown_is_escaped(text: str, encoding: str) -> None:
    raw = io.BytesIO()
    kept = sys.stdout
    try:
        sys.stdout = io.TextIOWrapper(raw, encoding, newline="")
        with standard_streams():
            print(text, end="", flush=True)
        assert raw.getvalue() == text.encode(encoding, "backslashreplace")
    finally:
        sys.stdout = kept


@pytest.mark.parametrize("make", [lambda: None, closed, Broken])
def test_standard_error_that_takes_nothing_stops_nothing(
    make, log: rg.BehaviorLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for who calls the library, in a service or under ``pythonw``."""
    stream = make()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar(disable=False, total=2, desc="bar") as bar:
        bar.update()
    with Stages(1, quiet=False) as stages:
        assert stages.run("stage", lambda: 7) == 7
    result = rg.fit(rg.DIN(nn.Embedding(log.num_items, 4)), log.split(), epochs=1)
    assert len(result.curve) == 1
    with standard_streams():
        print("a note", file=sys.stderr, flush=True)
    assert sys.stderr is stream


@pytest.mark.parametrize("make", [lambda: None, closed])
def test_no_standard_output(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", make())
    with standard_streams():
        print("a result", flush=True)
        assert not sys.stdout.isatty()


def test_results_that_are_lost_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Broken())
    with standard_streams(), pytest.raises(BrokenPipeError):
        print("a result", flush=True)
