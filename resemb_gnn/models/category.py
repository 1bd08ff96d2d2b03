"""The item's category as a feature beside its embedding."""

import torch
from torch import Tensor, nn

from resemb_gnn.errors import InputError, shown
from resemb_gnn.nn.encoders.guarded_buffer import register_guarded_buffer


class CategoryEmbedding(nn.Module):
    """The embedding of each item's category.

    Args:
        item_category: category of each item, int64 ``[num_items]`` (``log.item_category``).
        embedding_dim: width of the embedding.
        num_items: number of items that there must be; ``None`` if it is not known.

    Shapes:
        - **input:** item ids, int64 ``[*]``
        - **output:** ``[*, embedding_dim]``

    Raises:
        InputError: if there are categories of another number of items, a category is no whole
            number from 0, or, on ``load_state_dict``, the weights belong to other categories of the
            items.
        IndexError: in ``forward``, if an id is out of range, as ``torch.nn.Embedding`` has it.
    """

    item_category: Tensor

    def __init__(self, item_category: Tensor, embedding_dim: int, num_items: int | None) -> None:
        super().__init__()
        if not isinstance(item_category, Tensor):
            raise InputError(f"item_category is no tensor: {shown(item_category)}")
        wanted = item_category.numel() if num_items is None else num_items
        if item_category.shape != (wanted,) or not wanted:
            raise InputError(
                f"item_category has shape {list(item_category.shape)}, but the embedding"
                f" {wanted} items"
            )
        if item_category.dtype not in (torch.int64, torch.int32):
            raise InputError(f"item_category holds {item_category.dtype}, not torch.int64")
        if bool((item_category < 0).any()):
            raise InputError(f"item_category holds {int(item_category.min())}, which is below 0")
        self.embedding_dim = embedding_dim
        register_guarded_buffer(
            self,
            "item_category",
            item_category,
            "the saved weights belong to other categories of the items than these",
        )
        self.embedding = nn.Embedding(int(item_category.max()) + 1, embedding_dim)
        nn.init.normal_(self.embedding.weight, std=0.1)

    @torch.no_grad()
    def over(self, item_category: Tensor, num_items: int | None) -> "CategoryEmbedding":
        """The same embeddings for the categories of other items; that of a category that is new is
        the mean of those that are known. Arguments and errors as above.
        """
        found = CategoryEmbedding(item_category, self.embedding_dim, num_items)
        own, weight = self.embedding.weight, found.embedding.weight
        found.to(own)
        weight.copy_(own.mean(dim=0, keepdim=True).expand_as(weight))
        shared = min(len(own), len(weight))
        weight[:shared] = own[:shared]
        weight.requires_grad_(own.requires_grad)
        return found.train(self.training)

    def forward(self, ids: Tensor) -> Tensor:
        # Selected, not indexed: an id out of range is an error, a negative one too.
        category = self.item_category.index_select(0, ids.flatten()).view(ids.shape)
        found: Tensor = self.embedding(category)
        return found
