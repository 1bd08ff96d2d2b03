import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings

from resemb_gnn import InputError
from resemb_gnn.data import NegativeSampler

NUM_ITEMS = 9


def _sampler(log, weight=None):
    ones = torch.ones(log.num_items, dtype=torch.long)
    return NegativeSampler(log.items, log.users, ones if weight is None else torch.tensor(weight))


def _draw(sampler, user, end, target, num=1, seed=0):
    parts = (torch.tensor([part]) for part in (user, end, target))
    return sampler.draw(*parts, num, np.random.default_rng(seed))[0].tolist()


@given(
    st.lists(st.lists(st.integers(0, NUM_ITEMS - 1), max_size=12), min_size=1, max_size=5),
    st.lists(st.integers(0, 3), min_size=NUM_ITEMS, max_size=NUM_ITEMS),
    st.integers(1, 3),
    st.integers(0, 5),
)
@settings(max_examples=120, deadline=None)
def test_negatives_are_what_is_left(make_log, histories, weight, num, seed):
    """Never the target nor of the history, never of weight 0; an error only if nothing is left."""
    if not sum(map(len, histories)) or sum(w > 0 for w in weight) < 2:
        return
    log = make_log(histories, num_items=NUM_ITEMS)
    users, ends = log.users, torch.arange(log.num_behaviors)
    left = []
    for row, (user, item) in enumerate(zip(users.tolist(), log.items.tolist(), strict=True)):
        seen = set(log.items[int(log.ptr[user]) : row].tolist())
        left.append({i for i in range(NUM_ITEMS) if weight[i]} - seen - {item})
    sampler = _sampler(log, weight)
    rng = np.random.default_rng(seed)
    open_rows = torch.tensor([bool(items) for items in left])
    parts = (users[open_rows], ends[open_rows], log.items[open_rows])
    drawn = sampler.draw(*parts, num, rng)
    assert drawn.shape == (int(open_rows.sum()), num)
    assert drawn.dtype == torch.long
    for negatives, allowed in zip(drawn.tolist(), filter(None, left), strict=True):
        assert set(negatives) <= allowed
    if not open_rows.all():
        row = int((~open_rows).nonzero()[0])
        with pytest.raises(InputError, match=f"user number {int(users[row])} has acted on every"):
            sampler.draw(users, ends, log.items, num, rng)


def test_what_is_acted_on_later_may_be_drawn(make_log):
    log = make_log([[0, 1, 2, 0, 2]])
    sampler = _sampler(log)
    assert set(_draw(sampler, user=0, end=0, target=0, num=60)) == {1, 2}
    assert set(_draw(sampler, user=0, end=1, target=1, num=60)) == {2}
    assert set(_draw(sampler, user=0, end=1, target=2, num=60)) == {1}
    with pytest.raises(InputError, match=r"user number 0 .* before behaviour 2 of the log"):
        _draw(sampler, user=0, end=2, target=2)


def test_without_behaviours_all_but_the_target_may_be_drawn(make_log):
    sampler = _sampler(make_log([[]], num_items=4))
    assert set(_draw(sampler, user=0, end=0, target=2, num=60)) == {0, 1, 3}
    assert _draw(sampler, user=0, end=0, target=2, num=0) == []


def test_other_users_do_not_matter(make_log):
    log = make_log([[0, 1, 2], [3], [0, 1, 2]])
    assert set(_draw(_sampler(log), user=1, end=4, target=3, num=60)) == {0, 1, 2}


@pytest.mark.parametrize("weight", [None, [1] * 500 + [10_000] * 500])
def test_the_one_item_left_is_drawn(make_log, weight):
    """Rejection cannot find it; the item is of the light half, the heavy half is seen."""
    history = [item for item in range(1000) if item not in (7, 8)]
    log = make_log([history], num_items=1000)
    assert _draw(_sampler(log, weight), 0, log.num_behaviors, target=8, num=5) == [7] * 5


def test_a_user_who_has_seen_all_is_refused(make_log):
    log = make_log([[5], list(range(6))])
    with pytest.raises(InputError, match="user number 1 has acted on every item"):
        _draw(_sampler(log), user=1, end=7, target=0)


def test_fewer_than_two_candidates_are_refused(make_log):
    with pytest.raises(InputError, match="of 1 items fewer than two can be a negative"):
        _sampler(make_log([[0, 0, 0]]))
    with pytest.raises(InputError, match="of 3 items fewer than two can be a negative"):
        _sampler(make_log([[0, 1, 2]]), weight=[0, 4, 0])


@pytest.mark.parametrize("weight", [[1] * 9, [5, 1, 0, 9, 30, 7, 2, 2, 14]])
def test_negatives_are_drawn_in_proportion(make_log, weight):
    log = make_log([[3, 8, 3]], num_items=9)
    drawn = _draw(_sampler(log, weight), user=0, end=3, target=1, num=4000, seed=7)
    counts = np.bincount(drawn, minlength=9)
    left = [item for item in range(9) if item not in (1, 3, 8) and weight[item]]
    assert counts[left].sum() == 4000
    share = np.array([weight[item] for item in left])
    assert scipy.stats.chisquare(counts[left], 4000 * share / share.sum()).pvalue > 0.05


def test_enumerated_negatives_are_drawn_in_proportion(make_log):
    """Three items of 1000 are left, so that nearly every draw gives up rejection."""
    history = [item for item in range(1000) if item not in (1, 500, 999)]
    log = make_log([history], num_items=1000)
    weight = [1] * 500 + [2] + [1] * 498 + [5]
    drawn = _draw(_sampler(log, weight), 0, log.num_behaviors, target=0, num=2000, seed=1)
    counts = np.bincount(drawn, minlength=1000)[[1, 500, 999]]
    assert scipy.stats.chisquare(counts, 2000 * np.array([1, 2, 5]) / 8).pvalue > 0.05


def test_draws_of_a_seed_and_of_one_example_are_independent(make_log):
    log = make_log([[0], [1]], num_items=50)
    sampler = _sampler(log)
    parts = (torch.tensor([0, 1] * 100), torch.tensor([1, 2] * 100), torch.tensor([4, 4] * 100))
    one, again, other = (sampler.draw(*parts, 2, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    same = int((one[:, 0] == one[:, 1]).sum())  # about 200 / 48 by chance
    assert 0 < same < 20


def test_parts_of_different_lengths_are_refused(make_log):
    log = make_log([[0, 1, 2], [1]])
    ones = torch.ones(3, dtype=torch.long)
    with pytest.raises(InputError, match="must be of one length: items 4, users 1"):
        NegativeSampler(log.items, log.users[:1], ones)  # torch would take one user for all
    sampler, rng = _sampler(log), np.random.default_rng(0)
    with pytest.raises(InputError, match="must be of one length: user 2, end 2, target 1"):
        sampler.draw(log.users[:2], log.users[:2], log.items[:1], 1, rng)
