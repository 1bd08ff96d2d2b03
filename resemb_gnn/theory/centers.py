"""How a trained Res-embedding uses its centres, and what is left to the residual."""

from typing import NamedTuple

import torch
from torch import Tensor

from resemb_gnn.errors import InputError
from resemb_gnn.nn import ResEmbedding

_ROWS = 8192  # items embedded at a time
_NUMBERS = 2**23  # centre weights held at a time


class Agreement(NamedTuple):
    """Normalised mutual information and adjusted Rand index of two groupings; 1 if the same."""

    nmi: float
    ari: float


@torch.enable_grad()
def center_usage(embedding: ResEmbedding) -> Tensor:
    r"""Mean weight of each centre over all items, float64 ``[num_centers]``; sums to 1.

    .. math::
        u_k = \frac{1}{N H} \sum_i w_{ik}

    with :math:`H` heads of weights, computed as the derivative of
    :math:`\frac{1}{N H} \sum_i \sum_k w_{ik} z_k` in :math:`z`, which needs no row as wide as the
    number of centres.

    Raises:
        InputError: if the weights are no shares, as with ``relu`` and ``signed``.
    """
    weights = embedding.encoder.normalize
    if not weights.shares:
        raise InputError(
            f"{weights.normalization} centre weights do not say how much a centre is used"
        )
    device = embedding.centers.device
    dtype = embedding.centers.dtype
    z = torch.zeros(embedding.num_centers, 1, device=device, dtype=dtype, requires_grad=True)
    usage = torch.zeros(embedding.num_centers, dtype=torch.float64)
    for ids in torch.arange(embedding.num_embeddings, device=device).split(_ROWS):
        (part,) = torch.autograd.grad(embedding.encoder.mix(ids, z).sum(), z)
        usage += part[:, 0].cpu().double()
    return usage / (embedding.num_embeddings * weights.heads)


def effective_centers(usage: Tensor) -> float:
    r"""Perplexity of the centre usage: 1 if all items live at one centre, ``num_centers`` if all
    centres are used alike.

    .. math::
        \exp\left(-\sum_k u_k \log u_k\right)

    Args:
        usage: ``[num_centers]``, non-negative, sums to 1 (:func:`center_usage`).
    """
    return float(torch.special.entr(usage.double()).sum().exp())


@torch.no_grad()
def main_centers(embedding: ResEmbedding) -> Tensor:
    """The centre with the largest weight of each item, int64 ``[num_embeddings]``."""
    ids = torch.arange(embedding.num_embeddings, device=embedding.centers.device)
    parts = ids.split(max(1, _NUMBERS // embedding.num_centers))
    return torch.cat([embedding.center_weights(part).argmax(dim=1) for part in parts]).cpu()


@torch.no_grad()
def residual_share(embedding: ResEmbedding) -> Tensor:
    r"""Share of each item's norm that is residual, ``[num_embeddings]``, from 0 to 1.

    .. math::
        \frac{\lVert s_i r_i \rVert}{\lVert \sum_k w_{ik} c_k \rVert + \lVert s_i r_i \rVert}

    An item whose two parts are both zero has share 0.
    """
    shares = []
    for ids in torch.arange(embedding.num_embeddings, device=embedding.centers.device).split(_ROWS):
        residual = embedding.residual_part(ids).norm(dim=1)
        total = embedding.center_part(ids).norm(dim=1) + residual
        shares.append(torch.where(total > 0, residual / total, 0.0))
    return torch.cat(shares).cpu()


def agreement(found: Tensor, known: Tensor) -> Agreement:
    """How far a grouping of the items (their main centres, clusters) agrees with known interests.

    Args:
        found: group of each item, int64 ``[n]``; numbers mean nothing.
        known: interest of each item, int64 ``[n]``.

    Raises:
        InputError: if the shapes differ.
    """
    if found.shape != known.shape or found.dim() != 1:
        raise InputError(f"shapes {list(found.shape)} and {list(known.shape)} are not both [n]")
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    pair = known.cpu().numpy(), found.cpu().numpy()
    return Agreement(
        nmi=float(normalized_mutual_info_score(*pair)), ari=float(adjusted_rand_score(*pair))
    )
