"""The item's category as a second feature."""

import torch
from torch import Tensor, nn

from resemb_gnn.errors import InputError
from resemb_gnn.nn.encoders.guarded_buffer import register_guarded_buffer


class WithCategory(nn.Module):
    """An item embedding followed by the embedding of the item's category.

    Args:
        embedding: maps item ids to ``[*, embedding.embedding_dim]``.
        item_category: category of each item, int64 ``[num_items]`` (``log.item_category``).
        category_dim: width of the category embedding.

    Shapes:
        - **input:** item ids, int64 ``[*]``
        - **output:** ``[*, embedding.embedding_dim + category_dim]``

    Raises:
        InputError: if the embedding has another number of items, or, on ``load_state_dict``, the
            weights belong to other categories of the items.
    """

    item_category: Tensor

    def __init__(self, embedding: nn.Module, item_category: Tensor, category_dim: int) -> None:
        super().__init__()
        num_embeddings = getattr(embedding, "num_embeddings", item_category.numel())
        if item_category.shape != (num_embeddings,):
            raise InputError(
                f"item_category has shape {list(item_category.shape)}, but the embedding"
                f" {num_embeddings} items"
            )
        self.embedding = embedding
        self.embedding_dim: int = int(embedding.embedding_dim) + category_dim  # type: ignore[arg-type]
        register_guarded_buffer(
            self,
            "item_category",
            item_category,
            "the saved weights belong to other categories of the items than these",
        )
        self.category_embedding = nn.Embedding(int(item_category.max()) + 1, category_dim)
        nn.init.normal_(self.category_embedding.weight, std=0.1)

    def forward(self, ids: Tensor, **options: int) -> Tensor:
        category = self.category_embedding(self.item_category[ids])
        return torch.cat([self.embedding(ids, **options), category], dim=-1)
