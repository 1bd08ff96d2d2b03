import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resemb_gnn.data import BehaviorLog
from resemb_gnn.datasets.interest_delay import InterestDelayModel
from resemb_gnn.errors import InputError
from resemb_gnn.training import auc

CYCLE = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])


def small_world(**changes) -> InterestDelayModel:
    options = {
        "num_users": 400,
        "num_items": 30,
        "num_interests": 3,
        "impressions_per_user": 12,
        "dwell": 0.8,
        "interest_dim": 4,
    }
    return InterestDelayModel(**(options | changes))


def log_likelihood(world: InterestDelayModel, log: BehaviorLog) -> float:
    eta = world.bayes_probability(log)
    return float(torch.where(log.labels > 0, eta, 1 - eta).log().mean())


def probability_by_paths(world: InterestDelayModel, items, clicks) -> list[float]:
    """P(click at t | shown items up to t, clicks before t), summed over every path of interests."""
    size = world.num_interests
    same = torch.eye(size).double()
    step = world.dwell * same + (1 - world.dwell) * world.transition
    out = []
    for t in range(len(items)):
        weight = {0: 0.0, 1: 0.0}
        for path in itertools.product(range(size), repeat=t + 1):
            chance = 1 / size
            for s, z in enumerate(path):
                if s:
                    chance *= float(step[path[s - 1], z])
                matches = int(world.item_interests[items[s]]) == z
                rate = world.match_rate
                chance *= rate if matches else (1 - rate) / (size - 1)
                logit = world.intercept + float(world.item_bias[items[s]])
                place = world.item_vectors[items[s]]
                logit += world.slope * float(world.interest_vectors[z] @ place)
                p = 1 / (1 + np.exp(-logit))
                if s < t:
                    chance *= p if clicks[s] else 1 - p
            weight[1] += chance * p
            weight[0] += chance * (1 - p)
        out.append(weight[1] / (weight[0] + weight[1]))
    return out


@pytest.mark.parametrize("seed", [0, 1])
def test_bayes_probability_sums_over_all_paths(seed):
    world = small_world(num_users=4, impressions_per_user=5, seed=seed)
    log = world.sample()
    eta = world.bayes_probability(log).reshape(4, 5)
    items, clicks = log.items.reshape(4, 5), log.labels.reshape(4, 5)
    for user in range(4):
        want = probability_by_paths(world, items[user].tolist(), clicks[user].tolist())
        np.testing.assert_allclose(eta[user], want, rtol=1e-9)


def test_bayes_probability_looks_at_the_past_only():
    world = small_world(num_users=20)
    log = world.sample()
    lengths = torch.arange(20) % 12 + 1
    position = torch.arange(12).repeat(20)
    head = position < lengths.repeat_interleave(12)
    cut = world.bayes_probability(log.select(head))
    torch.testing.assert_close(cut, world.bayes_probability(log)[head])


def test_clicks_follow_the_bayes_probability():
    world = small_world(num_users=20_000, item_noise=0.5)
    log = world.sample()
    eta, label = world.bayes_probability(log), log.labels.double()
    for inside in eta.argsort().chunk(20):  # 12,000 rows of like probability
        error = (label[inside] - eta[inside]).sum()
        deviation = (eta[inside] * (1 - eta[inside])).sum().sqrt()
        assert abs(float(error / deviation)) < 4


@pytest.mark.parametrize(
    "change",
    [
        {"dwell": 0.7},
        {"dwell": 0.9},
        {"match_rate": 0.3},
        {"match_rate": 0.7},
        {"transition": CYCLE},
        {"slope": 3.0},
        {"intercept": -1.5},
        {"item_noise": 0.0},
    ],
)
def test_the_true_law_explains_a_sample_better_than_another(change):
    options = {"item_noise": 0.5, "transition": CYCLE.T}
    world = small_world(num_users=4000, **options)
    log = world.sample()
    other = small_world(num_users=4000, **(options | change))
    # Only the parameter under test differs.
    torch.testing.assert_close(other.item_vectors, world.item_vectors)
    assert log_likelihood(world, log) > log_likelihood(other, log) + 1e-4


def test_users_move_along_the_rows_of_the_transition():
    world = small_world(
        num_users=50, dwell=0.0, match_rate=1 - 1e-12, transition=CYCLE, slope=0.0, item_radius=0.0
    )
    shown = world.item_interests[world.sample().items].reshape(50, 12)
    assert torch.equal(shown[:, 1:], (shown[:, :-1] + 1) % 3)
    assert shown[:, 0].unique().numel() == 3


def test_users_dwell():
    world = small_world(num_users=5000, dwell=0.9, match_rate=1 - 1e-12)
    shown = world.item_interests[world.sample().items].reshape(5000, 12)
    stays = (shown[:, 1:] == shown[:, :-1]).double().mean()
    assert abs(float(stays) - 0.9) < 0.005  # 55,000 steps: a standard deviation of .0013


def test_popularity_is_zipf_within_each_interest():
    world = small_world(num_users=20_000, zipf_exponent=1.3, item_noise=0.0)
    counts = world.sample().item_counts().double()
    want = torch.arange(1, 11).double() ** -1.3
    for interest in range(3):
        got = counts[world.item_interests == interest].sort(descending=True).values
        np.testing.assert_allclose(got / got.sum(), want / want.sum(), rtol=0.05)


def test_even_popularity_reaches_every_item():
    world = small_world(num_users=20_000, zipf_exponent=0.0)
    counts = world.sample().item_counts().double()
    np.testing.assert_allclose(counts / counts.mean(), 1, atol=0.06)


def test_items_lie_within_the_planted_radius():
    world = small_world(num_items=200, item_radius=0.4)
    distance = (world.item_vectors - world.interest_vectors[world.item_interests]).norm(dim=1)
    assert float(distance.max()) <= 0.4
    # Uniform in a ball of 4 dimensions: the mean distance is 4/5 of the radius.
    assert abs(float(distance.mean()) - 0.32) < 0.02
    torch.testing.assert_close(world.interest_vectors.norm(dim=1), torch.ones(3).double())


@given(seed=st.integers(0, 1000), size=st.integers(3, 40))
@settings(max_examples=20, deadline=None)
def test_interests_differ_by_one_item_at_most(seed, size):
    sizes = small_world(num_items=size, seed=seed).item_interests.bincount(minlength=3)
    assert int(sizes.sum()) == size
    assert int(sizes.max() - sizes.min()) <= 1


def test_click_probability_is_lipschitz_in_the_place_of_the_item():
    world = small_world(num_items=60, item_noise=0.0, item_radius=2.0, intercept=0.0)
    p = world.click_probability(torch.arange(3)[:, None], torch.arange(60))
    rise = (p[:, :, None] - p[:, None, :]).abs().amax(dim=0)
    distance = torch.cdist(world.item_vectors, world.item_vectors)
    ratio = (rise / distance)[~torch.eye(60).bool()]
    assert float(ratio.max()) <= world.lipschitz
    assert float(ratio.max()) > world.lipschitz / 2  # the constant is not idle


def test_bayes_auc_is_the_expected_auc_of_the_last_rows():
    world = small_world(num_users=60)
    eta = world.bayes_probability(world.sample()).reshape(60, 12)[:, -1].numpy()
    won = total = 0.0
    for a, b in itertools.product(eta, eta):
        total += a * (1 - b)
        won += a * (1 - b) * ((a > b) + 0.5 * (a == b))
    assert world.bayes_auc == pytest.approx(won / total, abs=1e-12)


def test_no_other_predictor_beats_bayes():
    world = small_world(num_users=4000)
    log = world.sample()
    last = log.ptr[1:] - 1
    label = log.labels[last]
    best = auc(world.bayes_probability(log)[last], label)
    assert best == pytest.approx(world.bayes_auc, abs=0.025)  # a standard error of .008
    even = torch.full((3, 3), 1 / 3)
    forgetful = small_world(num_users=4000, dwell=0.0, transition=even)
    assert best > auc(forgetful.bayes_probability(log)[last], label) + 0.05


def test_equal_settings_give_the_same_log():
    first, second = small_world(seed=3).sample(), small_world(seed=3).sample()
    assert torch.equal(first.items, second.items)
    assert torch.equal(first.labels, second.labels)
    world = small_world(seed=3)
    assert torch.equal(world.sample().items, world.sample().items)
    assert not torch.equal(small_world(seed=4).sample().items, first.items)


def test_other_users_of_the_same_world():
    world = small_world(seed=3)
    fresh = world.sample(num_users=7, seed=9)
    assert (fresh.num_users, fresh.num_items, fresh.num_behaviors) == (7, 30, 84)
    assert not torch.equal(fresh.items, world.sample(num_users=7).items)
    split = fresh.split(by="last")
    assert len(split.test) == 7
    assert torch.equal(split.test.target, fresh.items.reshape(7, 12)[:, -1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_users", 0),
        ("num_interests", 1),
        ("num_items", 2),
        ("impressions_per_user", 0),
        ("interest_dim", 0),
        ("seed", -1),
        ("dwell", 1.5),
        ("dwell", float("nan")),
        ("match_rate", 0.0),
        ("match_rate", 1.0),
        ("zipf_exponent", -0.1),
        ("item_radius", -1.0),
        ("item_noise", float("inf")),
        ("slope", -4.0),
        ("intercept", float("nan")),
        ("transition", torch.eye(2)),
        ("transition", CYCLE * 2),
        ("transition", torch.tensor([[2.0, -1.0, 0.0]] * 3)),
    ],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        small_world(**{name: value})


def test_logs_of_elsewhere_are_refused(log):
    with pytest.raises(InputError, match="not a log of this world"):
        small_world().bayes_probability(log)
    with pytest.raises(InputError, match="num_users"):
        small_world().sample(num_users=0)
    with pytest.raises(InputError, match="seed"):
        small_world().sample(seed=-1)
