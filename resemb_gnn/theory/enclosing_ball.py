"""The smallest ball that encloses a set of points."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resemb_gnn.errors import InputError

_TOLERANCE = 1e-9  # of the largest distance to the mean


class Ball(NamedTuple):
    """A ball: ``center`` float64 ``[dim]`` and ``radius``."""

    center: Tensor
    radius: float


def smallest_enclosing_ball(points: Tensor) -> Ball:
    r"""The smallest ball that encloses the points (Fischer, Gärtner and Kutz, "Fast
    Smallest-Enclosing-Ball Computation in High Dimensions", ESA 2003).

    .. math::
        \min_c \max_i \lVert x_i - c \rVert

    A ball around :math:`c` that encloses all points shrinks while its support, the points kept
    on its surface, allows: :math:`c` walks towards the nearest point of the support's affine
    hull until another point stops it and joins; at the hull, a point with a negative affine
    coefficient leaves, and when there is none the ball is the smallest. Exact up to rounding.

    Args:
        points: ``[n, dim]``, n at least 1.

    Raises:
        InputError: if there is no point, or one is not finite.
    """
    if points.dim() != 2 or not points.size(0):
        raise InputError(f"points have shape {list(points.shape)}, not [n, dim] with n > 0")
    x = points.detach().cpu().double().numpy()
    if not np.isfinite(x).all():
        raise InputError(f"point {np.argwhere(~np.isfinite(x))[0][0]} is not finite")
    center, radius = _enclose(x)
    return Ball(torch.from_numpy(center), radius)


def _enclose(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    mean = points.mean(axis=0)
    scale = float(np.linalg.norm(points - mean, axis=1).max())
    if scale == 0:
        return mean, 0.0
    x = (points - mean) / scale  # so that the tolerance is relative
    center = np.zeros(x.shape[1])
    support = [int(_square_distance(x, center).argmax())]
    while True:
        coefficients, projection = _project(x[support], center)
        step = projection - center
        if step @ step > _TOLERANCE**2:
            share, blocker = _first_stop(x, center, step, support)
            center = center + share * step
            if blocker is not None:
                support.append(blocker)
                continue
            coefficients, _ = _project(x[support], center)
        negative = [p for p, c in zip(support, coefficients, strict=True) if c < -_TOLERANCE]
        if not negative:
            center = mean + scale * center
            return center, float(np.sqrt(_square_distance(points, center).max()))
        # The lowest number leaves, and of equal blockers enters (Bland's rule: no cycles).
        support.remove(min(negative))


def _project(
    support: NDArray[np.float64], center: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The point of the support's affine hull nearest to the centre: coefficients, and itself."""
    origin, edges = support[0], (support[1:] - support[0]).T
    rest = np.linalg.lstsq(edges, center - origin)[0] if edges.size else np.zeros(0)
    return np.append(1 - rest.sum(), rest), origin + edges @ rest


def _first_stop(
    x: NDArray[np.float64],
    center: NDArray[np.float64],
    step: NDArray[np.float64],
    support: list[int],
) -> "tuple[float, int | None]":
    """How far along ``step`` the ball can move before a point outside the support stops it."""
    distance = _square_distance(x, center)
    # |c + t s - p|² = |c + t s - q|² for a q of the support, solved for t.
    closing = 2 * (x[support[0]] - x) @ step
    closing[support] = 0
    slack = np.maximum(distance[support[0]] - distance, 0)
    share = np.full(len(x), np.inf)
    np.divide(slack, closing, out=share, where=closing > _TOLERANCE * np.linalg.norm(step))
    first = int(share.argmin())
    return (float(share[first]), first) if share[first] < 1 else (1.0, None)


def _square_distance(x: NDArray[np.float64], center: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.square(x - center).sum(axis=1))
