"""Spectral node features of a co-visit graph."""

import copy

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from resemb_gnn.errors import InputError
from resemb_gnn.graph.adjacency import check_graph

_LARGEST = float(np.finfo(np.float32).max)
_CHANCE = 1e-6  # nats: pointwise mutual information that rounding alone may leave


@functional_transform("spectral_features")
class SpectralFeatures(BaseTransform):
    r"""Adds node features ``x``: the truncated singular value decomposition of the positive
    pointwise mutual information of the co-visit counts (after Levy and Goldberg, "Neural Word
    Embedding as Implicit Matrix Factorization", NeurIPS 2014).

    .. math::
        P_{ij} = \max\left(0, \log \frac{A_{ij} \sum_{kl} A_{kl}}
                 {\sum_l A_{il} \sum_k A_{kj}}\right) \approx U S V^\top,
        \qquad X = U S^{1/2}

    The columns are ordered by singular value and signed so that the entry of largest absolute
    value is positive; with the fixed start of the iteration this makes the result
    deterministic, whatever the number of threads. An item without edges gets zeros. Features of
    ``fold_graphs`` are made in the same way and turned to the full graph's by the best rotation
    (orthogonal Procrustes).

    Args:
        dim: number of features; columns beyond the rank of the matrix are zero.
        scale: scale the features so that the mean square norm of the non-zero rows is ``dim``
            (entries of about 1, what an encoder wants).

    Raises:
        InputError: if ``dim`` is below 1, or the graph unusable
            (:func:`~resemb_gnn.graph.check_graph`).

    Examples:
        >>> import resemb_gnn as rg
        >>> log = rg.InterestDelayModel(num_users=50, num_items=30).sample()
        >>> graph = rg.SpectralFeatures(dim=8)(rg.covisit_graph(log))
        >>> graph.x.shape
        torch.Size([30, 8])
    """

    def __init__(self, dim: int = 32, scale: bool = True) -> None:
        if dim < 1:
            raise InputError(f"dim must be at least 1, not {dim}")
        self.dim = dim
        self.scale = scale

    def forward(self, data: Data) -> Data:
        # Features that the graph has already are none of this function's business.
        check_graph(data, ("edge_index", "edge_weight", "fold_graphs"))
        # The iteration's products are small: a second thread of BLAS gains nothing, spins while it
        # waits for a busy core, and rounds in another order.
        with threadpool_limits(1, user_api="blas"):
            full = self._features(data)
            data.x = torch.from_numpy(full)
            if "fold_graphs" in data:  # the input keeps its own
                parts = [copy.copy(part) for part in data.fold_graphs]
                data.fold_graphs = [self._turned(part, full) for part in parts]
        return data

    def _turned(self, data: Data, full: "np.ndarray") -> Data:
        features = self._features(data)
        rotation, _ = scipy.linalg.orthogonal_procrustes(features, full)
        data.x = torch.from_numpy(features @ rotation)
        return data

    def _features(self, data: Data) -> "np.ndarray":
        matrix = positive_pmi(data)
        features = np.zeros((matrix.shape[0], self.dim), dtype=np.float32)
        rank = min(self.dim, matrix.shape[0])
        if matrix.nnz:
            vectors, values = _truncated_svd(matrix, rank)
            features[:, :rank] = vectors * np.sqrt(values)
        rows = np.diff(matrix.indptr) > 0
        features[~rows] = 0  # exactly, where the decomposition leaves rounding noise
        if self.scale and rows.any():
            features *= np.sqrt(self.dim / np.square(features[rows]).sum(axis=1).mean())
        return features

    def __repr__(self) -> str:
        return f"{type(self).__name__}(dim={self.dim})"


def positive_pmi(data: Data) -> "scipy.sparse.csr_array":
    """Positive pointwise mutual information of the edge weights, ``[num_nodes, num_nodes]``.

    In float32; what is within its rounding of chance (below 1e-6 nats) counts as chance.
    """
    row, column = data.edge_index.cpu().numpy()
    weight = (
        np.ones(row.size, np.float32)
        if data.edge_weight is None
        else _wide(data.edge_weight.cpu()).numpy()
    )
    size = int(data.num_nodes or 0)
    out_sum = np.bincount(row, weight, size)  # in float64
    in_sum = np.bincount(column, weight, size)
    with np.errstate(divide="ignore", invalid="ignore"):  # items without edges, not looked up
        lift = (out_sum.sum() / out_sum).astype(np.float32)
    # From here on in float32, in place and with small indices: a quarter of the memory and time.
    index = np.int32 if max(size, row.size) < 2**31 else np.int64
    places = (row.astype(index), column.astype(index))
    pmi = scipy.sparse.csr_array(  # adds repeats
        (weight.astype(np.float32, copy=False), places), shape=(size, size)
    )
    del places
    pmi.eliminate_zeros()
    lift_max = float(np.max(lift, initial=1, where=np.isfinite(lift)))
    if float(pmi.data.max(initial=0)) * lift_max > _LARGEST or in_sum.max(initial=0) > _LARGEST:
        raise InputError("the edge weights are too large for float32: divide them")
    pmi.data *= np.repeat(lift, np.diff(pmi.indptr))
    pmi.data /= in_sum.astype(np.float32)[pmi.indices]
    np.log(pmi.data, out=pmi.data)
    pmi.data[pmi.data < _CHANCE] = 0
    pmi.eliminate_zeros()
    return pmi


def _wide(weight: Tensor) -> Tensor:
    """In float32 what is narrower: NumPy knows no bfloat16."""
    return weight.to(torch.promote_types(weight.dtype, torch.float32))


def _truncated_svd(matrix: "scipy.sparse.csr_array", rank: int) -> "tuple[np.ndarray, np.ndarray]":
    """Left singular vectors ``[size, rank]`` and singular values ``[rank]``, largest first."""
    size = matrix.shape[0]
    if size <= max(200, 4 * rank):  # ARPACK wants a rank well below the size
        vectors, values, _ = np.linalg.svd(matrix.toarray().astype(np.float64))
        vectors, values = vectors[:, :rank], values[:rank]
    else:
        start = np.random.default_rng(0).standard_normal(size)
        vectors, values, _ = scipy.sparse.linalg.svds(matrix, k=rank, v0=start)
        order = np.argsort(-values)
        vectors, values = vectors[:, order], values[order]
    top = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[top, np.arange(rank)])
    values[values < values[0] * 1e-6] = 0  # noise beyond the rank
    return vectors, values
