"""Semantic ids: the sum of one centre a level, by residual k-means of the features."""

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

    Raises:
        InputError: if ``num_codes`` or ``levels`` is below 1, there are more codes than items, or
            the graph has no ``x`` or is unusable; in ``load_state_dict``, if the codebooks are of
            another shape, or of other clusters than these while the graph has folds.
    """

    one: Tensor
    codebooks: Tensor  # [levels, num_codes, width]; no buffer: rounding would change the codes

    def __init__(self, graph: Data, num_codes: int = 64, levels: int = 3, seed: int = 0) -> None:
        check_graph(graph)
        for name, value in (("num_codes", num_codes), ("levels", levels)):
            if not value >= 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        if num_codes > (graph.num_nodes or 0):
            raise InputError(f"{num_codes} codes a level are more than {graph.num_nodes} items")
        codebooks = _fit(_read(graph), num_codes, levels, seed)
        super().__init__(
            graph, levels * num_codes, partial(_codes, codebooks), CenterNormalization(heads=levels)
        )
        self.codebooks = codebooks
        # No parameter of this encoder tells in which type the weights are wanted.
        self.register_buffer("one", torch.ones(()), persistent=False)

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        center = self.view(fold).center.index_select(0, ids)
        return torch.nn.functional.one_hot(center, self.num_centers).sum(dim=1).to(self.one.dtype)

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
        self.codebooks, self.make_view = state, partial(_codes, state)
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


def _codes(codebooks: Tensor, graph: Data) -> GraphBuffers:
    """The numbers of each item's centres, int64 ``[num_nodes, levels]``."""
    found = []
    for part in _read(graph).split(_ROWS):
        left, codes = part.double(), []
        for level, book in enumerate(codebooks.double()):
            code = torch.cdist(left, book).argmin(dim=1)
            left = left - book[code]
            codes.append(code + level * len(book))
        found.append(torch.stack(codes, dim=1))
    return GraphBuffers(center=torch.cat(found))
