"""The item's category as a second feature."""

import torch
from torch import Tensor, nn

from resemb_gnn.errors import InputError, shown
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
        InputError: if the embedding has another number of items, a category is no whole number from
            0, or, on ``load_state_dict``, the weights belong to other categories of the items.
        IndexError: in ``forward``, if an id is out of range, as ``torch.nn.Embedding`` has it.
    """

    item_category: Tensor

    def __init__(self, embedding: nn.Module, item_category: Tensor, category_dim: int) -> None:
        super().__init__()
        if not isinstance(item_category, Tensor):
            raise InputError(f"item_category is no tensor: {shown(item_category)}")
        num_embeddings = getattr(embedding, "num_embeddings", item_category.numel())
        if item_category.shape != (num_embeddings,) or not num_embeddings:
            raise InputError(
                f"item_category has shape {list(item_category.shape)}, but the embedding"
                f" {num_embeddings} items"
            )
        if item_category.dtype not in (torch.int64, torch.int32):
            raise InputError(f"item_category holds {item_category.dtype}, not torch.int64")
        if bool((item_category < 0).any()):
            raise InputError(f"item_category holds {int(item_category.min())}, which is below 0")
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
        # Selected, not indexed: an id out of range is an error, a negative one too.
        category = self.item_category.index_select(0, ids.flatten()).view(ids.shape)
        category = self.category_embedding(category)
        return torch.cat([self.embedding(ids, **options), category], dim=-1)
