"""Spectral node features of a co-visit graph."""

from collections.abc import Iterator, Sequence

import numpy as np
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
from resemb_gnn.graph.fold_graphs import FoldGraphs, nodes_of, with_attribute
from resemb_gnn.graph.sparse_product import sparse_product

_LARGEST = float(np.finfo(np.float32).max)
_CHANCE = 1e-6  # nats: pointwise mutual information that rounding alone may leave
_NOISE = 1e-6  # of the largest singular value: noise beyond the rank


@functional_transform("spectral_features")
class SpectralFeatures(BaseTransform):
    r"""Adds node features ``x``: the truncated singular value decomposition of the positive
    pointwise mutual information of the co-visit counts (after Levy and Goldberg, "Neural Word
    Embedding as Implicit Matrix Factorization", NeurIPS 2014).

    .. math::
        P_{ij} = \max\left(0, \log \frac{A_{ij} \sum_k n_k^\alpha}{m\, n_i\, n_j^\alpha}\right)
                 \approx U S V^\top, \qquad n_i = \sum_l A_{il}, \qquad X = U S^{1/2}

    By default :math:`m = \alpha = 1`. With :math:`m` negatives a pair, drawn by the counts to the
    power of :math:`\alpha`, the logarithm is the optimum of skip-gram with negative sampling where
    the width has no bound; Levy and Goldberg keep what of it is above 0. Over co-visits this is the
    objective of item2vec in closed form (Barkan and Koenigstein, "Item2Vec: Neural Item Embedding
    for Collaborative Filtering", MLSP 2016). Of a directed graph, :math:`n_j` is the sum of column
    :math:`j`.

    The columns are ordered by singular value and signed so that the entry of largest absolute
    value is positive; with the fixed start of the iteration this makes the result
    deterministic, whatever the number of threads. An item without edges gets zeros.

    **Folds.** The singular vectors of ``fold_graphs`` are those of one step of subspace iteration
    (Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 2011) from the
    full graph's, so that ten folds take about as long as the full graph; their features are turned
    to the full graph's by the best rotation (orthogonal Procrustes). Where the spectrum has a gap
    behind ``dim``, that is the decomposition itself. Where it has none, the last directions of the
    full graph and of a fold are others, and one step goes a part of the way: on Amazon's Beauty the
    features of a fold are .13 from those of a decomposition of its own, the full graph's .21
    (relative error after rotation; ``benchmarks/speed/results/preparation.json``), and the
    validation AUC of ``gcn`` is .8448 with either, and from another seed .8383 and .8377. Graphs of
    at most 200 nodes, or four times ``dim``, are decomposed by themselves.

    Args:
        dim: number of features; columns beyond the rank of the matrix are zero.
        scale: scale the features so that the mean square norm of the non-zero rows is ``dim``
            (entries of about 1, what an encoder wants).
        negatives: :math:`m`.
        smoothing: :math:`\alpha`; word2vec's and item2vec's is 0.75.

    Raises:
        InputError: if ``dim`` or ``negatives`` is below 1, ``smoothing`` not above 0 and at
            most 1, or the graph unusable (:func:`~resemb_gnn.graph.check_graph`).

    Examples:
        >>> import resemb_gnn as rg
        >>> log = rg.InterestDelayModel(num_users=50, num_items=30).sample()
        >>> graph = rg.SpectralFeatures(dim=8)(rg.covisit_graph(log))
        >>> graph.x.shape
        torch.Size([30, 8])
    """

    def __init__(
        self, dim: int = 32, scale: bool = True, *, negatives: int = 1, smoothing: float = 1.0
    ) -> None:
        for name, value in (("dim", dim), ("negatives", negatives)):
            if value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        if not 0 < smoothing <= 1:
            raise InputError(f"smoothing must be above 0 and at most 1, not {smoothing}")
        self.dim = dim
        self.scale = scale
        self.negatives = negatives
        self.smoothing = smoothing

    def forward(self, data: Data) -> Data:
        # Features that the graph has already are none of this function's business.
        check_graph(data, ("edge_index", "edge_weight", "fold_graphs"))
        # The iteration's products are small: a second thread of BLAS gains nothing, spins while it
        # waits for a busy core, and rounds in another order.
        with threadpool_limits(1, user_api="blas"):
            kind = (self.negatives, self.smoothing)
            matrix = positive_pmi(data, *kind)
            vectors, values = _truncated_svd(matrix, min(self.dim, matrix.shape[0]))
            full = self._features(matrix, vectors, values)
            del matrix  # the folds' take as much
            data.x = torch.from_numpy(full)
            if "fold_graphs" in data:
                pairs = _fold_matrices(data.fold_graphs, *kind)
                parts = (self._turned(full, *pair, vectors) for pair in pairs)
                data.fold_graphs = with_attribute(data.fold_graphs, "x", list(parts))
        return data

    def _turned(
        self,
        full: "np.ndarray",
        matrix: "scipy.sparse.csr_array",
        transpose: "scipy.sparse.csr_array",
        start: "np.ndarray",
    ) -> Tensor:
        rank = start.shape[1]
        if _is_small(matrix, rank):
            features = self._features(matrix, *_truncated_svd(matrix, rank))
            rotation = _rotation(features.T @ full)
            return torch.from_numpy(features @ rotation)
        # The same by small matrices, so that the large one is multiplied once.
        left, inverse, values = _svd_from(start, matrix, transpose)
        change = inverse * np.sqrt(values)
        rows = left.any(axis=1).sum()
        if self.scale and rows:
            change *= np.sqrt(self.dim * rows / values.sum())
        return torch.from_numpy(left @ (change @ _rotation(change.T @ (left.T @ full))))

    def _features(
        self, matrix: "scipy.sparse.csr_array", vectors: "np.ndarray", values: "np.ndarray"
    ) -> "np.ndarray":
        features = np.zeros((matrix.shape[0], self.dim), dtype=np.float32)
        features[:, : values.size] = vectors * np.sqrt(values)
        rows = matrix @ np.ones(matrix.shape[0], np.float32) > 0  # none is negative
        features[~rows] = 0  # exactly, where the decomposition leaves rounding noise
        if self.scale and rows.any():
            features *= np.sqrt(self.dim / np.square(features[rows]).sum(axis=1).mean())
        return features

    def __repr__(self) -> str:
        return f"{type(self).__name__}(dim={self.dim})"


def positive_pmi(
    data: Data, negatives: int = 1, smoothing: float = 1.0
) -> "scipy.sparse.csr_array":
    """Positive pointwise mutual information of the edge weights, ``[num_nodes, num_nodes]``, with
    the arguments of :class:`SpectralFeatures`.

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
    # From here on in float32, in place and with small indices: a quarter of the memory and time.
    index = np.int32 if max(size, row.size) < 2**31 else np.int64
    places = (row.astype(index), column.astype(index))
    pmi = scipy.sparse.csr_array(  # adds repeats
        (weight.astype(np.float32, copy=False), places), shape=(size, size)
    )
    del places
    pmi.eliminate_zeros()
    _make_pmi(pmi, out_sum, in_sum, negatives, smoothing)
    pmi.eliminate_zeros()
    return pmi


def _make_pmi(
    matrix: "scipy.sparse.csr_array",
    out_sum: "np.ndarray",
    in_sum: "np.ndarray",
    negatives: int,
    smoothing: float,
) -> None:
    """Puts the information in the place of the weights; zeros stay where they are."""
    in_sum = in_sum**smoothing
    total = in_sum.sum() / negatives
    # Of items without edges, which are looked up nowhere or by a weight of 0: any finite number.
    lift = np.divide(total, out_sum, out=np.zeros(out_sum.size), where=out_sum > 0)
    lift = lift.astype(np.float32)
    if (
        float(matrix.data.max(initial=0)) * float(lift.max(initial=1)) > _LARGEST
        or in_sum.max(initial=0) > _LARGEST
    ):
        raise InputError("the edge weights are too large for float32: divide them")
    in_sum = np.where(in_sum > 0, in_sum, 1).astype(np.float32)
    matrix.data *= np.repeat(lift, np.diff(matrix.indptr))
    # NumPy would make 64-bit places of the columns first.
    columns = torch.from_numpy(matrix.indices)
    matrix.data /= torch.from_numpy(in_sum).index_select(0, columns).numpy()
    with np.errstate(divide="ignore"):
        np.log(matrix.data, out=matrix.data)
    matrix.data[matrix.data < _CHANCE] = 0


def _fold_matrices(
    graphs: Sequence[Data], negatives: int, smoothing: float
) -> "Iterator[tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]]":
    """Positive pointwise mutual information of each graph, and its transpose."""
    for fold, graph in enumerate(nodes_of(graphs)):
        if isinstance(graphs, FoldGraphs):  # made without edges of its own
            matrix = graphs.counts(fold)
            sums = graphs.sums(fold)
            _make_pmi(matrix, sums, sums, negatives, smoothing)
            yield matrix, matrix if smoothing == 1 else matrix.T.tocsr()
        else:
            matrix = positive_pmi(graph, negatives, smoothing)
            yield matrix, matrix.T.tocsr()


def _wide(weight: Tensor) -> Tensor:
    """In float32 what is narrower: NumPy knows no bfloat16."""
    return weight.to(torch.promote_types(weight.dtype, torch.float32))


def _is_small(matrix: "scipy.sparse.csr_array", rank: int) -> bool:
    """Whether it is decomposed as a dense one: ARPACK wants a rank well below the size."""
    return matrix.shape[0] <= max(200, 4 * rank)


def _truncated_svd(matrix: "scipy.sparse.csr_array", rank: int) -> "tuple[np.ndarray, np.ndarray]":
    """Left singular vectors ``[size, rank]`` and singular values ``[rank]``, largest first."""
    if not matrix.data.any():
        return np.zeros((matrix.shape[0], rank), np.float32), np.zeros(rank, np.float32)
    if _is_small(matrix, rank):
        vectors, values, _ = np.linalg.svd(matrix.toarray().astype(np.float64))
        vectors, values = vectors[:, :rank], values[:rank]
    else:
        start = np.random.default_rng(0).standard_normal(matrix.shape[0])
        vectors, values, _ = scipy.sparse.linalg.svds(matrix, k=rank, v0=start)
        order = np.argsort(-values)
        vectors, values = vectors[:, order], values[order]
    top = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[top, np.arange(rank)])
    values[values < values[0] * _NOISE] = 0
    return vectors, values


def _rotation(product: "np.ndarray") -> "np.ndarray":
    """The rotation of ``A`` nearest to ``B``, given ``A.T @ B`` (orthogonal Procrustes)."""
    left, _, right = np.linalg.svd(product)
    rotation: np.ndarray = left @ right
    return rotation


def _svd_from(
    start: "np.ndarray", matrix: "scipy.sparse.csr_array", transpose: "scipy.sparse.csr_array"
) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """One step of subspace iteration from left singular vectors that are nearly right.

    Returns:
        A matrix ``[size, rank]``, what turns it into left singular vectors, ``[rank, rank]``, and
        the singular values, largest first.
    """
    right = _product(transpose, np.ascontiguousarray(start, np.float32))  # rows lie together
    inverse, _ = _whitening(right)
    left = _product(matrix, right @ inverse)
    return left, *_whitening(left)


def _product(matrix: "scipy.sparse.csr_array", dense: "np.ndarray") -> "np.ndarray":
    """Product with a dense matrix by PyTorch's kernel, twice as fast as SciPy's; the rounding is
    the same with any number of threads.
    """
    parts = (matrix.indptr, matrix.indices, matrix.data, dense)
    ptr, index, weight, x = (torch.from_numpy(part) for part in parts)
    product: np.ndarray = sparse_product(ptr, index, weight, x).numpy()
    return product


def _whitening(matrix: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """``W`` ``[rank, rank]``, float32, such that ``matrix @ W`` are the left singular vectors of
    ``matrix``, and the singular values, largest first; a column of zeros for a value of 0.

    By its Gram matrix in float64: a fifth of the time of a QR decomposition.
    """
    wide = matrix.astype(np.float64)
    squares, vectors = np.linalg.eigh(wide.T @ wide)
    values, vectors = np.sqrt(np.maximum(squares[::-1], 0)), vectors[:, ::-1]
    values[values < values[0] * _NOISE] = 0
    inverse = np.divide(1, values, out=np.zeros_like(values), where=values > 0)
    return (vectors * inverse).astype(np.float32), values.astype(np.float32)
