"""Encoders by name."""

from typing import Any

from torch import nn
from torch_geometric.data import Data

from resemb_gnn.errors import InputError, unknown_choice
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.nn.encoders.average import ItemAverageEncoder
from resemb_gnn.nn.encoders.center_encoder import CenterEncoder
from resemb_gnn.nn.encoders.center_normalization import CenterNormalization
from resemb_gnn.nn.encoders.full_graph import FullGraphEncoder
from resemb_gnn.settings.names import ENCODERS, find

MLP = "mlp"


def make_encoder(
    graph: Data,
    encoder: str | nn.Module,
    num_centers: int | None,
    temperature: float,
    normalize: CenterNormalization,
    feature_dim: int,
    hidden: tuple[int, ...],
) -> CenterEncoder:
    """The encoder that :class:`~resemb_gnn.ResEmbedding` names; its arguments mean the same.

    Raises:
        InputError: if the name is unknown, an argument does not go with it, or the encoder is one
            of another number of items.
    """
    own_weights = isinstance(encoder, CenterEncoder) or num_centers is None or encoder == MLP
    if own_weights and normalize != CenterNormalization():
        raise InputError(
            "normalization and heads go with weights that are made of logits, not with"
            f" {type(encoder).__name__ if isinstance(encoder, nn.Module) else encoder}"
        )
    if isinstance(encoder, CenterEncoder):
        size = encoder.graph.num_nodes
        if size != graph.num_nodes:
            raise InputError(f"the encoder is of {size} items, but the graph {graph.num_nodes}")
        return encoder
    if hidden and encoder != "gcn":
        raise InputError(f"hidden={hidden} goes with encoder='gcn' only")
    if num_centers is None:
        if encoder == "average":
            return ItemAverageEncoder(graph)
        raise InputError("num_centers=None (one centre an item) goes with encoder='average' only")
    if graph.x is None:
        graph = NodeFeatures(feature_dim)(graph)
    if isinstance(encoder, nn.Module):
        return FullGraphEncoder(graph, encoder, num_centers, temperature, normalize=normalize)
    if encoder == MLP:  # hidden units are centres whose weights need not sum to 1
        encoder, normalize = "sign", CenterNormalization("relu")
    if encoder not in ENCODERS:
        raise unknown_choice(f"encoder={encoder!r}", encoder, (*ENCODERS, MLP))
    options: dict[str, Any] = {"hidden": hidden} if hidden else {}
    made: CenterEncoder = find(ENCODERS[encoder])(
        graph, num_centers, temperature=temperature, normalize=normalize, **options
    )
    return made
