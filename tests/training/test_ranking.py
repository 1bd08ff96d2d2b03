"""Ranks against a loop and scikit-learn's metrics."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score
from torch import nn

import resemb_gnn as rg
from resemb_gnn import DIEN, DIN, PNN, BehaviorLog, InputError, PooledMLP, Split, WideDeep
from resemb_gnn.models import CTRModel
from resemb_gnn.training import Ranking, evaluate_ranking, predict, rank_catalogue

ITEMS = 25


@pytest.fixture
def log() -> BehaviorLog:
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.choice(ITEMS, size=6, replace=False) for _ in range(30)])
    frame = pl.DataFrame(
        {
            "user": np.arange(30).repeat(6),
            "item": items,
            "time": np.tile(np.arange(6), 30),
            "tab": rng.integers(3, size=180),
        }
    )
    brands = pl.DataFrame(
        {"item": range(ITEMS), "brand": [f"b{item % 4}" for item in range(ITEMS)]}
    )
    return BehaviorLog.from_frame(frame, "user", "item", "time", items=brands, context=["tab"])


@pytest.fixture
def split(log: BehaviorLog) -> Split:
    return log.split(by="last")


def make(kind: Callable[..., CTRModel], log: BehaviorLog, known: bool = False) -> CTRModel:
    torch.manual_seed(0)
    table = nn.Embedding(log.num_items, 4)
    return kind(table, features=log.features if known else None, hidden=(8,)).eval()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 15), min_size=1, max_size=6))
def test_means_by_scikit_learn(ranks: list[int]) -> None:
    found = Ranking.of(torch.tensor(ranks))
    truth = np.zeros((len(ranks), 16))
    truth[np.arange(len(ranks)), np.array(ranks) - 1] = 1
    score = np.arange(16, 0, -1) * np.ones((len(ranks), 1))
    assert found.ndcg_5 == pytest.approx(ndcg_score(truth, score, k=5))
    assert found.ndcg_10 == pytest.approx(ndcg_score(truth, score, k=10))
    assert found.hr_1 == pytest.approx(np.mean(np.array(ranks) <= 1))
    assert found.hr_5 == pytest.approx(np.mean(np.array(ranks) <= 5))
    assert found.hr_10 == pytest.approx(np.mean(np.array(ranks) <= 10))
    assert found.mrr == pytest.approx(np.mean([1 / rank for rank in ranks]))


@pytest.mark.parametrize(
    ("kind", "known"),
    [(DIEN, False), (DIN, True), (PNN, True), (PooledMLP, False), (WideDeep, True)],
)
def test_both_rankings_against_a_loop(
    kind: Callable[..., CTRModel], known: bool, log: BehaviorLog, split: Split
) -> None:
    model = make(kind, log, known)
    examples = split.against(split.test, 7, seed=1)
    assert examples.negatives is not None
    ranks, catalogue = [], []
    for number in range(len(examples)):
        one = examples[torch.tensor([number])]
        seen = set(log.items[log.users == one.user].tolist())
        drawn = one.negatives[0].tolist()
        assert not seen & set(drawn)
        # An example of its own for each item, with a history of its own.
        each = examples[torch.full((log.num_items,), number)]
        each = replace(each, negatives=None, target=torch.arange(log.num_items))
        score = dict(enumerate(predict(model, each).tolist()))
        target = score[int(one.target)]
        ranks.append(1 + sum(score[item] > target for item in drawn))
        others = set(score) - seen
        catalogue.append(1 + sum(score[item] > target for item in others))
    assert evaluate_ranking(model, examples) == Ranking.of(torch.tensor(ranks))
    found = rank_catalogue(model, split.test[split.test.label > 0], (log.users, log.items))
    assert found.tolist() == catalogue
    assert not model.training


def test_a_model_of_one_s_own(log: BehaviorLog, split: Split) -> None:
    class Own(DIN):
        def score(self, *args: Any) -> torch.Tensor:  # type: ignore[override]
            assert args[3].candidates == 1
            return super().score(*args)

    positives = split.test[split.test.label > 0]
    known = (log.users, log.items)
    own, din = (rank_catalogue(make(kind, log), positives, known) for kind in (Own, DIN))
    assert torch.equal(own, din)


def test_equal_scores_count_half(split: Split) -> None:
    class Same(nn.Module):
        def forward(self, batch: rg.Batch) -> torch.Tensor:
            return torch.zeros(len(batch))

    found = evaluate_ranking(Same(), split.against(split.test, 8))
    assert found.mrr == pytest.approx(1 / 5)


def test_the_same_draws_whatever_the_training_drew(log: BehaviorLog) -> None:
    examples = [
        log.split(by="last", negatives=law).against(log.split(by="last").test, 500).negatives
        for law in ("uniform", "popularity")
    ]
    assert torch.equal(*examples)
    assert len(examples[0].unique()) == log.num_items


def test_what_is_refused(split: Split) -> None:
    class Broken(nn.Module):
        def forward(self, batch: rg.Batch) -> torch.Tensor:
            return torch.full((len(batch),), torch.nan)

    with pytest.raises(InputError, match="needs examples with negatives"):
        evaluate_ranking(Broken(), split.test)
    with pytest.raises(InputError, match="a score is not a number"):
        evaluate_ranking(Broken(), split.against(split.test, 3))
    labelled = rg.InterestDelayModel(num_users=60, num_items=40).sample().split(by="last")
    with pytest.raises(InputError, match="needs a log without labels"):
        labelled.against(labelled.test, 3)

    class Unsized(nn.Module):
        embedding_dim = 4

    with pytest.raises(InputError, match="Unsized does not tell its number of items"):
        rank_catalogue(DIN(Unsized()), split.test, (split.history.users, split.history.items))
