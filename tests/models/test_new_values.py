"""Values that come behind those that a model was fitted with: what is known stays to the bit."""

import copy
from dataclasses import replace

import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from resemb_gnn import InputError
from resemb_gnn.data.features import UNKNOWN, Features, FeatureTable, read_features
from resemb_gnn.models import DIN, ValueWeights
from resemb_gnn.models.replace_embedding import replace_features
from resemb_gnn.nn.embeddings.feature_embedding import TableEmbedding, width_of
from resemb_gnn.nn.embeddings.value_embedding import ValueEmbedding

SIZES = st.lists(st.integers(2, 6), min_size=1, max_size=4)
FRAME = pl.DataFrame(
    {
        "tab": ["home", "shop", None, "home"],
        "price": [1.5, 2.0, None, 4.0],
        "tags": [["x", "y"], ["y"], [], ["x"]],
        "hour": [7, 8, 9, 7],
    }
)
LATER = FRAME.with_columns(
    tab=pl.Series(["cart", "home", "cart", "bag"]),
    tags=pl.Series([["x", "new"], ["new"], [], ["y"]]),
)


def numbers_of(weights: ValueWeights, sizes: list[int]) -> list[Tensor]:
    """The numbers of the first values of each feature, so many of each."""
    numbers = []
    for place, size in enumerate(sizes):
        values = torch.zeros(size, len(sizes), dtype=torch.long)
        values[:, place] = torch.arange(size)
        numbers.append(weights._numbers(values)[:, place])
    return numbers


@settings(max_examples=40, deadline=None)
@given(fitted=SIZES, more=st.lists(st.integers(0, 4), min_size=8, max_size=8))
def test_no_number_is_anothers_and_none_changes(fitted: list[int], more: list[int]) -> None:
    weights = ValueWeights(fitted, bits=12)
    torch.nn.init.normal_(weights.values.weight)
    once = [size + one for size, one in zip(fitted, more[:4], strict=False)]
    twice = [size + one for size, one in zip(once, more[4:], strict=False)]
    first = weights.over(once)
    second = first.over(twice)
    for grown, sizes in ((first, once), (second, twice)):
        found = torch.cat(numbers_of(grown, sizes))
        assert found.unique().numel() == found.numel()
        for one, before in zip(numbers_of(grown, fitted), numbers_of(weights, fitted), strict=True):
            assert torch.equal(one, before)
        assert grown.crosses is weights.crosses
    for one, before in zip(numbers_of(second, once), numbers_of(first, once), strict=True):
        assert torch.equal(one, before)
    values = torch.stack([torch.randint(size, (20,)) for size in fitted], dim=1)
    assert torch.equal(second(values), weights(values))
    parts = second.values.weight.split(twice)
    assert all(not part[size:].any() for part, size in zip(parts, fitted, strict=True))
    # As a saved model is made again: from the sizes alone.
    again = ValueWeights(twice, 12, fitted)
    again.load_state_dict(second.state_dict())
    assert all(map(torch.equal, numbers_of(again, twice), numbers_of(second, twice)))


def test_a_table_grows_behind_what_it_knows() -> None:
    table = read_features(FRAME, FRAME.columns)
    torch.manual_seed(0)
    embedding = TableEmbedding(table).train()
    embedding(table, torch.arange(4))
    later = table.encode(LATER, grow=True)
    vocabularies = {
        one.name: one.vocabulary.to_list() for one in later if one.vocabulary is not None
    }
    assert vocabularies == {
        "tab": ["home", "shop", "bag", "cart"],
        "tags": ["x", "y", "new"],
        "hour": [7, 8, 9],
    }
    assert [one.num_fitted for one in later] == [2, None, 2, None]
    grown = embedding.over(later).eval()
    embedding.eval()
    key = torch.arange(4)
    # Until training has them they are what they were: unknown.
    assert torch.equal(grown(later, key), embedding(table.encode(LATER), key))
    grown.adapt(later[torch.tensor([0, 2])])  # "bag" was in no row of the training
    assert torch.equal(grown(later, key), embedding(table.encode(LATER), key))
    assert torch.equal(grown(table, key), embedding(table, key))
    codes = {"cart": 5, "bag": UNKNOWN}
    assert grown.codes(later)[[0, 3], 0].tolist() == list(codes.values())
    # From here on a row of its own.
    part = grown.parts[0]
    with torch.no_grad():
        part.table.weight[part.code[5]] += 1
    columns = grown.columns["tab"]
    moved = grown(later, key)[:, columns] - embedding(table.encode(LATER), key)[:, columns]
    torch.testing.assert_close(moved, torch.tensor([[1.0], [0], [1], [0]]).expand(4, 4))
    assert torch.equal(grown(table, key), embedding(table, key))


def test_the_sizes_of_a_model_stay_those_that_it_was_fitted_with() -> None:
    """Width and number of weights of pairs would be others for so many values."""
    few = read_features(pl.DataFrame({"a": ["x", "y"], "b": [1, 2]}), ["a", "b"])
    many = few.encode(pl.DataFrame({"a": [f"v{one}" for one in range(2000)], "b": 2}), grow=True)
    assert width_of(many.features["a"]) == width_of(few.features["a"]) == 4
    assert width_of(replace(many.features["a"], num_fitted=None)) == 8
    torch.manual_seed(0)
    model = DIN(torch.nn.Embedding(3, 4), features=Features(context=few))
    grown = copy.deepcopy(model)
    replace_features(grown, Features(context=many))
    made = DIN(torch.nn.Embedding(3, 4), features=Features(context=many))
    made.load_state_dict(grown.state_dict())
    assert made.value_weights is not None
    assert grown.value_weights is not None
    assert made.value_weights.crosses.bits == model.value_weights.crosses.bits < 12
    assert made.value_weights.fitted == grown.value_weights.fitted == [4, 4]
    table = FeatureTable({one.name: replace(one, num_fitted=None) for one in many})
    other = TableEmbedding(table, 4)
    assert grown.context is not None
    with pytest.raises(InputError, match="belong to features of other names, kinds or values"):
        other.load_state_dict(grown.context.state_dict())


@pytest.mark.parametrize(
    ("known", "day", "expected"),
    [
        (["a", "b"], ["c", "b", "a"], ["a", "b", "c"]),
        ([3, 1], [2, 1, 10], [1, 3, 2, 10]),
        ([1, 2], ["007", "2"], ["1", "2", "007"]),  # texts that numbers do not have
        (["a", "1"], [7, 1], ["1", "a", "7"]),
        ([True, True], ["false", "true"], [True, False]),
        ([None, None], [5, 4], [4, 5]),
    ],
)
def test_new_values_follow_those_that_are_known(
    known: list[object], day: list[object], expected: list[object]
) -> None:
    kinds = {"one": "category"}
    table = read_features(pl.DataFrame({"one": known}), ["one"], kinds)
    frame = pl.DataFrame({"one": day})
    found = table.encode(frame, grow=True).features["one"]
    assert found.vocabulary is not None
    assert found.vocabulary.to_list() == expected
    # A later day numbers them in the same way.
    again = FeatureTable({"one": found}).encode(frame).features["one"]
    assert torch.equal(again.values, found.values)
    assert int(found.values.min()) > UNKNOWN
    assert again.num_fitted == found.num_fitted == table.features["one"].num_codes - 2


def test_an_embedding_of_its_own_holds_new_values_as_unknown_until_they_are_trained() -> None:
    known = read_features(pl.DataFrame({"maker": ["m1", "m2"]}), ["maker"])
    later = known.encode(pl.DataFrame({"maker": ["m3", "m1"]}), grow=True)
    one, new = known.features["maker"], later.features["maker"]
    before = ValueEmbedding(one, torch.nn.Embedding(2, 3))
    before(one.values, torch.arange(2))
    before.embedding = torch.nn.Embedding(3, 3)
    grown = before.over(new)
    assert grown.code.tolist() == [0, 1, 2, 3, UNKNOWN]
    assert grown.others is before.others
    assert int(grown.steps) == 1
    grown.adapt(new)
    assert grown.code.tolist() == [0, 1, 2, 3, 4]
