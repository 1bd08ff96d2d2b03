"""The item's category as a feature beside its embedding."""

from torch import Tensor, nn

from resemb_gnn.errors import InputError
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
        InputError: if there are categories of another number of items, or, on ``load_state_dict``,
            the weights belong to other categories of the items.
    """

    item_category: Tensor

    def __init__(self, item_category: Tensor, embedding_dim: int, num_items: int | None) -> None:
        super().__init__()
        wanted = item_category.numel() if num_items is None else num_items
        if item_category.shape != (wanted,):
            raise InputError(
                f"item_category has shape {list(item_category.shape)}, but the embedding"
                f" {wanted} items"
            )
        self.embedding_dim = embedding_dim
        register_guarded_buffer(
            self,
            "item_category",
            item_category,
            "the saved weights belong to other categories of the items than these",
        )
        self.embedding = nn.Embedding(int(item_category.max()) + 1, embedding_dim)
        nn.init.normal_(self.embedding.weight, std=0.1)

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.embedding(self.item_category[ids])
        return found
