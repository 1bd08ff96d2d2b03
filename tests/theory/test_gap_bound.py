import copy
import itertools
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import resemb_gnn as rg
from resemb_gnn.data import Batch, Examples
from resemb_gnn.datasets.interest_delay import InterestDelayModel
from resemb_gnn.errors import InputError
from resemb_gnn.models import CTRModel
from resemb_gnn.theory import count_cells, deviation_term, envelope_balls, gap_bound
from resemb_gnn.theory.gap_bound import move_to_middles
from tests.shop import read_shop, write_shop

MAX_HISTORY = 2


class Linear(CTRModel):
    """f = b . target + a . (sum of the history): its gradients are known."""

    a = torch.tensor([3.0, 4.0])
    b = torch.tensor([0.0, 2.0])

    def score(
        self,
        items: Tensor,
        history: Tensor,
        target: Tensor,
        batch: Batch,
        side: Tensor | None = None,
    ) -> Tensor:
        example = torch.arange(len(batch)).repeat_interleave(batch.ptr.diff())
        pooled = torch.zeros(len(batch), 2).index_add(0, example, items[history])
        return items[target] @ self.b + pooled @ self.a


@pytest.fixture(scope="module")
def trained() -> tuple[InterestDelayModel, rg.DIN, Examples, Examples]:
    """A world of 3 interests, a DIN that overfits 300 of its users, and 1,000 fresh users."""
    world = InterestDelayModel(300, 60, 3, impressions_per_user=8, dwell=0.9, interest_dim=4)
    split = world.sample().split(by="last")
    fresh = world.sample(num_users=1000, seed=1).split(by="last").train
    torch.manual_seed(0)
    model = rg.DIN(nn.Embedding(60, 4), hidden=(16,))
    rg.fit(model, split, epochs=30, patience=30, lr=0.01, max_history=MAX_HISTORY, progress=False)
    return world, model, split.train, fresh


def pattern_frequencies(examples: Examples, interest: Tensor) -> Counter:
    """Frequency of each (history's interests in any order, target's interest, label)."""
    batch = examples.batch(torch.arange(len(examples)), MAX_HISTORY)
    history, target = interest[batch.history].tolist(), interest[batch.target].tolist()
    share = 1 / batch.user.bincount()[batch.user] / batch.user.unique().numel()
    found: Counter = Counter()
    for example, (low, high) in enumerate(itertools.pairwise(batch.ptr.tolist())):
        cell = (*sorted(history[low:high]), -1, target[example], int(batch.label[example]))
        found[cell] += float(share[example])
    return found


def middles_of(model: CTRModel, interest: Tensor) -> tuple[Tensor, Tensor]:
    vectors = model.item_features(torch.arange(interest.numel())).detach()
    balls = envelope_balls(vectors, interest)
    return vectors, torch.stack([ball.center for ball in balls]).float()[interest]


def test_the_bound_holds_on_an_overfitted_model(trained):
    world, model, train, fresh = trained
    found = gap_bound(model, train, fresh, world.item_interests, max_history=MAX_HISTORY)
    assert found.gap > 0.02  # it does overfit
    assert found.gap <= found.by_shift <= found.by_radius
    assert found.num_users == 300
    assert found.num_cells == 30  # 10 multisets of at most two of three interests, three targets
    assert 0 < found.deviation < 1

    # The gap again, from the model's own predictions.
    losses = []
    for examples in (train, fresh):
        logit = rg.predict(model, examples, max_history=MAX_HISTORY).clamp(-4, 4).double()
        loss = nn.functional.softplus(torch.where(examples.label > 0, -logit, logit))
        users = examples.user.unique()
        losses.append(np.mean([float(loss[examples.user == u].mean()) for u in users]))
    assert found.gap == pytest.approx(losses[1] - losses[0], abs=1e-5)


def test_the_middle_predictor_knows_patterns_alone(trained):
    """Its gap between any two sets of examples is at most B times their distance in variation."""
    world, model, train, fresh = trained
    interest = world.item_interests
    model = copy.deepcopy(model).eval()
    _, middles = middles_of(model, interest)
    model.embedding.weight.data = middles
    first, second = (pattern_frequencies(part, interest) for part in (train, fresh))
    distance = sum(abs(first[cell] - second[cell]) for cell in first | second) / 2
    found = gap_bound(model, train, fresh, interest, max_history=MAX_HISTORY)
    assert found.radius < 1e-6
    assert found.shift_train < 1e-5
    assert found.shift_fresh < 1e-5
    assert abs(found.gap) <= found.logit_bound * distance
    # The bound's own term covers the distance, and the two are of one order.
    assert distance <= found.deviation <= 5 * distance


@pytest.mark.parametrize("activation", ["dice", "prelu", "relu"])
def test_shift_is_at_most_gradient_times_distance(trained, activation):
    world, _, train, _ = trained
    torch.manual_seed(1)
    model = rg.DIN(nn.Embedding(60, 4), hidden=(16,), activation=activation).eval()
    vectors, middles = middles_of(model, world.item_interests)
    batch = train.batch(torch.arange(400), 5)
    moved = move_to_middles(model, batch, vectors, middles, points=64)
    distance = (vectors - middles).norm(dim=1)
    farthest = torch.stack(
        [
            torch.cat([distance[batch.history[low:high]], distance[target, None]]).max()
            for low, high, target in zip(batch.ptr, batch.ptr[1:], batch.target, strict=False)
        ]
    )
    shift = (moved.logit - moved.middle_logit).abs()
    assert (shift <= moved.gradient * farthest * 1.001).all()
    assert (shift / (moved.gradient * farthest)).max() > 0.1


def test_gradients_are_those_of_each_example_alone(trained):
    world, model, train, _ = trained
    model = copy.deepcopy(model).eval()
    vectors, middles = middles_of(model, world.item_interests)
    batch = train.batch(torch.arange(40), 5)
    moved = move_to_middles(model, batch, vectors, middles, points=1)
    halfway = ((vectors + middles) / 2).requires_grad_()
    for example in range(40):
        low, high = int(batch.ptr[example]), int(batch.ptr[example + 1])
        rows = torch.cat([batch.history[low:high], batch.target[example, None]])
        items = halfway[rows].detach().requires_grad_()
        place = torch.arange(len(rows))
        one = Batch(
            rows[:-1],
            torch.tensor([0, high - low]),
            rows[-1:],
            batch.label[example, None],
            batch.user[example, None],
        )
        model.score(items, place[:-1], place[-1:], one).backward()
        want = float(items.grad.norm(dim=1).sum())
        assert float(moved.gradient[example]) == pytest.approx(want, rel=1e-4)


def test_a_linear_model_has_its_own_constant():
    table = nn.Embedding.from_pretrained(torch.tensor([[0.0, 0.0], [0.0, 1.0], [5.0, 5.0]]))
    model = Linear(table)
    # Users 0 and 1 with histories (0), (0, 1, 2), (); the targets are 1, 2 and 1.
    examples = Examples(
        items=torch.tensor([0, 1, 2]),
        start=torch.tensor([0, 0, 0]),
        end=torch.tensor([1, 3, 0]),
        target=torch.tensor([1, 2, 1]),
        label=torch.tensor([1.0, 0.0, 1.0]),
        user=torch.tensor([0, 0, 1]),
    )
    fresh = examples[torch.tensor([1, 2])]
    found = gap_bound(
        model, examples, fresh, torch.tensor([0, 0, 1]), max_history=3, logit_bound=20.0
    )
    assert found.lipschitz == pytest.approx(3 * 5 + 2)  # three behaviours and the target
    assert found.radius == pytest.approx(0.5)
    # Items 0 and 1 meet halfway: the logits change by 2 - 1 = 1, 0 and -1.
    assert found.shift_train == pytest.approx(((1 + 0) / 2 + 1) / 2)
    assert found.shift_fresh == pytest.approx((0 + 1) / 2)
    # The logits are 2, 49 (clamped to 20) and 2; user 0 has lost one of two examples.
    easy, hard = math.log1p(math.exp(-2)), 20 + math.log1p(math.exp(-20))
    assert found.gap == pytest.approx((hard + easy) / 2 - ((easy + hard) / 2 + easy) / 2)
    assert found.by_shift == pytest.approx(0.75 + 0.5 + 20 * found.deviation)
    assert found.by_radius == pytest.approx(2 * 17 * 0.5 + 20 * found.deviation)


@pytest.mark.parametrize(("interests", "length"), [(1, 3), (2, 2), (3, 4), (4, 0)])
def test_cells_are_counted(interests, length):
    each = range(interests)
    lengths = range(length + 1)
    sets = [len(list(itertools.combinations_with_replacement(each, n))) for n in lengths]
    sequences = [len(list(itertools.product(each, repeat=n))) for n in lengths]
    assert count_cells(interests, length) == interests * sum(sets)
    assert count_cells(interests, length, ordered=True) == interests * sum(sequences)


@pytest.mark.parametrize("rows", [1, 5])
def test_deviation_covers_the_distance_in_variation(rows):
    """Also with several rows a user that are far from independent."""
    num_cells, num_users, draws = 20, 1000, 400
    rng = np.random.default_rng(rows)
    law = np.full(2 * num_cells, 1 / (2 * num_cells))  # even: the hardest law
    distances = []
    for _ in range(draws):
        cell = rng.integers(law.size, size=num_users)
        found = np.bincount(cell, minlength=law.size) / num_users
        if rows > 1:  # a user's rows: neighbouring cells, each with the same chance
            found = np.mean([np.roll(found, shift) for shift in range(rows)], axis=0)
        distances.append(np.abs(found - law).sum() / 2)
    limit = deviation_term(num_cells, num_users, 0.95)
    assert np.mean(np.array(distances) > limit) <= 0.05
    if rows == 1:
        assert np.mean(distances) > 0.75 * math.sqrt(num_cells / (2 * num_users))  # not idle
    assert deviation_term(num_cells, num_users, 0.99) > limit
    assert deviation_term(num_cells, 4 * num_users, 0.95) == pytest.approx(limit / 2)


def test_deviation_by_hand():
    # sqrt(50 / 20000) + sqrt(log(20) / 20000)
    assert deviation_term(50, 10_000, 0.95) == pytest.approx(0.05 + 0.0122387, abs=1e-6)


def test_deviation_is_never_above_one():
    assert deviation_term(10**400, 10) == 1
    assert deviation_term(19, 10) == 1
    assert deviation_term(1, 2, 0.999999) == 1


def test_a_model_that_names_items_is_refused(trained):
    world, _, train, fresh = trained
    model = rg.DIN(nn.Embedding(60, 4), item_bias=True)
    nn.init.normal_(model.item_bias.weight)
    with pytest.raises(InputError, match="more of an item than its features"):
        gap_bound(model, train, fresh, world.item_interests, max_history=MAX_HISTORY)
    assert model.training


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logit_bound", 0.0),
        ("points", 0),
        ("batch_size", 0),
        ("confidence", 1.0),
        ("max_history", -1),
    ],
)
def test_settings_out_of_range_are_refused(trained, name, value):
    world, model, train, fresh = trained
    options = {"max_history": MAX_HISTORY, name: value}
    with pytest.raises(InputError, match=name):
        gap_bound(model, train, fresh, world.item_interests, **options)


def test_bad_input_is_refused(trained):
    world, model, train, fresh = trained
    with pytest.raises(InputError, match=r"interest has shape \[59\], not \[60\]"):
        gap_bound(model, train, fresh, world.item_interests[:-1], max_history=2)
    none = fresh[torch.empty(0, dtype=torch.long)]
    with pytest.raises(InputError, match="fresh holds no example"):
        gap_bound(model, train, none, world.item_interests, max_history=2)
    for options in (
        {"num_interests": 0, "max_history": 1},
        {"num_interests": 1, "max_history": -1},
    ):
        with pytest.raises(InputError, match="must be at least"):
            count_cells(**options)
    with pytest.raises(InputError, match="num_users"):
        deviation_term(4, 0)


def test_users_and_context_stay_where_they_are(tmp_path: Path) -> None:
    """Items move with all their features; at the start of the way the model says what it says."""
    write_shop(tmp_path)
    log = read_shop(tmp_path)
    torch.manual_seed(0)
    model = rg.DIN(nn.Embedding(log.num_items, 4), features=log.features).eval()
    batch = log.split(by="time").test.batch(torch.arange(20), MAX_HISTORY)
    vectors = model.item_features(torch.arange(log.num_items)).detach()
    found = move_to_middles(model, batch, vectors, torch.zeros_like(vectors), 4)
    with torch.no_grad():
        torch.testing.assert_close(found.logit, model(batch))
    assert not torch.equal(found.logit, found.middle_logit)
