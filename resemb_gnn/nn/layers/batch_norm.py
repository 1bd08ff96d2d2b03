"""Batch normalisation that takes a batch of one."""

import torch
from torch import Tensor, nn

from resemb_gnn.nn.layers.shared_batch import is_shared, normalize_across


class BatchNorm(nn.BatchNorm1d):
    """``torch.nn.BatchNorm1d``, but in training a single row, which has no variance of its own, is
    normalised by the moving averages (and leaves them as they are), as in
    :class:`~resemb_gnn.nn.Dice`. A batch that several processes share is normalised as a whole.

    Shapes:
        - **input:** ``[n, num_features]``
        - **output:** ``[n, num_features]``
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and is_shared():
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
            out = normalize_across(input, self)
            return out if self.weight is None else torch.addcmul(self.bias, out, self.weight)
        if self.training and input.size(0) < 2:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)
