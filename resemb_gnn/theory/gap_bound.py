"""A bound of the generalisation gap by the envelope radius, and its terms on a trained model."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from resemb_gnn.data import Batch, Examples
from resemb_gnn.errors import InputError
from resemb_gnn.models import CTRModel
from resemb_gnn.nn.evaluating import evaluating
from resemb_gnn.theory.envelope_radius import envelope_balls


@dataclass(frozen=True)
class GapBound:
    r"""The terms of the bound (our own, not the paper's; proof in docs/theory.md)

    .. math::
        R - \hat R \le \Delta + \hat\Delta + B\, C \le 2 L \rho + B\, C

    All losses are means over users of a user's mean log loss in nats, with the logits clamped to
    :math:`[-B, B]`.

    Args:
        gap: loss on the fresh users' examples less that on the training examples.
        shift_train: :math:`\hat\Delta`, mean change of the logit on the training examples when
            every item moves to the middle of its interest's envelope.
        shift_fresh: likewise on the fresh examples; estimates :math:`\Delta`.
        lipschitz: :math:`L`, largest sum over an example's items of the norms of the logit's
            gradients, over the examples and points of the way to the middles that were looked
            at. It estimates the supremum from below.
        radius: :math:`\rho`, radius of the largest smallest enclosing ball of an interest, in the
            features' own units.
        num_cells: :math:`M`, patterns of interests that an example can show.
        num_users: :math:`n`, users of the training examples.
        logit_bound: :math:`B`.
        deviation: :math:`C`, by :func:`deviation_term`.
    """

    gap: float
    shift_train: float
    shift_fresh: float
    lipschitz: float
    radius: float
    num_cells: int
    num_users: int
    logit_bound: float
    deviation: float

    @property
    def by_shift(self) -> float:
        r""":math:`\Delta + \hat\Delta + B C`."""
        return self.shift_train + self.shift_fresh + self.logit_bound * self.deviation

    @property
    def by_radius(self) -> float:
        r""":math:`2 L \rho + B C`."""
        return 2 * self.lipschitz * self.radius + self.logit_bound * self.deviation


def count_cells(num_interests: int, max_history: int, ordered: bool = False) -> int:
    r"""Patterns of interests that a history of at most ``max_history`` items and a target can show.

    .. math::
        M = G \binom{G + m}{m}, \qquad \text{or, ordered,} \qquad M = G \sum_{l=0}^{m} G^l

    Args:
        num_interests: :math:`G`.
        max_history: :math:`m`.
        ordered: whether the model sees the order of the history.
    """
    for name, value, low in (("num_interests", num_interests, 1), ("max_history", max_history, 0)):
        if value < low:
            raise InputError(f"{name} must be at least {low}, not {value}")
    if ordered:
        return int(num_interests * sum(num_interests**length for length in range(max_history + 1)))
    return num_interests * math.comb(num_interests + max_history, max_history)


def deviation_term(num_cells: int, num_users: int, confidence: float = 0.95) -> float:
    r"""Bound of the total variation distance between the law of an example's pattern and label and
    its frequencies among ``num_users`` independent users, at the given confidence.

    .. math::
        C = \min\left(1,\ \sqrt{\frac{M}{2 n}} + \sqrt{\frac{\log(1 / \delta)}{2 n}}\right),
        \qquad \delta = 1 - \text{confidence}

    Args:
        num_cells: :math:`M`; each comes with either label.
        num_users: :math:`n`.
        confidence: in (0, 1).
    """
    for name, value in (("num_cells", num_cells), ("num_users", num_users)):
        if value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie between 0 and 1, not {confidence}")
    # M may be too large for a float.
    if num_cells >= 2 * num_users:
        return 1.0
    spread = math.sqrt(num_cells / (2 * num_users))
    return min(1.0, spread + math.sqrt(-math.log(1 - confidence) / (2 * num_users)))


def gap_bound(
    model: CTRModel,
    train: Examples,
    fresh: Examples,
    interest: Tensor,
    *,
    max_history: int,
    logit_bound: float = 4.0,
    confidence: float = 0.95,
    ordered: bool = False,
    points: int = 8,
    batch_size: int = 1024,
) -> GapBound:
    """Measures the terms of the bound on a trained model.

    The bound speaks of one law: ``fresh`` must be drawn as ``train`` was, from other users (in
    an :class:`~resemb_gnn.datasets.interest_delay.InterestDelayModel`, the training examples of
    ``world.sample(seed=...)``). The interests must be known before the training examples are
    seen.

    Args:
        model: a model that knows an item by its features alone (no ``item_bias``).
        train: the training examples.
        fresh: examples of other users.
        interest: interest of each item, int64 ``[num_items]``.
        max_history: as in training.
        logit_bound: clamp of the logits.
        confidence: probability with which the bound holds.
        ordered: whether the model sees the order of the history (DIN does not).
        points: points of the way from an item to the middle at which gradients are taken.
        batch_size: examples at a time.

    Raises:
        InputError: if a setting is out of range, ``interest`` does not fit, a set of examples is
            empty, or the model uses more of an item than its features.
    """
    if not 0 < logit_bound < math.inf:
        raise InputError(f"logit_bound must be above 0 and finite, not {logit_bound}")
    for name, value in (("points", points), ("batch_size", batch_size)):
        if value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    for name, examples in (("train", train), ("fresh", fresh)):
        if not len(examples):
            raise InputError(f"{name} holds no example")
    size = model.items.num_embeddings
    if size is None:
        size = interest.numel()
    if interest.shape != (size,):
        raise InputError(f"interest has shape {list(interest.shape)}, not [{size}]")
    vectors = _features(model, interest.numel())
    balls = envelope_balls(vectors, interest)
    middles = torch.stack([ball.center for ball in balls]).to(vectors)[interest]
    num_cells = count_cells(len(balls), max_history, ordered)
    num_users = train.user.unique().numel()
    deviation = deviation_term(num_cells, num_users, confidence)
    both = (train.to(vectors.device), fresh.to(vectors.device))
    parts = [
        _moved_examples(model, examples.batches(batch_size, max_history), vectors, middles, points)
        for examples in both
    ]
    losses, shifts = [], []
    for examples, moved in zip(both, parts, strict=True):
        logit = moved.logit.clamp(-logit_bound, logit_bound)
        middle = moved.middle_logit.clamp(-logit_bound, logit_bound)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logit, examples.label, reduction="none"
        )
        losses.append(_mean_over_users(loss, examples.user))
        shifts.append(_mean_over_users((logit - middle).abs(), examples.user))
    return GapBound(
        gap=losses[1] - losses[0],
        shift_train=shifts[0],
        shift_fresh=shifts[1],
        lipschitz=max(float(moved.gradient.max()) for moved in parts),
        radius=max(ball.radius for ball in balls if not math.isnan(ball.radius)),
        num_cells=num_cells,
        num_users=num_users,
        logit_bound=logit_bound,
        deviation=deviation,
    )


class Moved(NamedTuple):
    r"""What becomes of a batch when its items move to the middles of their envelopes.

    Args:
        logit: :math:`f` at the items' own places, ``[batch_size]``.
        middle_logit: :math:`\bar f` at the middles, ``[batch_size]``.
        gradient: :math:`\max \sum_p \lVert \partial f / \partial e_p \rVert` over the items
            :math:`p` of the example, the largest on the way, ``[batch_size]``.
    """

    logit: Tensor
    middle_logit: Tensor
    gradient: Tensor


def move_to_middles(
    model: CTRModel, batch: Batch, vectors: Tensor, middles: Tensor, points: int
) -> Moved:
    """Moves every item of a batch on a straight line from its vector to its middle.

    Args:
        model: in evaluation mode.
        batch: the examples.
        vectors: features of all items, ``[num_items, feature_dim]``.
        middles: where each goes, ``[num_items, feature_dim]``.
        points: equidistant points of the way, in the middle of as many pieces of it.

    Raises:
        InputError: if the model uses more of an item than its features.
    """
    # Each occurrence of an item is a row of its own, so that its gradient is its own too.
    both = torch.cat([batch.history, batch.target])
    place = torch.arange(both.numel(), device=both.device)
    history, target = place.split([batch.history.numel(), batch.target.numel()])
    example = torch.arange(len(batch), device=both.device)
    example = torch.cat([example.repeat_interleave(batch.ptr.diff()), example])
    nameless = replace(
        batch, history=torch.zeros_like(batch.history), target=torch.zeros_like(batch.target)
    )
    with torch.no_grad():  # users and context stay where they are
        side = model.side_features(batch)

    def score(rows: Tensor) -> Tensor:
        return model.score(rows, history, target, nameless, side)

    start, end = vectors[both], middles[both]
    with torch.no_grad():
        logit, middle_logit = score(start), score(end)
        if not torch.allclose(logit, model(batch), rtol=1e-3, atol=1e-3):
            raise InputError(
                f"{type(model).__name__} uses more of an item than its features (an item bias?):"
                " the bound does not cover it"
            )
    steepest = torch.zeros_like(logit)
    for share in (torch.arange(points) + 0.5) / points:
        rows = torch.lerp(start, end, float(share)).requires_grad_()
        (gradient,) = torch.autograd.grad(score(rows).sum(), rows)
        norms = torch.zeros_like(logit).index_add(0, example, gradient.norm(dim=1))
        steepest = torch.maximum(steepest, norms)
    return Moved(logit, middle_logit, steepest)


@torch.no_grad()
def _features(model: CTRModel, num_items: int) -> Tensor:
    device = next(model.parameters()).device
    features = model.item_features(torch.arange(num_items, device=device))
    return features


def _moved_examples(
    model: CTRModel, batches: Iterator[Batch], vectors: Tensor, middles: Tensor, points: int
) -> Moved:
    with evaluating(model):
        rows = [move_to_middles(model, batch, vectors, middles, points) for batch in batches]
    return Moved(*map(torch.cat, zip(*rows, strict=True)))


def _mean_over_users(values: Tensor, user: Tensor) -> float:
    """Mean over users of each user's mean."""
    _, index = user.unique(return_inverse=True)
    totals = torch.zeros(int(index.max()) + 1, dtype=torch.float64, device=values.device)
    totals = totals.index_add(0, index, values.double())
    return float((totals / index.bincount()).mean())
