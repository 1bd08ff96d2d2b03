"""Res-embedding: an item's embedding is its mix of centres plus a small residual."""

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn.data import distinct
from resemb_gnn.errors import InputError
from resemb_gnn.graph import NodeFeatures, check_graph
from resemb_gnn.nn.average_encoder import AverageEncoder, ItemAverageEncoder
from resemb_gnn.nn.center_encoder import CenterEncoder
from resemb_gnn.nn.full_graph_encoder import FullGraphEncoder
from resemb_gnn.nn.gat_encoder import GATEncoder
from resemb_gnn.nn.gcn_encoder import GCNEncoder

ENCODERS = ("average", "gcn", "gat")


class ResEmbedding(nn.Module):
    r"""Item embeddings as a mix of shared centres plus a residual (after Zhou et al.,
    "Res-embedding for Deep Learning Based Click-Through Rate Prediction Modeling",
    arXiv 1906.10304).

    .. math::
        e_i = \sum_{k=1}^{K} w_{ik} c_k + s_i r_i, \qquad s_i = \frac{n_i}{n_i + n_0}

    The centre weights :math:`w_i` come from an encoder of the co-visit graph. With
    ``shrinkage=None``, :math:`s_i = 1` as in the paper. Otherwise the residual of an item with
    :math:`n_i` training behaviours is shrunk as the empirical-Bayes estimate of a mean within
    its group: a rare item lives at its centres, a well-observed one earns its own place.

    Takes the place of ``torch.nn.Embedding(num_embeddings, embedding_dim)``.

    If the graph was built with ``folds``, a training batch of users of one fold is embedded with
    ``fold=``, from the graph that these users had no part in; ``fit`` does so (see
    :func:`~resemb_gnn.covisit_graph`). Without ``fold``, the full graph counts.

    Args:
        graph: co-visit graph. Its ``x`` are the node features; without ``x``, spectral features
            and the items' counts are taken (:class:`~resemb_gnn.graph.NodeFeatures`). ``count`` is
            needed by shrinkage.
        embedding_dim: width of the embeddings.
        num_centers: number of centres :math:`K`; ``None`` (``average`` only) for one an item.
        encoder: ``"average"``, ``"gcn"``, ``"gat"``, or any module with PyG's call
            ``(x, edge_index, edge_weight) -> [num_nodes, num_centers]`` (logits), whose
            parameters are drawn anew with the rest.
        temperature: divides the encoder's logits; the smaller, the harder the assignment.
        center_std: standard deviation of the centres at the start. By default 0.4 for shared
            centres, and 0.01 with one centre an item, where the start has nothing to tell apart
            and a wide one is memorised.
        residual_std: standard deviation of the residuals at the start.
        shrinkage: :math:`n_0`, in behaviours, or ``None``.
        residual_penalty: :math:`\lambda` of :meth:`penalty`.
        feature_dim: number of node features, if they are made; at least 2.
        hidden: widths of further layers of ``encoder="gcn"``.

    Shapes:
        - **input:** item ids, int64 ``[*]``; fold, int or ``None``
        - **output:** embeddings ``[*, embedding_dim]``

    Raises:
        InputError: if a setting is out of its range, the encoder unknown, or the graph unusable.
    """

    residual_scale: Tensor | None
    user_fold: Tensor | None
    graph_hash: Tensor

    def __init__(
        self,
        graph: Data,
        embedding_dim: int = 32,
        num_centers: int | None = 64,
        encoder: str | nn.Module = "gcn",
        *,
        temperature: float = 1.0,
        center_std: float | None = None,
        residual_std: float = 0.001,
        shrinkage: float | None = 1000.0,
        residual_penalty: float = 1.0,
        feature_dim: int = 32,
        hidden: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        _check_settings(locals())
        check_graph(graph)
        self.num_embeddings = int(graph.num_nodes or 0)
        self.embedding_dim = embedding_dim
        self.residual_std = residual_std
        self.sparse = False
        self.shrinkage = shrinkage
        self.residual_penalty = residual_penalty
        self.encoder = _make_encoder(graph, encoder, num_centers, temperature, feature_dim, hidden)
        self.num_centers = self.encoder.num_centers
        if center_std is None:
            center_std = 0.4 if num_centers is not None else 0.01
        self.center_std = center_std
        self.centers = nn.Parameter(torch.empty(self.num_centers, embedding_dim))
        self.residual = nn.Parameter(torch.empty(self.num_embeddings, embedding_dim))
        scale = None
        if shrinkage is not None:
            if graph.get("count") is None:
                raise InputError("shrinkage needs graph.count, the behaviours of each item")
            count = graph.count.float()
            # Nothing seen and nothing to shrink by, 0 / 0, is the limit of small n_0: no residual.
            scale = (count / (count + shrinkage)).nan_to_num(0.0).unsqueeze(1)
        self.register_buffer("residual_scale", scale, persistent=False)
        self.register_buffer("user_fold", graph.get("user_fold"), persistent=False)
        self.register_buffer("graph_hash", _hash_graph(graph))
        self.register_load_state_dict_pre_hook(_refuse_another_graph)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws centres, residuals and the encoder's parameters anew."""
        self.encoder.reset_parameters()
        nn.init.normal_(self.centers, std=self.center_std)
        nn.init.normal_(self.residual, std=self.residual_std)

    @property
    def tables(self) -> list[nn.Parameter]:
        """The parameters with a row an item: their gradients are sparse if ``sparse`` is set, as
        in ``torch.nn.Embedding``.
        """
        per_item = isinstance(self.encoder, ItemAverageEncoder)
        return [self.residual, self.centers] if per_item else [self.residual]

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        if ids.dim() == 1:
            return self._rows(ids, fold)
        # A batch of padded sequences repeats its items: each is computed once.
        unique, position = distinct(ids.flatten(), self.num_embeddings)
        rows = self._rows(unique, fold).index_select(0, position)
        return rows.view(*ids.shape, self.embedding_dim)

    def _rows(self, ids: Tensor, fold: int | None = None) -> Tensor:
        mixed = self.encoder.mix(ids, self.centers, fold, self.sparse)
        residual = nn.functional.embedding(ids, self.residual, sparse=self.sparse)
        if self.residual_scale is None:
            return mixed + residual
        return torch.addcmul(mixed, residual, self.residual_scale.index_select(0, ids))

    def center_weights(self, ids: Tensor) -> Tensor:
        """Centre weights :math:`w_i`, ``[*] -> [*, num_centers]``; rows sum to 1."""
        return self.encoder(ids.flatten()).view(*ids.shape, self.num_centers)

    def center_part(self, ids: Tensor) -> Tensor:
        r"""Central embeddings :math:`\sum_k w_{ik} c_k`, ``[*] -> [*, embedding_dim]``."""
        mixed = self.encoder.mix(ids.flatten(), self.centers)
        return mixed.view(*ids.shape, self.embedding_dim)

    def residual_part(self, ids: Tensor) -> Tensor:
        """Scaled residuals :math:`s_i r_i`, ``[*] -> [*, embedding_dim]``."""
        residual = nn.functional.embedding(ids, self.residual)
        if self.residual_scale is not None:
            residual = residual * self.residual_scale[ids]
        return residual

    def penalty(self, ids: Tensor) -> Tensor | None:
        r"""Residual penalty :math:`\lambda \cdot \mathrm{mean}_i \lVert r_i \rVert^2` over ``ids``
        (``[*]``), to be added to the loss of the batch that they come from; ``None`` if
        :math:`\lambda = 0`.
        """
        if self.residual_penalty == 0:
            return None
        rows = nn.functional.embedding(ids, self.residual, sparse=self.sparse)
        return self.residual_penalty * rows.square().sum(dim=-1).mean()

    @torch.no_grad()
    def materialize(self) -> nn.Embedding:
        """A plain ``torch.nn.Embedding`` that holds the same rows, for serving."""
        ids = torch.arange(self.num_embeddings, device=self.residual.device)
        rows = torch.cat([self._rows(part) for part in ids.split(8192)])
        return nn.Embedding.from_pretrained(rows, freeze=False)

    def extra_repr(self) -> str:
        return (
            f"{self.num_embeddings}, {self.embedding_dim}, num_centers={self.num_centers},"
            f" shrinkage={self.shrinkage}, residual_penalty={self.residual_penalty}"
        )


def _check_settings(settings: dict[str, object]) -> None:
    lowest = {
        "embedding_dim": 1,
        "num_centers": 1,
        "feature_dim": 2,
        "center_std": 0,
        "residual_std": 0,
        "shrinkage": 0,
        "residual_penalty": 0,
    }
    for name, low in lowest.items():
        value = settings[name]
        if value is not None and not value >= low:  # type: ignore[operator]
            raise InputError(f"{name} must be at least {low}, not {value}")
    if not settings["temperature"] > 0:  # type: ignore[operator]
        raise InputError(f"temperature must be above 0, not {settings['temperature']}")


def _make_encoder(
    graph: Data,
    encoder: str | nn.Module,
    num_centers: int | None,
    temperature: float,
    feature_dim: int,
    hidden: tuple[int, ...],
) -> CenterEncoder:
    if hidden and encoder != "gcn":
        raise InputError(f"hidden={hidden} goes with encoder='gcn' only")
    if num_centers is None:
        if encoder == "average":
            return ItemAverageEncoder(graph)
        raise InputError("num_centers=None (one centre an item) goes with encoder='average' only")
    if graph.x is None:
        graph = NodeFeatures(feature_dim)(graph)
    if isinstance(encoder, nn.Module):
        return FullGraphEncoder(graph, encoder, num_centers, temperature)
    if encoder == "average":
        return AverageEncoder(graph, num_centers, temperature)
    if encoder == "gcn":
        return GCNEncoder(graph, num_centers, temperature, hidden)
    if encoder == "gat":
        return GATEncoder(graph, num_centers, temperature)
    raise InputError(f"encoder={encoder!r} is unknown; choose from {', '.join(ENCODERS)}")


def _hash_graph(graph: Data) -> Tensor:
    """A number that tells graphs apart; saved, since the graph itself is not."""
    source, target = graph.edge_index
    mixed = (source * 0x9E3779B1 + target * 0x85EBCA77) ^ (source * target)
    total = mixed.sum() + int(graph.num_nodes or 0)
    if graph.edge_weight is not None:
        total = total + (mixed % 65_521 * graph.edge_weight.double().round().long()).sum()
    return total


def _refuse_another_graph(
    module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *args: object
) -> None:
    assert isinstance(module, ResEmbedding)
    saved = state_dict.get(prefix + "graph_hash")
    if saved is not None and not torch.equal(saved.cpu(), module.graph_hash.cpu()):
        raise InputError(
            f"the saved weights belong to another graph (hash {int(saved)}) than this"
            f" {type(module).__name__} ({int(module.graph_hash)})"
        )
