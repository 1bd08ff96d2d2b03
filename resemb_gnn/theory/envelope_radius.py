"""The envelope radius: how tightly the items of one interest lie in embedding space."""

from dataclasses import dataclass

import torch
from torch import Tensor

from resemb_gnn.errors import InputError, unknown_choice
from resemb_gnn.theory.enclosing_ball import Ball, smallest_enclosing_ball

MEASURES = ("largest", "rms", "ball")


@dataclass(frozen=True, eq=False, repr=False)
class EnvelopeRadius:
    """Envelope radius and separation of each interest, in units of the spread of all items.

    An interest without items has NaN; so has everything if all vectors are equal.

    Args:
        size: items of each interest, int64 ``[num_interests]``.
        largest: largest distance to the centroid, float64 ``[num_interests]``.
        rms: root-mean-square distance to the centroid, likewise.
        ball: radius of the smallest enclosing ball, likewise.
        separation: distance of the centroid to the nearest other one, likewise; NaN if there is
            no other.
        spread: root-mean-square distance of all items to their mean, in the vectors' own units.
    """

    size: Tensor
    largest: Tensor
    rms: Tensor
    ball: Tensor
    separation: Tensor
    spread: float

    def mean(self, measure: str = "rms") -> float:
        """Mean radius over all items, each with the radius of its interest.

        Args:
            measure: ``"largest"``, ``"rms"`` or ``"ball"``.
        """
        if measure not in MEASURES:
            raise unknown_choice(f"measure={measure!r}", measure, MEASURES)
        filled = self.size > 0
        radius: Tensor = getattr(self, measure)
        return float((radius * self.size)[filled].sum() / self.size.sum())

    def __repr__(self) -> str:
        means = ", ".join(f"{name}={self.mean(name):.4f}" for name in MEASURES)
        return f"{type(self).__name__}(interests={self.size.numel()}, {means})"


def envelope_radius(vectors: Tensor, interest: Tensor) -> EnvelopeRadius:
    r"""Radii of the envelopes of the interests (the quantity of the generalisation bound of Zhou
    et al., arXiv 1906.10304), made free of scale: moving, turning or rescaling all vectors
    changes nothing.

    .. math::
        \rho_k^{\mathrm{largest}} = \max_{g(i) = k} \frac{\lVert e_i - m_k \rVert}{S}, \qquad
        \rho_k^{\mathrm{rms}} = \sqrt{\operatorname*{mean}_{g(i) = k}
                                \frac{\lVert e_i - m_k \rVert^2}{S^2}}, \qquad
        \rho_k^{\mathrm{ball}} = \min_c \max_{g(i) = k} \frac{\lVert e_i - c \rVert}{S}

    with :math:`m_k` the centroid of interest :math:`k` and :math:`S` the root-mean-square
    distance of all items to their mean.

    Args:
        vectors: the items' embeddings, ``[n, dim]``: ``embedding.materialize().weight`` of a
            :class:`~resemb_gnn.ResEmbedding`, ``weight`` of a table.
        interest: interest of each, int64 ``[n]``, numbered from 0.

    Raises:
        InputError: if the shapes do not fit, an interest is negative or a vector not finite.
    """
    x, interest = _check(vectors, interest)
    size = interest.bincount()
    groups = x[interest.argsort(stable=True)].split(size.tolist())
    centroids = torch.stack([group.mean(dim=0) for group in groups])  # NaN without items
    squares = (x - centroids[interest]).square().sum(dim=1)
    spread = (x - x.mean(dim=0)).square().sum(dim=1).mean().sqrt()
    if (x == x[0]).all():  # the mean may be off by rounding
        spread = torch.zeros_like(spread)
    unit = torch.where(spread > 0, spread, torch.nan)
    nothing = torch.where(size > 0, 0.0, torch.nan).double()
    largest = nothing.scatter_reduce(0, interest, squares, "amax").sqrt()
    rms = (nothing.scatter_add(0, interest, squares) / size).sqrt()
    balls = [ball.radius for ball in _balls(groups)]
    return EnvelopeRadius(
        size=size,
        largest=largest / unit,
        rms=rms / unit,
        ball=torch.tensor(balls, dtype=torch.float64) / unit,
        separation=_nearest_other(centroids) / unit,
        spread=float(spread),
    )


def envelope_balls(vectors: Tensor, interest: Tensor) -> list[Ball]:
    """The smallest enclosing ball of each interest, in the vectors' own units (NaN without items).

    Args:
        vectors: ``[n, dim]``.
        interest: int64 ``[n]``, numbered from 0.
    """
    x, interest = _check(vectors, interest)
    return _balls(x[interest.argsort(stable=True)].split(interest.bincount().tolist()))


def _balls(groups: tuple[Tensor, ...]) -> list[Ball]:
    return [
        smallest_enclosing_ball(group)
        if len(group)
        else Ball(torch.full(group.shape[1:], torch.nan, dtype=torch.float64), float("nan"))
        for group in groups
    ]


def _nearest_other(centroids: Tensor) -> Tensor:
    distance = torch.cdist(centroids, centroids, compute_mode="donot_use_mm_for_euclid_dist")
    distance.fill_diagonal_(torch.nan)
    nearest = distance.nan_to_num(torch.inf).amin(dim=1)
    alone = nearest.isinf() | centroids.isnan().any(dim=1)
    return nearest.masked_fill(alone, torch.nan)


def _check(vectors: Tensor, interest: Tensor) -> tuple[Tensor, Tensor]:
    if vectors.dim() != 2 or not vectors.size(0):
        raise InputError(f"vectors have shape {list(vectors.shape)}, not [n, dim] with n > 0")
    if interest.shape != vectors.shape[:1]:
        raise InputError(f"interest has shape {list(interest.shape)}, not [{vectors.size(0)}]")
    if int(interest.min()) < 0:
        raise InputError(f"interest[{int(interest.argmin())}] is {int(interest.min())}, below 0")
    x = vectors.detach().cpu().double()
    if not x.isfinite().all():
        row = int((~x.isfinite().all(dim=1)).nonzero()[0])
        raise InputError(f"vector {row} is not finite")
    return x, interest.cpu()
