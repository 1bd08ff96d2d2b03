"""An embedding over the values of a category against a loop over its codes."""

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from resemb_gnn import InputError
from resemb_gnn.data.feature import Feature
from resemb_gnn.data.features import FIRST, MISSING, UNKNOWN
from resemb_gnn.nn.embeddings.value_embedding import ValueEmbedding

WORDS = pl.Series(["a", "b", "c", "d"])


def feature_of(codes: list[int]) -> Feature:
    return Feature("author", torch.tensor(codes, dtype=torch.long), WORDS)


def make(codes: list[int], **options: float) -> ValueEmbedding:
    torch.manual_seed(0)
    return ValueEmbedding(feature_of(codes), nn.Embedding(len(WORDS), 3), **options)


CODES = st.lists(st.integers(0, FIRST + len(WORDS) - 1), min_size=1, max_size=20)


@given(trained=CODES, asked=CODES)
def test_by_a_loop(trained: list[int], asked: list[int]) -> None:
    """Values that training did not have are unknown ones; each code has its row."""
    embedding = make(trained).eval()
    expected = []
    for code in asked:
        code = code if code in trained or code == MISSING else UNKNOWN
        if code < FIRST:
            expected.append(embedding.others.weight[code])
        else:
            expected.append(embedding.embedding.weight[code - FIRST])
    found = embedding(embedding.encode(feature_of(asked)), torch.arange(len(asked)))
    assert torch.equal(found, torch.stack(expected))


class Watched(nn.Module):
    embedding_dim, num_embeddings = 3, len(WORDS)

    def __init__(self, user_fold: Tensor | None) -> None:
        super().__init__()
        self.user_fold = user_fold
        self.asked: list[object] = []

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        self.asked.append((ids.tolist(), fold))
        return torch.zeros(len(ids), 3)


@pytest.mark.parametrize("user_fold", [None, torch.zeros(2, dtype=torch.long)])
def test_each_value_is_asked_for_once_and_with_the_fold_where_there_are_folds(
    user_fold: Tensor | None,
) -> None:
    codes = [2, 5, 0, 5, 1, 2, 2]
    watched = Watched(user_fold)
    embedding = ValueEmbedding(feature_of(codes), watched).eval()
    embedding(torch.tensor(codes), torch.arange(7), 1)
    assert watched.asked == [([0, 3], None if user_fold is None else 1)]


def test_what_is_dropped() -> None:
    """A share, decided by key and step; both other vectors are trained, that of missing values
    where training has some by these alone.
    """
    number, drop = 20_000, 0.1
    key = torch.arange(number)
    for codes, has_missing in (([2, 3], False), ([0, 2, 3], True)):
        embedding = make(codes, drop=drop)
        every = torch.tensor([2] * number)
        with torch.no_grad():
            embedding.others.weight.copy_(torch.tensor([[1.0], [2.0]]).expand(2, 3))
            embedding.embedding.weight.zero_()
        first = embedding(every, key)[:, 0]
        assert (first == 2).float().mean() == pytest.approx(
            drop if has_missing else drop / 2, rel=0.15
        )
        assert (first == 1).float().mean() == pytest.approx(
            0 if has_missing else drop / 2, rel=0.15
        )
        second = embedding(every, key)[:, 0]
        assert not torch.equal(first, second)
        embedding.steps.fill_(0)
        torch.manual_seed(7)
        assert torch.equal(embedding(every, key)[:, 0], first)
        embedding.steps.fill_(0)
        order = torch.arange(number - 1, -1, -1)
        assert torch.equal(embedding(every, key[order])[:, 0], first[order])
        embedding.eval()
        assert not embedding(every, key).any()


def test_what_it_was_trained_with_is_joined_by_what_a_later_training_has() -> None:
    embedding = make([2, 3, 4, 5])
    embedding.adapt(feature_of([2, 4]))
    assert embedding.code.tolist() == [0, 1, 2, UNKNOWN, 4, UNKNOWN]
    embedding.adapt(feature_of([0, 4]))  # not trained yet: this is what it will be trained with
    assert embedding.code.tolist() == [0, 1, UNKNOWN, UNKNOWN, 4, UNKNOWN]
    assert embedding.has_missing
    embedding(torch.tensor([2]), torch.tensor([0]))
    embedding.adapt(feature_of([3]))
    assert embedding.code.tolist() == [0, 1, UNKNOWN, 3, 4, UNKNOWN]
    assert embedding.has_missing


@pytest.mark.parametrize(
    ("feature", "embedding", "message"),
    [
        (feature_of([2]), nn.Embedding(6, 3), "'author' .* has 6 values, but the feature 4"),
        (feature_of([2]), nn.Linear(3, 3), "Linear has no embedding_dim"),
        (Feature("price", torch.rand(3)), nn.Embedding(4, 3), "'price' is .* kind 'numeric'"),
        (
            Feature("tags", torch.tensor([2]), WORDS, torch.tensor([0, 1])),
            nn.Embedding(4, 3),
            "'tags' is .* kind 'list'",
        ),
    ],
)
def test_what_does_not_fit(feature: Feature, embedding: nn.Module, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ValueEmbedding(feature, embedding)


def test_weights_of_other_values() -> None:
    embedding = make([2, 3])
    other = Feature("author", torch.tensor([2]), WORDS.reverse())
    with pytest.raises(InputError, match="other values of the feature 'author'"):
        ValueEmbedding(other, nn.Embedding(4, 3)).load_state_dict(embedding.state_dict())
