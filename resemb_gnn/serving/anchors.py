"""Which few items may be a user's best, from the scores of fewer still."""

import numpy as np
import torch
from scipy.linalg import qr
from torch import Tensor

RANK, ANCHORS = 32, 64


class AnchorScores:
    r"""Scores of all items from those of some anchors: of a model's scores of sampled users,
    :math:`S` (a row a user, a column an item), the means :math:`m` and the first right singular
    vectors :math:`F` of :math:`S - m` are kept. With the scores :math:`s_A` of the anchors alone, a
    further user's are about

    .. math::
        \hat s = m + F F_A^{+} (s_A - m_A)

    (Yadav et al., "Efficient Nearest Neighbor Search for Cross-Encoder Models using Matrix
    Factorization", EMNLP 2022). The anchors are the first columns that a pivoted QR takes, those
    that span the most of the sample. Nothing is asked of the model but scores, so popularity and
    whatever else it knows count as they do in it.

    Args:
        sample: scores of sampled users, ``[num_sampled, num_items]``.
        rank: singular vectors that are kept, at most.
        anchors: number of anchors, at most.
    """

    def __init__(self, sample: Tensor, rank: int = RANK, anchors: int = ANCHORS) -> None:
        self.mean = sample.mean(dim=0)
        spread = sample - self.mean
        _, strength, vectors = torch.linalg.svd(spread, full_matrices=False)
        # Below this there is but rounding.
        rank = min(rank, int((strength > 1e-5 * strength[0]).sum()))
        self.factors = vectors[:rank].t().contiguous()  # [num_items, rank]
        order = qr(spread.cpu().numpy(), mode="r", pivoting=True, check_finite=False)[1]
        self.anchors = torch.from_numpy(order[:anchors].astype(np.int64)).to(sample.device)
        self._solve = torch.linalg.pinv(self.factors[self.anchors])

    def estimate(self, scores: Tensor) -> Tensor:
        """Scores of all items, ``[num_items]``, from those of the anchors, ``[num_anchors]``."""
        known = self._solve @ (scores - self.mean[self.anchors])
        return torch.addmv(self.mean, self.factors, known)
