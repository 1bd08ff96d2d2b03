"""Semantic ids: the sum of one centre a level, or prefix, by residual k-means of the features."""

import warnings
from functools import partial

import torch
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.errors import InputError
from resemb_gnn.graph import check_graph
from resemb_gnn.nn.encoders.center_encoder import CenterEncoder, GraphBuffers
from resemb_gnn.nn.encoders.center_normalization import CenterNormalization
from resemb_gnn.nn.encoders.sign import hop_features
from resemb_gnn.nn.layers.hashed_crosses import hash_pairs

_FITTED = 2**17  # items whose features the codebooks are fitted to, at most
_ROWS = 8192  # items coded at a time


class SemanticEncoder(CenterEncoder):
    r"""Semantic ids (Rajput et al., "Recommender Systems with Generative Retrieval", NeurIPS 2023,
    with k-means in the place of their autoencoder): one code a level, the first for the features
    :math:`z_i = [X, \hat A X, \hat A^2 X]_i` and each further one for what those before leave.

    .. math::
        k_l(i) = \mathrm{argmin}_k \lVert r_{il} - b_{lk} \rVert, \qquad
        r_{i1} = z_i, \quad r_{i,l+1} = r_{il} - b_{l,k_l(i)}

    The weights are 1 at these :math:`L` codes and 0 elsewhere, so that an embedding is the sum of
    :math:`L` centres, of which two items share as many as they have codes in common.

    With ``prefix_bits``, the centre of a level is that of all codes up to it (the prefix n-grams of
    Zheng et al., "Enhancing Embedding Representation Stability in Recommendation Systems with
    Semantic ID", 2025, after the n-grams of Singh et al., "Better Generalization with Semantic IDs:
    A Case Study in Ranking for Recommendations", RecSys 2024):

    .. math::
        e_i = \sum_{l=1}^{L} c_{l, h_l(k_1(i), \dots, k_l(i))}

    so that what a code means may depend on those before, and the last level's centres tell items
    apart. :math:`h_l` numbers the prefixes where there can be no more than :math:`2^{bits}`, and is
    a hash into as many elsewhere: how many centres there are does not depend on the data.

    The codebooks :math:`b` are fitted on the features of the full graph (of 131,072 items drawn
    from ``seed`` where there are more). Examples of a fold see each item at the codes of its
    features in the fold's graph: of the fold's own behaviours, they see what these moved the
    clusters' means, and nothing of the item by itself. The codebooks are saved with the weights,
    and new items get their codes from them.

    Args:
        graph: co-visit graph with node features ``x``.
        num_codes: codes of a level, at most ``num_nodes``; ``levels * num_codes`` is the number of
            centres, level by level.
        levels: number of levels :math:`L`.
        seed: seed of the clusters' start.
        prefix_bits: a centre a prefix, of which a level has at most :math:`2^{bits}`; ``None`` for
            one a code.

    Raises:
        InputError: if ``num_codes`` or ``levels`` is below 1, there are more codes than items,
            ``prefix_bits`` does not lie between 1 and 30, or the graph has no ``x`` or is unusable;
            in ``load_state_dict``, if the codebooks are of another shape, or of other clusters than
            these while the graph has folds.
    """

    one: Tensor
    codebooks: Tensor  # [levels, num_codes, width]; no buffer: rounding would change the codes

    def __init__(
        self,
        graph: Data,
        num_codes: int = 64,
        levels: int = 3,
        seed: int = 0,
        prefix_bits: int | None = None,
    ) -> None:
        check_graph(graph)
        if prefix_bits is not None and not 1 <= prefix_bits <= 30:
            raise InputError(f"prefix_bits must lie between 1 and 30, not {prefix_bits}")
        for name, value in (("num_codes", num_codes), ("levels", levels)):
            if not value >= 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        if num_codes > (graph.num_nodes or 0):
            raise InputError(f"{num_codes} codes a level are more than {graph.num_nodes} items")
        codebooks = _fit(_read(graph), num_codes, levels, seed)
        sizes, normalize = [num_codes] * levels, CenterNormalization(heads=levels)
        if prefix_bits is not None:  # heads are of one size
            sizes = [min(num_codes**level, 2**prefix_bits) for level in range(1, levels + 1)]
            normalize = CenterNormalization("signed")
        code = partial(_codes, bits=prefix_bits)
        super().__init__(graph, sum(sizes), partial(code, codebooks), normalize)
        self.code, self.codebooks = code, codebooks
        # No parameter of this encoder tells in which type the weights are wanted.
        self.register_buffer("one", torch.ones(()), persistent=False)

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        center = self.view(fold).center.index_select(0, ids)
        return self.one.new_zeros(ids.numel(), self.num_centers).scatter_(1, center, 1)

    def mix(
        self, ids: Tensor, centers: Tensor, fold: int | None = None, sparse: bool = False
    ) -> Tensor:
        center = self.view(fold).center.index_select(0, ids)
        return torch.nn.functional.embedding(center, centers).sum(dim=1)

    def get_extra_state(self) -> Tensor:
        """The codebooks, which are saved with the weights of the module around; where these are, as
        processes tell each other of them all.
        """
        return self.codebooks.to(self.one.device)

    def set_extra_state(self, state: Tensor) -> None:
        """Takes saved codebooks, and codes the items by them."""
        state = state.to(self.codebooks)
        if torch.equal(state, self.codebooks):
            return
        if state.shape != self.codebooks.shape:
            raise InputError(
                f"the saved codebooks have shape {list(state.shape)}, not"
                f" {list(self.codebooks.shape)}"
            )
        close = torch.allclose(state, self.codebooks, rtol=1e-3, atol=1e-3)
        if len(self.views) > 1 and not close:  # the folds' graphs are not here to be coded anew
            raise InputError("the saved codebooks are others than those of this graph with folds")
        self.codebooks, self.make_view = state, partial(self.code, state)
        self.view(None).center.copy_(self.make_view(self.graph).center)


def _read(graph: Data) -> Tensor:
    return hop_features(graph, hops=2).cpu().float()  # whatever type the parameters are of


def _fit(x: Tensor, num_codes: int, levels: int, seed: int) -> Tensor:
    from sklearn.cluster import KMeans  # takes a second to import
    from sklearn.exceptions import ConvergenceWarning

    if len(x) > _FITTED:
        generator = torch.Generator().manual_seed(seed)
        x = x[torch.randperm(len(x), generator=generator)[:_FITTED]]
    books = []
    for _ in range(levels):
        with warnings.catch_warnings():
            # Fewer distinct rows than codes leave some of these unused, which is no fault.
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = KMeans(num_codes, n_init=1, random_state=seed).fit(x.numpy())
        books.append(torch.from_numpy(found.cluster_centers_))
        x = x - books[-1][torch.from_numpy(found.labels_).long()]
    return torch.stack(books)


def _codes(codebooks: Tensor, graph: Data, bits: int | None) -> GraphBuffers:
    """The numbers of each item's centres, int64 ``[num_nodes, levels]``: those of its codes, or of
    the prefixes of its codes, of which a level has ``2**bits`` at most.
    """
    found = []
    for part in _read(graph).split(_ROWS):
        left, codes = part.double(), []
        for book in codebooks.double():
            codes.append(torch.cdist(left, book).argmin(dim=1))
            left = left - book[codes[-1]]
        found.append(_numbers(codes, codebooks.size(1), bits))
    return GraphBuffers(center=torch.cat(found))


def _numbers(codes: list[Tensor], num_codes: int, bits: int | None) -> Tensor:
    prefix, first, found = torch.zeros_like(codes[0]), 0, []
    for level, code in enumerate(codes, start=1):
        if bits is None:
            number, size = code, num_codes
        elif num_codes**level <= 2**bits:
            number, size = prefix * num_codes + code, num_codes**level
        else:
            number, size = hash_pairs(prefix, code, bits), 2**bits
        prefix = prefix * num_codes + code  # wraps around at 64 bits, which a hash may
        found.append(first + number)
        first += size
    return torch.stack(found, dim=1)
