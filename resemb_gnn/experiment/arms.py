"""What is compared: embeddings, graphs and models by name."""

from collections.abc import Callable

from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn.models import DIEN, DIN, PNN, PooledMLP, WideDeep
from resemb_gnn.nn import ENCODERS, ResEmbedding

EMBEDDINGS = ("plain", *ENCODERS)
GRAPHS = ("covisit", "permuted")
PLAIN_STD = 0.003  # best of .1, .03, .01, .003 and .0001 by validation AUC on Beauty


def plain_embedding(num_items: int, embedding_dim: int) -> nn.Embedding:
    """A plain table, started close to zero: the usual wide start costs DIN points of AUC."""
    table = nn.Embedding(num_items, embedding_dim)
    nn.init.normal_(table.weight, std=PLAIN_STD)
    return table


def make_embedding(
    name: str,
    graph: Data,
    embedding_dim: int,
    num_centers: int,
    shrinkage: float | None,
    residual_penalty: float,
) -> nn.Module:
    """The embedding of an arm, freshly drawn.

    Args:
        name: one of ``EMBEDDINGS``.
        graph: co-visit graph with node features.
        embedding_dim: width of the embeddings.
        num_centers: number of centres of all but ``average``, which has one an item.
        shrinkage: as in :class:`~resemb_gnn.ResEmbedding`.
        residual_penalty: likewise.
    """
    if name == "plain":
        return plain_embedding(int(graph.num_nodes or 0), embedding_dim)
    return ResEmbedding(
        graph,
        embedding_dim,
        None if name == "average" else num_centers,
        encoder=name,
        shrinkage=shrinkage,
        residual_penalty=residual_penalty,
    )


_MODELS: dict[str, Callable[..., nn.Module]] = {
    "din": DIN,
    "dien": DIEN,
    "pooled-mlp": PooledMLP,
    "wide-deep": WideDeep,
    "pnn": PNN,
}
MODELS = tuple(_MODELS)


def make_model(name: str, embedding: nn.Module, item_category: Tensor | None) -> nn.Module:
    """The click model ``name`` (one of ``MODELS``) around an embedding."""
    return _MODELS[name](embedding, item_category=item_category)
