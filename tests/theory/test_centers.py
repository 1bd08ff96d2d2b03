import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resemb_gnn import ResEmbedding, covisit_graph
from resemb_gnn.data import BehaviorLog
from resemb_gnn.errors import InputError
from resemb_gnn.theory import (
    agreement,
    center_usage,
    effective_centers,
    main_centers,
    residual_share,
)


def make_embedding(log: BehaviorLog, encoder: str, num_centers: int | None = 6) -> ResEmbedding:
    torch.manual_seed(0)
    return ResEmbedding(
        covisit_graph(log),
        8,
        num_centers,
        encoder,
        feature_dim=8,
        residual_std=0.5,
        shrinkage=3.0,
    )


@pytest.mark.parametrize(
    ("encoder", "num_centers"), [("average", None), ("average", 6), ("gcn", 6), ("gat", 6)]
)
def test_usage_is_the_mean_of_all_weights(log, monkeypatch, encoder, num_centers):
    monkeypatch.setattr("resemb_gnn.theory.centers._ROWS", 7)  # several parts, the last smaller
    monkeypatch.setattr("resemb_gnn.theory.centers._NUMBERS", 40)
    embedding = make_embedding(log, encoder, num_centers)
    weights = embedding.center_weights(torch.arange(log.num_items)).detach()
    usage = center_usage(embedding)
    torch.testing.assert_close(usage, weights.double().mean(dim=0), atol=1e-6, rtol=1e-5)
    assert float(usage.sum()) == pytest.approx(1, abs=1e-6)
    assert torch.equal(main_centers(embedding), weights.argmax(dim=1))
    assert all(parameter.grad is None for parameter in embedding.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("encoder", ["average", "gat"])
def test_usage_in_another_number_format(log, encoder, dtype):
    embedding = make_embedding(log, encoder)
    expected = center_usage(embedding)
    usage = center_usage(embedding.to(dtype))
    torch.testing.assert_close(usage, expected, atol=0.02, rtol=0.02)


def test_usage_within_no_grad(log):
    embedding = make_embedding(log, "gcn")
    with torch.no_grad():
        inside = center_usage(embedding)
    torch.testing.assert_close(inside, center_usage(embedding))


def test_effective_centers():
    assert effective_centers(torch.tensor([0.0, 1.0, 0.0])) == pytest.approx(1)
    assert effective_centers(torch.full((7,), 1 / 7)) == pytest.approx(7)
    half = effective_centers(torch.tensor([0.5, 0.25, 0.25]))
    assert half == pytest.approx(2 ** (0.5 * 1 + 2 * 0.25 * 2))


def test_residual_share_agrees_with_a_loop(log, monkeypatch):
    monkeypatch.setattr("resemb_gnn.theory.centers._ROWS", 7)
    embedding = make_embedding(log, "gcn")
    share = residual_share(embedding)
    counts = log.item_counts()
    for item in range(log.num_items):
        ids = torch.tensor([item])
        center = (embedding.center_weights(ids) @ embedding.centers).norm().item()
        scale = counts[item] / (counts[item] + 3.0)
        residual = (embedding.residual[item].norm() * scale).item()
        assert float(share[item]) == pytest.approx(residual / (center + residual), rel=1e-5)


def test_residual_share_at_its_ends(log):
    embedding = make_embedding(log, "gcn")
    with torch.no_grad():
        embedding.residual.zero_()
        assert (residual_share(embedding) == 0).all()
        embedding.centers.zero_()
        assert (residual_share(embedding) == 0).all()
        embedding.residual.fill_(0.1)
    seen = log.item_counts() > 0
    assert (residual_share(embedding)[seen] == 1).all()


@given(st.lists(st.integers(0, 4), min_size=2, max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_agreement_is_blind_to_names(groups, random):
    names = list(range(5))
    random.shuffle(names)
    found = torch.tensor(groups)
    renamed = torch.tensor([names[group] + 10 for group in groups])
    assert agreement(found, renamed) == pytest.approx((1, 1))


def test_agreement_by_hand():
    # Two groupings that are independent: no mutual information.
    found, known = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    assert agreement(found, known).nmi == pytest.approx(0, abs=1e-12)
    assert agreement(found, known).ari == pytest.approx(-0.5)
    # One interest of two split in halves: I = log 2, H = log 2 and 1.5 log 2.
    found, known = torch.tensor([0, 0, 1, 2]), torch.tensor([5, 5, 3, 3])
    want = math.log(2) / ((math.log(2) + 1.5 * math.log(2)) / 2)
    assert agreement(found, known).nmi == pytest.approx(want)


def test_groupings_of_different_items_are_refused():
    with pytest.raises(InputError, match=r"\[3\] and \[4\]"):
        agreement(torch.zeros(3, dtype=torch.long), torch.zeros(4, dtype=torch.long))
