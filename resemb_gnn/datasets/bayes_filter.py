"""The Bayes predictor of clicks that a hidden Markov chain of interests makes."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from resemb_gnn.data import BehaviorLog


def filter_clicks(
    log: BehaviorLog,
    step_law: Tensor,
    shown_law: Callable[[Tensor], Tensor],
    click_law: Callable[[Tensor], Tensor],
) -> Tensor:
    r"""Click probability of each row given all that its user was shown and clicked before, by the
    forward filter (Rabiner, 1989) from a uniform start.

    .. math::
        \eta_t = \sum_z \hat\beta_t(z)\, p(z, i_t), \qquad
        \hat\beta_t(z) \propto \beta_t(z)\, q(i_t \mid z), \qquad
        \beta_{t+1}(l) \propto \sum_z \hat\beta_t(z)\, p(z, i_t)^{y_t} (1 - p(z, i_t))^{1 - y_t}
                               P_{zl}.

    Args:
        log: labelled log; each user's rows from the first step on.
        step_law: :math:`P`, float64 ``[num_interests, num_interests]``, rows sum to 1.
        shown_law: maps items ``[n]`` to :math:`q(i \mid z)` up to a factor of the item, float64
            ``[n, num_interests]``.
        click_law: maps items ``[n]`` to :math:`p(z, i)`, float64 ``[n, num_interests]``.

    Returns:
        float64 ``[num_behaviors]``.
    """
    assert log.labels is not None
    size = len(step_law)
    out = torch.empty(log.num_behaviors, dtype=torch.float64)
    belief = torch.full((log.num_users, size), 1 / size, dtype=torch.float64)
    lengths = log.ptr.diff()
    for step in range(int(lengths.max())):
        users = (lengths > step).nonzero().flatten()
        rows = log.ptr[users] + step
        items, clicked = log.items[rows], log.labels[rows, None] > 0
        now = belief[users] * shown_law(items)
        now = now / now.sum(dim=1, keepdim=True)
        click = click_law(items)
        out[rows] = (now * click).sum(dim=1)
        now = now * torch.where(clicked, click, 1 - click)
        belief[users] = now / now.sum(dim=1, keepdim=True) @ step_law
    return out


def expected_auc(probability: Tensor) -> float:
    r"""Expected AUC of click probabilities that are the true ones: each row counts as a positive
    of weight :math:`\eta` and as a negative of weight :math:`1 - \eta`.

    Args:
        probability: :math:`\eta`, ``[n]``.
    """
    eta = probability.double().numpy()
    label = np.repeat([1, 0], eta.size)
    weight = np.concatenate([eta, 1 - eta])
    from sklearn.metrics import roc_auc_score  # takes a second to import

    return float(roc_auc_score(label, np.tile(eta, 2), sample_weight=weight))
