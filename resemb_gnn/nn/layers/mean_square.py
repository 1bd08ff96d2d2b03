"""What the embeddings' penalties are made of."""

from torch import Tensor


def mean_square(rows: Tensor) -> Tensor:
    """Mean of the rows' squared norms, ``[*, dim]`` -> a number; 0 of no rows."""
    return rows.square().sum() / max(1, rows.shape[:-1].numel())
