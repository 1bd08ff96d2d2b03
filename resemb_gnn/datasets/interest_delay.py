"""The interest-delay model: a synthetic world of click logs whose truth is known."""

import math
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from resemb_gnn.data import BehaviorLog
from resemb_gnn.datasets.bayes_filter import expected_auc, filter_clicks
from resemb_gnn.errors import InputError

_WORLD, _USERS = 0, 1


class InterestDelayModel:
    r"""Click logs of users who dwell in one interest for a while before they move to another
    (after the idea of Zhou et al., arXiv 1906.10304; the paper's exact law was not available,
    this is our formulation).

    Interest :math:`k` is a random unit vector :math:`v_k`; item :math:`i` of interest
    :math:`g(i)` lies within ``item_radius`` of it, at :math:`x_i`. The current interest
    :math:`z_t` of a user is a Markov chain from a uniform start,

    .. math::
        P(z_{t+1} = l \mid z_t = k) = d\, [k = l] + (1 - d)\, T_{kl}.

    At each step one item is shown: of the current interest with probability ``match_rate``, else
    of another one (all alike); within its interest it is drawn by Zipf popularity,
    :math:`\propto \mathrm{rank}^{-a}`. It is clicked with probability

    .. math::
        p(z, i) = \sigma\left(b + s\, \langle v_z, x_i \rangle + \epsilon_i\right), \qquad
        \epsilon_i \sim N(0, \text{item\_noise}^2),

    which is :math:`s/4`-Lipschitz in the place :math:`x_i` of the item. Interests, items and
    transitions are drawn once, at construction; equal settings give the same world and log.

    **The Bayes predictor** knows these laws and parameters, but not :math:`z`. It sees what the
    user was shown and clicked before, and the item shown now, and filters the chain forward
    (:func:`~resemb_gnn.datasets.bayes_filter.filter_clicks`, with :math:`q(i \mid z)` the chance
    of being shown) to the conditional click probability :math:`\eta_t`. So no predictor that sees
    these, or fewer (such as the clicked items alone, as DIN does), has a higher expected AUC.

    Args:
        num_users: users of a sample.
        num_items: items, at least one an interest; interests differ by one item at most.
        num_interests: interests, at least 2.
        impressions_per_user: steps of each user.
        dwell: :math:`d`, probability to stay in an interest, in [0, 1].
        match_rate: probability that the shown item is of the current interest, in (0, 1).
        transition: :math:`T`, ``[num_interests, num_interests]``, rows sum to 1; drawn if
            ``None`` (each row uniform on the simplex of the other interests).
        zipf_exponent: :math:`a`; 0 makes the items of an interest equally popular.
        interest_dim: width of :math:`v` and :math:`x`.
        item_radius: the planted envelope radius.
        item_noise: standard deviation of :math:`\epsilon`, in logits.
        intercept: :math:`b`.
        slope: :math:`s`.
        seed: seed of world and sample.

    Raises:
        InputError: if a setting is out of its range.
    """

    def __init__(
        self,
        num_users: int = 2000,
        num_items: int = 1000,
        num_interests: int = 10,
        *,
        impressions_per_user: int = 50,
        dwell: float = 0.98,
        match_rate: float = 0.5,
        transition: Tensor | None = None,
        zipf_exponent: float = 1.0,
        interest_dim: int = 16,
        item_radius: float = 0.3,
        item_noise: float = 0.3,
        intercept: float = -2.0,
        slope: float = 4.0,
        seed: int = 0,
    ) -> None:
        _check_settings(locals())
        self.num_users = num_users
        self.num_items = num_items
        self.num_interests = num_interests
        self.impressions_per_user = impressions_per_user
        self.dwell = dwell
        self.match_rate = match_rate
        self.zipf_exponent = zipf_exponent
        self.item_radius = item_radius
        self.item_noise = item_noise
        self.intercept = intercept
        self.slope = slope
        self.seed = seed
        rng = np.random.default_rng([seed, _WORLD])
        interest = rng.permutation(np.arange(num_items) % num_interests)
        vectors = _unit(rng.standard_normal((num_interests, interest_dim)))
        # A uniform point of the ball: uniform direction, distance by the dim-th root.
        distance = item_radius * rng.random((num_items, 1)) ** (1 / interest_dim)
        offset = distance * _unit(rng.standard_normal((num_items, interest_dim)))
        shuffled = rng.permutation(num_items)
        self._order = shuffled[np.argsort(interest[shuffled], kind="stable")]
        self._cumulative = _zipf_cumulative(np.bincount(interest), zipf_exponent)
        self.item_interests = torch.from_numpy(interest)  # [num_items]
        self.interest_vectors = torch.from_numpy(vectors)  # [num_interests, interest_dim]
        self.item_vectors = torch.from_numpy(vectors[interest] + offset)
        self.item_bias = torch.from_numpy(item_noise * rng.standard_normal(num_items))
        if transition is None:
            self.transition = torch.from_numpy(_random_transition(num_interests, rng))
        else:
            self.transition = _check_transition(transition, num_interests)

    @property
    def lipschitz(self) -> float:
        """Lipschitz constant of the click probability in the place of the item, ``slope / 4``."""
        return self.slope / 4

    def click_probability(self, interests: Tensor, items: Tensor) -> Tensor:
        """:math:`p(z, i)` of each pair, float64; ``interests`` and ``items`` broadcast."""
        match = (self.interest_vectors[interests] * self.item_vectors[items]).sum(dim=-1)
        return (self.intercept + self.slope * match + self.item_bias[items]).sigmoid()

    def sample(self, num_users: int | None = None, seed: int | None = None) -> BehaviorLog:
        """A labelled log of impressions; times are steps, user and item ids are their numbers.

        Args:
            num_users: users, if not those of the world.
            seed: seed of other users in the same world.
        """
        num_users = self.num_users if num_users is None else num_users
        seed = self.seed if seed is None else seed
        _check_range("num_users", num_users, 1, None)
        _check_range("seed", seed, 0, None)
        rng = np.random.default_rng([seed, _USERS])
        steps = self.impressions_per_user
        items = np.empty((num_users, steps), dtype=np.int64)
        labels = np.empty((num_users, steps), dtype=np.float32)
        jump = self.transition.numpy().cumsum(axis=1)
        current = rng.integers(self.num_interests, size=num_users)
        for step in range(steps):
            if step:
                moves = np.flatnonzero(rng.random(num_users) >= self.dwell)
                current[moves] = _draw_rows(jump[current[moves]], rng)
            items[:, step] = self._show(current, rng)
            probability = self.click_probability(
                torch.from_numpy(current), torch.from_numpy(items[:, step])
            )
            labels[:, step] = rng.random(num_users) < probability.numpy()
        return BehaviorLog(
            items=torch.from_numpy(items.ravel()),
            ptr=torch.arange(num_users + 1) * steps,
            times=torch.arange(steps).repeat(num_users),
            user_ids=pl.Series(np.arange(num_users)),
            item_ids=pl.Series(np.arange(self.num_items)),
            labels=torch.from_numpy(labels.ravel()),
        )

    def _show(self, current: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """An item shown to a user in each of the ``current`` interests."""
        other = current + rng.integers(1, self.num_interests, size=current.size)
        matches = rng.random(current.size) < self.match_rate
        interest = np.where(matches, current, other % self.num_interests)
        # Interest k holds the stretch from k to k + 1 of the cumulative popularity.
        place = np.searchsorted(self._cumulative, interest + rng.random(current.size), "right")
        shown: NDArray[np.int64] = self._order[place]
        return shown

    def bayes_probability(self, log: BehaviorLog) -> Tensor:
        """The Bayes predictor's click probability :math:`\\eta` of each row of a sample.

        Args:
            log: a log of :meth:`sample`; each user's rows must be there from the first step on.

        Returns:
            float64 ``[num_behaviors]``.

        Raises:
            InputError: if the log has no labels or another number of items.
        """
        if log.labels is None or log.num_items != self.num_items:
            raise InputError(f"{log!r} is not a log of this world of {self.num_items} items")
        stay = self.dwell * torch.eye(self.num_interests).double()
        interests = torch.arange(self.num_interests)
        return filter_clicks(
            log,
            stay + (1 - self.dwell) * self.transition,
            self._shown_given_interest,
            lambda items: self.click_probability(interests, items[:, None]),
        )

    def _shown_given_interest(self, items: Tensor) -> Tensor:
        """Chance that an item of this interest is shown, for each state, ``[n, num_interests]``.

        The item's popularity within its interest is the same for every state and left out.
        """
        same = self.item_interests[items][:, None] == torch.arange(self.num_interests)
        other = (1 - self.match_rate) / (self.num_interests - 1)
        return torch.where(same, self.match_rate, other).double()

    @cached_property
    def bayes_auc(self) -> float:
        """Expected AUC of the Bayes predictor on the last row of each user of :meth:`sample`
        (the test rows of ``split(by="last")``), over the clicks given what the predictor sees.
        """
        log = self.sample()
        return expected_auc(self.bayes_probability(log)[log.ptr[1:] - 1])

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(users={self.num_users}, items={self.num_items},"
            f" interests={self.num_interests}, impressions_per_user={self.impressions_per_user})"
        )


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _zipf_cumulative(sizes: NDArray[np.int64], exponent: float) -> NDArray[np.float64]:
    """Cumulative popularity of the items in order of interest and rank; 1 an interest."""
    start = np.repeat(sizes.cumsum() - sizes, sizes)
    weight = (np.arange(sizes.sum()) - start + 1.0) ** -exponent
    total = np.add.reduceat(weight, sizes.cumsum() - sizes)
    cumulative = (weight / np.repeat(total, sizes)).cumsum()
    cumulative[sizes.cumsum() - 1] = np.arange(1, sizes.size + 1)  # against rounding
    return np.asarray(cumulative)


def _draw_rows(cumulative: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A draw from each row's law (``[n, k]``, cumulative)."""
    ticket = rng.random((len(cumulative), 1)) * cumulative[:, -1:]
    return np.asarray((cumulative <= ticket).sum(axis=1))


def _random_transition(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    weight = rng.standard_exponential((size, size))
    np.fill_diagonal(weight, 0)
    return weight / weight.sum(axis=1, keepdims=True)


def _check_settings(settings: dict[str, Any]) -> None:
    _check_range("num_users", settings["num_users"], 1, None)
    _check_range("num_interests", settings["num_interests"], 2, None)
    _check_range("num_items", settings["num_items"], settings["num_interests"], None)
    _check_range("impressions_per_user", settings["impressions_per_user"], 1, None)
    _check_range("interest_dim", settings["interest_dim"], 1, None)
    _check_range("seed", settings["seed"], 0, None)
    _check_range("dwell", settings["dwell"], 0, 1)
    for name in ("zipf_exponent", "item_radius", "item_noise", "slope"):
        _check_range(name, settings[name], 0, None)
    if not 0 < settings["match_rate"] < 1:
        raise InputError(f"match_rate must lie between 0 and 1, not {settings['match_rate']}")
    if not math.isfinite(settings["intercept"]):
        raise InputError(f"intercept must be finite, not {settings['intercept']}")


def _check_range(name: str, value: float, low: float, high: float | None) -> None:
    if high is None:
        if not low <= value < math.inf:
            raise InputError(f"{name} must be at least {low} and finite, not {value}")
    elif not low <= value <= high:
        raise InputError(f"{name} must lie in [{low}, {high}], not {value}")


def _check_transition(transition: Tensor, size: int) -> Tensor:
    transition = torch.as_tensor(transition).double()
    if transition.shape != (size, size):
        raise InputError(f"transition has shape {list(transition.shape)}, not [{size}, {size}]")
    bad = ~((transition >= 0).all(dim=1) & ((transition.sum(dim=1) - 1).abs() < 1e-6))
    if bad.any():
        row = int(bad.nonzero()[0])
        raise InputError(
            f"transition, row {row}: {transition[row].tolist()} is not a probability law"
        )
    return transition
