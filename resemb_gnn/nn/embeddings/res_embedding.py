"""Res-embedding: an item's embedding is its mix of centres plus a small residual."""

import copy
import math

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn.errors import InputError
from resemb_gnn.graph import FeatureExtension, check_graph
from resemb_gnn.nn.embeddings import cold_items
from resemb_gnn.nn.embeddings.item_embedding import ItemEmbedding, check_rows
from resemb_gnn.nn.embeddings.residual import ResidualOptions, Shrinkage
from resemb_gnn.nn.embeddings.table_options import TableOptions
from resemb_gnn.nn.encoders.average import ItemAverageEncoder
from resemb_gnn.nn.encoders.center_normalization import CenterNormalization
from resemb_gnn.nn.encoders.graph_guard import guard_graph
from resemb_gnn.nn.encoders.make_encoder import MLP, make_encoder
from resemb_gnn.nn.layers.mean_square import mean_square
from resemb_gnn.nn.layers.own_precision import in_own_precision
from resemb_gnn.nn.layers.unique_ids import unique_ids
from resemb_gnn.settings import EmbeddingSettings
from resemb_gnn.settings.setting import check_values


class ResEmbedding(ItemEmbedding):
    r"""Item embeddings as a mix of shared centres plus a residual (after Zhou et al.,
    "Res-embedding for Deep Learning Based Click-Through Rate Prediction Modeling",
    arXiv 1906.10304).

    .. math::
        e_i = \sum_{k=1}^{K} w_{ik} c_k + s_i r_i, \qquad s_i = \frac{n_i}{n_i + n_0}

    The centre weights :math:`w_i` come from an encoder of the co-visit graph. With
    ``shrinkage=None``, :math:`s_i = 1` as in the paper. Otherwise the residual of an item with
    :math:`n_i` training behaviours is shrunk as the empirical-Bayes estimate of a mean within
    its group: a rare item lives at its centres, a well-observed one earns its own place.

    Takes the place of ``torch.nn.Embedding(num_embeddings, embedding_dim)``; as that, it computes
    in the type of its parameters under ``torch.autocast``, too.

    If the graph was built with ``folds``, a training batch of users of one fold is embedded with
    ``fold=``, from the graph that these users had no part in; ``fit`` does so (see
    :func:`~resemb_gnn.covisit_graph`). Without ``fold``, the full graph counts.

    Args:
        graph: co-visit graph. Its ``x`` are the node features; without ``x``, spectral features
            and the items' counts are taken (:class:`~resemb_gnn.graph.NodeFeatures`). ``count`` is
            needed by shrinkage. Features of items go into it by
            :class:`~resemb_gnn.ContentFeatures`.
        embedding_dim: width of the embeddings.
        num_centers: number of centres :math:`K`; ``None`` (``average`` only) for one an item.
        encoder: ``"mlp"`` (``"sign"`` with ``normalization="relu"``: the centres are the second
            layer of a network of two), ``"average"``, ``"gcn"``, ``"gat"``, ``"sign"``, or any
            module with PyG's call ``(x, edge_index, edge_weight) -> [num_nodes, num_centers]``
            (logits), whose parameters are drawn anew with the rest; or a
            :class:`~resemb_gnn.nn.CenterEncoder`, which brings its own weights and centres.
        temperature: divides the encoder's logits; the smaller, the harder the assignment.
        normalization: how logits become weights: ``"softmax"``, ``"sparsemax"``, ``"entmax"``,
            ``"relu"`` or ``"signed"`` (:class:`~resemb_gnn.nn.CenterNormalization`).
        heads: groups of centres with weights of their own, which divide ``num_centers``.
        center_std: standard deviation of the centres at the start. By default 0.4 for shared
            centres, and 0.01 with one centre an item, where the start has nothing to tell apart
            and a wide one is memorised; where weights are of any sum (``"relu"``, ``"signed"``),
            as Glorot starts a layer.
        residual_std: standard deviation of the residuals at the start.
        shrinkage: :math:`n_0`, in behaviours, or ``None``.
        residual_penalty: :math:`\lambda` of :meth:`penalty`.
        residual_options: learnt shrinkage, caps and training of the residual, all off by default
            (:class:`~resemb_gnn.nn.ResidualOptions`).
        feature_dim: number of node features, if they are made; at least 2.
        hidden: widths of further layers of ``encoder="gcn"``.
        fixed_centers: centres that are given, ``[num_centers, embedding_dim]``, and not trained;
            ``None`` for drawn ones that are.

    Shapes:
        - **input:** item ids, int64 ``[*]``; fold, int or ``None``
        - **output:** embeddings ``[*, embedding_dim]``

    Raises:
        InputError: if a setting is out of its range, the encoder unknown, or the graph unusable; in
            ``forward``, if there is no such fold.
        IndexError: in ``forward``, if an id is out of range, as ``torch.nn.Embedding`` has it.

    Examples:
        >>> import torch
        >>> import resemb_gnn as rg
        >>> log = rg.InterestDelayModel(num_users=50, num_items=30).sample()
        >>> graph = rg.covisit_graph(log)
        >>> emb = rg.ResEmbedding(graph, embedding_dim=16, num_centers=4, encoder="gcn")
        >>> ids = torch.tensor([[0, 1, 2], [3, 4, 5]])
        >>> emb(ids).shape
        torch.Size([2, 3, 16])
        >>> weights = emb.center_weights(ids)
        >>> weights.shape, bool(torch.allclose(weights.sum(dim=-1), torch.ones(2, 3)))
        (torch.Size([2, 3, 4]), True)
        >>> bool(torch.allclose(emb.materialize()(ids), emb(ids), atol=1e-6))
        True
    """

    num_embeddings: int
    fixed_centers: Tensor | None
    _extension: FeatureExtension | None = None
    embed_new = cold_items.embed_new
    update = cold_items.update

    def __init__(
        self,
        graph: Data,
        embedding_dim: int = EmbeddingSettings.embedding_dim,
        num_centers: int | None = EmbeddingSettings.num_centers,
        encoder: str | nn.Module = MLP,
        *,
        temperature: float = EmbeddingSettings.temperature,
        normalization: str = EmbeddingSettings.normalization,
        heads: int = EmbeddingSettings.heads,
        center_std: float | None = EmbeddingSettings.center_std,
        residual_std: float = EmbeddingSettings.residual_std,
        shrinkage: float | None = EmbeddingSettings.shrinkage,
        residual_penalty: float = EmbeddingSettings.residual_penalty,
        residual_options: ResidualOptions | None = None,
        feature_dim: int = 32,
        hidden: tuple[int, ...] = (),
        fixed_centers: Tensor | None = None,
    ) -> None:
        super().__init__()
        check_values(
            EmbeddingSettings,
            embedding_dim=embedding_dim,
            num_centers=num_centers,
            temperature=temperature,
            center_std=center_std,
            residual_std=residual_std,
            shrinkage=shrinkage,
            residual_penalty=residual_penalty,
        )
        if not feature_dim >= 2:
            raise InputError(f"feature_dim must be at least 2, not {feature_dim}")
        check_graph(graph)
        self.num_embeddings = int(graph.num_nodes or 0)
        self.embedding_dim = embedding_dim
        self.residual_std = residual_std
        self.residual_penalty = residual_penalty
        self.options = residual_options or ResidualOptions()
        self.encoder = make_encoder(
            graph,
            encoder,
            num_centers,
            temperature,
            CenterNormalization(normalization, heads),
            feature_dim,
            hidden,
        )
        self.num_centers = self.encoder.num_centers
        if center_std is None and not self.encoder.normalize.shares:
            center_std = math.sqrt(2 / (self.num_centers + embedding_dim))
        elif center_std is None:
            center_std = 0.4 if num_centers is not None else 0.01
        self.center_std = center_std
        check_rows("fixed_centers", fixed_centers, self.num_centers, embedding_dim)
        self.register_buffer("fixed_centers", fixed_centers, persistent=False)
        self.centers = nn.Parameter(torch.empty(self.num_centers, embedding_dim))
        self.residual = nn.Parameter(torch.empty(self.num_embeddings, embedding_dim))
        self.shrinkage: Shrinkage | None = None
        if shrinkage is not None:
            self.shrinkage = Shrinkage(graph, shrinkage, self.options.learn_shrinkage)
        elif self.options.learn_shrinkage:
            raise InputError("learn_shrinkage needs a shrinkage to start from, not None")
        self.user_fold = graph.get("user_fold")
        guard_graph(self, graph)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws centres, residuals and the encoder's parameters anew."""
        self.encoder.reset_parameters()
        if self.fixed_centers is None:
            nn.init.normal_(self.centers, std=self.center_std)
        else:
            with torch.no_grad():
                self.centers.copy_(self.fixed_centers)
            self.centers.requires_grad_(False)
        staged = self.options.staged
        nn.init.normal_(self.residual, std=0.0 if staged else self.residual_std)
        if staged:
            self.residual.requires_grad_(False)
        if self.shrinkage is not None:
            self.shrinkage.reset_parameters()

    @torch.no_grad()
    def release_residual(self) -> bool:
        """Starts the second stage of ``ResidualOptions(staged=True)``: draws the residuals and
        lets them train from now on. An optimiser made before does not know them.

        Returns:
            Whether there was anything to release.
        """
        if not self.options.staged or self.residual.requires_grad:
            return False
        nn.init.normal_(self.residual, std=self.residual_std)
        self.residual.requires_grad_(True)
        return True

    @property
    def tables(self) -> dict[str, TableOptions]:
        own = {"residual": TableOptions(self.options.lr_scale, self.options.decay)}
        if isinstance(self.encoder, ItemAverageEncoder):  # one centre an item
            own["centers"] = TableOptions()
        return own

    @property
    def item_groups(self) -> Tensor | None:
        return self.encoder.item_groups

    @property
    def residual_scale(self) -> Tensor | None:
        """:math:`s_i` of all items, ``[num_embeddings, 1]``; ``None`` without shrinkage."""
        return None if self.shrinkage is None else self.shrinkage()

    @in_own_precision
    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        if ids.dim() == 1:
            return self._rows(ids, fold)
        # A batch of padded sequences repeats its items: each is computed once.
        unique, position = unique_ids(ids.flatten(), self.num_embeddings)
        rows = self._rows(unique, fold).index_select(0, position)
        return rows.view(*ids.shape, self.embedding_dim)

    def _rows(self, ids: Tensor, fold: int | None = None) -> Tensor:
        central = self.encoder.mix(ids, self.centers, fold, self.sparse)
        residual = nn.functional.embedding(ids, self.residual, sparse=self.sparse)
        scale = None if self.shrinkage is None else self.shrinkage(ids)
        if self.options.capped:
            residual = residual if scale is None else residual * scale
            return central + self.options.cap(residual, central)
        return central + residual if scale is None else torch.addcmul(central, residual, scale)

    @in_own_precision
    def center_weights(self, ids: Tensor) -> Tensor:
        """Centre weights :math:`w_i`, ``[*] -> [*, num_centers]``.

        Rows sum to 1, with several heads to their number; relu and signed weights to anything.
        """
        return self.encoder(ids.flatten()).view(*ids.shape, self.num_centers)

    @in_own_precision
    def center_part(self, ids: Tensor) -> Tensor:
        r"""Central embeddings :math:`\sum_k w_{ik} c_k`, ``[*] -> [*, embedding_dim]``."""
        mixed = self.encoder.mix(ids.flatten(), self.centers)
        return mixed.view(*ids.shape, self.embedding_dim)

    @in_own_precision
    def residual_part(self, ids: Tensor) -> Tensor:
        """Residuals as they are added, :math:`s_i r_i` and capped if there is a cap,
        ``[*] -> [*, embedding_dim]``.
        """
        flat = ids.flatten()
        residual = nn.functional.embedding(flat, self.residual)
        if self.shrinkage is not None:
            residual = residual * self.shrinkage(flat)
        if self.options.capped:
            residual = self.options.cap(residual, self.center_part(flat))
        return residual.view(*ids.shape, self.embedding_dim)

    @in_own_precision
    def penalty(self, ids: Tensor) -> Tensor | None:
        r"""Residual penalty :math:`\lambda \cdot \mathrm{mean}_i \lVert r_i \rVert^2` over ``ids``
        (``[*]``), to be added to the loss of the batch that they come from; ``None`` if
        :math:`\lambda = 0`, and 0 for no ids.
        """
        if self.residual_penalty == 0 or not self.residual.requires_grad:
            return None
        rows = nn.functional.embedding(ids, self.residual, sparse=self.sparse)
        return self.residual_penalty * mean_square(rows)

    def over(self, graph: Data, fixed_centers: Tensor | None = None) -> "ResEmbedding":
        """An embedding over another graph with the settings of this one, drawn anew.

        Args:
            graph: the graph.
            fixed_centers: centres in place of those that are given, where these are one an item.
        """
        other = ResEmbedding(
            graph,
            self.embedding_dim,
            self.num_centers,
            copy.deepcopy(self.encoder.on(graph)),
            center_std=self.center_std,
            residual_std=self.residual_std,
            shrinkage=None if self.shrinkage is None else self.shrinkage.start,
            residual_penalty=self.residual_penalty,
            residual_options=self.options,
            fixed_centers=self.fixed_centers if fixed_centers is None else fixed_centers,
        )
        other.sparse = self.sparse
        return other.to(self.residual)

    def extra_repr(self) -> str:
        return (
            f"{self.num_embeddings}, {self.embedding_dim}, num_centers={self.num_centers},"
            f" shrinkage={None if self.shrinkage is None else self.shrinkage.start},"
            f" residual_penalty={self.residual_penalty}"
        )
