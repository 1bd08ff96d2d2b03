"""Every item embedding of the package over one graph, for what must hold of all of them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GCNConv

from resemb_gnn import ResEmbedding
from resemb_gnn.nn import (
    HardEncoder,
    LightGCNEmbedding,
    PlainEmbedding,
    ResidualOptions,
    SemanticEncoder,
)

DIM = 4
EVERY_OPTION = ResidualOptions(learn_shrinkage=True, max_norm=0.6, max_ratio=0.9)


def _res(encoder: Any = "gcn", num_centers: int | None = 4, **options: Any) -> Any:
    def make(graph: Data) -> ResEmbedding:
        made = encoder if isinstance(encoder, str) else encoder(graph)
        return ResEmbedding(graph, DIM, num_centers, made, residual_std=0.5, **options)

    return make


def _hard(graph: Data) -> HardEncoder:
    return HardEncoder(graph, torch.arange(int(graph.num_nodes)) % 4)


RES_EMBEDDINGS: dict[str, Callable[[Data], ResEmbedding]] = {
    "average": _res("average"),
    "item-average": _res("average", None),
    "gcn": _res("gcn"),
    "deep-gcn": _res("gcn", hidden=(5, 3)),
    "gat": _res("gat"),
    "sign": _res("sign"),
    "hard": _res(_hard),
    "GCNConv": _res(lambda graph: GCNConv(graph.x.size(1), 4)),
    "GATConv": _res(lambda graph: GATConv(graph.x.size(1), 4)),
    "entmax": _res("gcn", normalization="entmax", heads=2),
    "sparsemax": _res("gat", normalization="sparsemax"),
    "semantic": _res(lambda graph: SemanticEncoder(graph, 4, 2)),
    "semantic-prefix": _res(lambda graph: SemanticEncoder(graph, 4, 3, prefix_bits=5)),
    "signed": _res("gcn", normalization="signed", shrinkage=None),
    "every-option": _res("gcn", residual_options=EVERY_OPTION, shrinkage=3.0),
}

EMBEDDINGS: dict[str, Callable[[Data], nn.Module]] = {
    **RES_EMBEDDINGS,
    "LightGCN": lambda graph: LightGCNEmbedding(graph, DIM, std=0.5, l2=1.0),
    "plain": lambda graph: PlainEmbedding(int(graph.num_nodes), DIM, std=0.5, l2=1.0),
}
