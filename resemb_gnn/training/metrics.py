"""Metrics of click prediction, vectorised."""

import numpy as np
import torch
from torch import Tensor

from resemb_gnn.errors import InputError, check_lengths


def auc(score: Tensor, label: Tensor) -> float:
    r"""Area under the ROC curve: the chance that a positive scores above a negative (a tie
    counts half), by average ranks :math:`R` (Mann and Whitney, 1947).

    .. math::
        \frac{\sum_{i : y_i = 1} R_i - P (P + 1) / 2}{P N}

    Args:
        score: ``[n]``, any monotone score.
        label: 0 or 1, ``[n]``.

    Returns:
        NaN if there is no positive or no negative, or a score is NaN.

    Raises:
        InputError: if the shapes differ.

    Examples:
        >>> import torch
        >>> auc(torch.tensor([0.1, 0.4, 0.4, 0.8]), torch.tensor([0, 0, 1, 1]))  # a tie counts half
        0.875
    """
    _check_shapes(score=score, label=label)
    grouped = _auc_by_group(score, label, torch.zeros_like(label, dtype=torch.long))
    return float(grouped[0][0]) if grouped[0].size else float("nan")


def gauc(score: Tensor, label: Tensor, user: Tensor) -> float:
    r"""GAUC: AUC within each user, weighted by impressions (Zhou et al., KDD 2018).

    .. math::
        \mathrm{GAUC} = \frac{\sum_u n_u \mathrm{AUC}_u}{\sum_u n_u}

    over the users with at least one positive and one negative; :math:`n_u` is a user's number
    of examples.

    Args:
        score: ``[n]``.
        label: 0 or 1, ``[n]``.
        user: int64 ``[n]``.

    Returns:
        NaN if no user has both a positive and a negative, or a score is NaN.

    Raises:
        InputError: if the shapes differ.

    Examples:
        >>> import torch
        >>> score, label = torch.tensor([0.9, 0.1, 0.2, 0.3, 0.6]), torch.tensor([1, 0, 1, 0, 0])
        >>> gauc(score, label, user=torch.tensor([7, 7, 8, 8, 8]))  # 1 of 2 rows, 0 of 3
        0.4
    """
    _check_shapes(score=score, label=label, user=user)
    each, size, _ = _auc_by_group(score, label, user)
    return float((each * size).sum() / size.sum()) if size.size else float("nan")


class WeightedAuc:
    r"""AUC of rows with weights, quick for many weights of the same rows, which are sorted once.

    .. math::
        \frac{\sum_{i : y_i = 1} \sum_{j : y_j = 0} w_i w_j
              ([s_i > s_j] + [s_i = s_j] / 2)}
             {\sum_{i : y_i = 1} w_i \sum_{j : y_j = 0} w_j}

    Args:
        score: ``[n]``, none of them NaN.
        label: 0 or 1, ``[n]``.

    Examples:
        >>> import numpy as np
        >>> area = WeightedAuc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([0, 0, 1, 1]))
        >>> area(np.array([1, 1, 1, 1])), area(np.array([1, 0, 3, 1]))
        (0.875, 1.0)
    """

    def __init__(self, score: "np.ndarray", label: "np.ndarray") -> None:
        self.positive = np.flatnonzero(label > 0)
        negative = np.flatnonzero(label <= 0)
        self.negative = negative[np.argsort(score[negative])]
        negatives, positives = score[self.negative], score[self.positive]
        self.below = np.searchsorted(negatives, positives, "left")
        self.not_above = np.searchsorted(negatives, positives, "right")

    def __call__(self, weight: "np.ndarray") -> float:
        """The AUC with such weights, 0 or more, ``[n]``; NaN if a label's weights are all 0."""
        own = weight[self.positive]
        under = np.concatenate([[0.0], weight[self.negative].cumsum(dtype=np.float64)])
        pairs = own.sum(dtype=np.float64) * under[-1]
        if not pairs:
            return float("nan")
        return float(own @ (under[self.below] + under[self.not_above]) / (2 * pairs))


def user_aucs(score: Tensor, label: Tensor, user: Tensor) -> "tuple[np.ndarray, np.ndarray]":
    """AUC of each user, float64, in the order of their numbers, and those users that have one: both
    a positive and a negative (int64). Both are empty if a score is NaN.

    Raises:
        InputError: if the shapes differ.
    """
    _check_shapes(score=score, label=label, user=user)
    each, _, users = _auc_by_group(score, label, user)
    return each, users


def log_loss(logit: Tensor, label: Tensor) -> float:
    """Mean cross-entropy in nats of ``sigmoid(logit)`` against ``label``, both ``[n]``.

    Raises:
        InputError: if the shapes differ.
    """
    _check_shapes(logit=logit, label=label)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logit.double(), label.double())
    return float(loss)


def _check_shapes(**parts: Tensor) -> None:
    if any(part.dim() != 1 for part in parts.values()):
        shapes = ", ".join(f"{name} {list(part.shape)}" for name, part in parts.items())
        raise InputError(f"these must have the shape [n]: {shapes}")
    check_lengths(**parts)


def _auc_by_group(
    score: Tensor, label: Tensor, group: Tensor
) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """AUC, size and number of each group that has both labels."""
    scores, groups = score.cpu().numpy(), group.cpu().numpy()
    order = np.argsort(scores, kind="stable")
    order = order[np.argsort(groups[order], kind="stable")]
    scores, groups = scores[order], groups[order]
    if np.isnan(scores).any():  # a score that is none has no rank
        return np.empty(0), np.empty(0), np.empty(0, dtype=np.int64)
    positive = label.cpu().numpy()[order] > 0
    starts = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1))
    new_value = np.ones(scores.size, dtype=bool)
    new_value[1:] = scores[1:] != scores[:-1]
    new_value[starts] = True
    # Rows of equal score in a group share the mean of their places.
    value_start = np.flatnonzero(new_value)
    value_end = np.append(value_start[1:], scores.size)
    rank = np.repeat((value_start + value_end + 1) / 2, value_end - value_start)
    size = np.diff(starts, append=scores.size)
    positives = np.add.reduceat(positive, starts, dtype=np.float64) if size.size else size
    rank_sum = np.add.reduceat(rank * positive, starts) if size.size else size
    rank_sum = rank_sum - starts * positives  # places within the group
    pairs = positives * (size - positives)
    both = pairs > 0
    above = rank_sum[both] - positives[both] * (positives[both] + 1) / 2
    return above / pairs[both], size[both], groups[starts][both]
