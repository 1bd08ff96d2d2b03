"""Examples as libraries take them that pad: histories of one length."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.speed.ours import BATCH_SIZE, MAX_HISTORY
from resemb_gnn import Examples


class Rows(NamedTuple):
    """Examples as the libraries take them; 0 pads histories, at the end."""

    history: "np.ndarray"  # int64 [num_rows, MAX_HISTORY]
    length: "np.ndarray"  # int64 [num_rows]
    target: "np.ndarray"  # int64 [num_rows]
    label: "np.ndarray"  # int64 [num_rows]

    def split(self) -> Iterator["Rows"]:
        for start in range(0, len(self.label), BATCH_SIZE):
            yield Rows(*(part[start : start + BATCH_SIZE] for part in self))


def padded(examples: Examples, index: Tensor) -> Rows:
    batch = examples.batch(index, MAX_HISTORY)
    length = batch.ptr.diff()
    row = torch.arange(len(batch)).repeat_interleave(length)
    history = torch.zeros(len(batch), MAX_HISTORY, dtype=torch.long)
    history[row, torch.arange(row.numel()) - batch.ptr[row]] = batch.history + 1
    parts = (history, length, batch.target + 1, batch.label.long())
    return Rows(*(part.numpy() for part in parts))
