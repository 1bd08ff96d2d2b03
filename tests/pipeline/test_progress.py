"""The bar of a command's stages."""

import re
import time

import pytest

from resemb_gnn.io import streams
from resemb_gnn.pipeline.progress import Stages


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars are drawn wherever standard error leads."""
    monkeypatch.setattr(streams, "on_terminal", lambda: True)


@pytest.mark.usefixtures("on_terminal")
def test_the_clock_goes_on_during_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with Stages(2, quiet=False) as stages:
        assert stages.run("first", lambda: 7) == 7
        stages.run("second", lambda: time.sleep(2.5))
    shown = capsys.readouterr().err
    assert "first: " in shown
    assert "second: " in shown
    assert {"stage 1 of 2, 00:01", "stage 1 of 2, 00:02"} <= set(map(str.strip, parts(shown)))


def parts(shown: str) -> list[str]:
    return [part[part.index("stage") :] for part in shown.split("\r") if "stage" in part]


@pytest.mark.usefixtures("on_terminal")
def test_a_failing_stage_ends_the_clock(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), Stages(1, quiet=False) as stages:
        stages.run("only", fail)
    capsys.readouterr()
    time.sleep(1.5)
    assert not capsys.readouterr().err


def test_a_line_a_stage_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Stages(2, quiet=False) as stages:
        stages.run("first", lambda: None)
        stages.run("second", lambda: None)
    assert re.fullmatch(r"first: [\d.]+ s\nsecond: [\d.]+ s\n", capsys.readouterr().err)
    with Stages(1, quiet=True) as stages:
        stages.run("only", lambda: None)
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("on_terminal")
def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Stages(1, quiet=True) as stages:
        stages.run("only", lambda: None)
    assert not capsys.readouterr().err
