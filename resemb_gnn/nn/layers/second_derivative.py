"""Gradients that can be differentiated again, for functions whose own gradient cannot."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def differentiable_gradient(
    plain: Callable[..., Tensor], inputs: Sequence[Tensor], grad: Tensor
) -> list[Tensor | None]:
    """What the ``backward`` of a ``torch.autograd.Function`` returns where its gradient is itself
    to be differentiated, as ``torch.is_grad_enabled()`` tells there.

    A fast gradient written by hand uses numbers that the forward pass has left: to autograd these
    are constants, and a second derivative would be wrong without a word
    (``once_differentiable`` says so only if it happens to lie on the way).

    Args:
        plain: the same function of ``inputs``, in operations that autograd knows.
        inputs: the function's inputs, as ``ctx.saved_tensors`` has them.
        grad: gradient of its output.

    Returns:
        The gradient of each input, ``None`` where it needs none.
    """
    wanted = [each for each in inputs if each.requires_grad]
    found = iter(torch.autograd.grad(plain(*inputs), wanted, grad, create_graph=True))
    return [next(found) if each.requires_grad else None for each in inputs]
