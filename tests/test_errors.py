import pytest
import torch

from resemb_gnn.errors import InputError, brief, check_lengths, shown


def test_short_values_are_shown_whole_and_long_ones_are_cut():
    assert shown("a\nb") == "'a\\nb'"
    assert shown(7) == "7"
    assert "\n" not in shown(torch.ones(2, 2))
    for value in ("x" * 10**6, 10**4000, [["y" * 10**6] * 10**3] * 10**3):
        assert len(shown(value)) <= 500
    assert shown("a" + "x" * 10**6 + "z").startswith("'axx")


def test_brief_is_one_line():
    assert brief(ValueError("first\nsecond")) == "first"
    assert brief(EOFError()) == "EOFError"
    assert len(brief(ValueError("x" * 10**6))) < 310


def test_lengths_that_differ_are_named():
    check_lengths(a=[1, 2], b=torch.zeros(2, 3), c="xy")
    with pytest.raises(InputError, match="these must be of one length: a 2, b 3, c 2"):
        check_lengths(a=[1, 2], b=torch.zeros(3), c="xy")
