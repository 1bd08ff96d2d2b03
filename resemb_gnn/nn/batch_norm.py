"""Batch normalisation that takes a batch of one."""

from torch import Tensor, nn


class BatchNorm(nn.BatchNorm1d):
    """``torch.nn.BatchNorm1d``, but in training a single row, which has no variance of its own, is
    normalised by the moving averages (and leaves them as they are), as in
    :class:`~resemb_gnn.nn.Dice`.

    Shapes:
        - **input:** ``[n, num_features]``
        - **output:** ``[n, num_features]``
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.size(0) < 2:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)
