from collections import Counter

import hypothesis.strategies as st
import polars as pl
from hypothesis import given, settings

from resemb_gnn.datasets.attributes import main_attribute

MANY = st.dictionaries(
    st.integers(0, 9), st.lists(st.integers(0, 6), max_size=6), min_size=1, max_size=10
)


@given(MANY)
@settings(max_examples=80, deadline=None)
def test_most_frequent_attribute_that_fewer_than_half_have(table):
    pairs = [(item, one) for item, attributes in table.items() for one in attributes]
    found = main_attribute(
        pl.DataFrame(pairs, schema={"item": pl.Int64, "attribute": pl.Int64}, orient="row"),
        len(table),
    )
    counts = Counter(one for attributes in table.values() for one in set(attributes))
    want = {}
    for item, attributes in table.items():
        told = [one for one in attributes if counts[one] < len(table) / 2]
        if told:
            want[item] = min(told, key=lambda one: (-counts[one], one))
    assert dict(found.iter_rows()) == want
    assert found.height == len(want)
