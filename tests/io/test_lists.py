import polars as pl
import torch
from hypothesis import given
from hypothesis import strategies as st

from resemb_gnn.io.lists import from_lists, to_lists


@given(st.lists(st.lists(st.none() | st.text("ab", max_size=1), max_size=3), max_size=5))
def test_lists_are_cut_and_joined_as_a_loop_does(lists: list[list[str | None]]) -> None:
    values = pl.Series("x", [one for each in lists for one in each], dtype=pl.String)
    ptr = torch.tensor([0, *(len(one) for one in lists)]).cumsum(0)
    column = to_lists(values, ptr)
    assert column.equals(pl.Series("x", lists, dtype=pl.List(pl.String)), check_names=True)
    again, offsets = from_lists(column)
    assert again.equals(values, check_names=True)
    assert torch.equal(offsets, ptr)
