"""What models need that keep row 0 of a table for padding; shared by the examples."""

import torch
from torch import Tensor, nn

import resemb_gnn as rg


class Padded(nn.Module):
    """An embedding behind a padding row: 0 gives zeros, and n the row of item n - 1."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding

    def forward(self, ids: Tensor) -> Tensor:
        return self.embedding((ids - 1).clamp(min=0)) * (ids > 0)[..., None]


def padded(examples: rg.Examples, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Histories ``[num_examples, width]`` padded with 0 at their end, targets and labels."""
    batch = examples.batch(torch.arange(len(examples)), max_history=width)
    history = torch.zeros(len(batch), width, dtype=torch.long)
    history[torch.arange(width) < batch.ptr.diff()[:, None]] = batch.history + 1
    return history, batch.target + 1, batch.label
