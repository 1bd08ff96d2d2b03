"""Weights that belong to given data refuse to be loaded beside others."""

from functools import partial

import torch
from torch import Tensor, nn

from resemb_gnn.errors import InputError


def register_guarded_buffer(module: nn.Module, name: str, value: Tensor, message: str) -> None:
    """Saves a buffer with the module's weights, and makes ``load_state_dict`` raise
    :class:`~resemb_gnn.InputError` where the saved one is another.

    Args:
        module: the module.
        name: the buffer's name.
        value: the buffer.
        message: of the error; ``{saved}``, ``{own}`` and ``{module}`` stand for both values and the
            module's class.
    """
    module.register_buffer(name, value)
    hook = partial(_refuse_another, name=name, message=message)
    module.register_load_state_dict_pre_hook(hook)


def _refuse_another(
    module: nn.Module,
    state_dict: dict[str, Tensor],
    prefix: str,
    *args: object,
    name: str,
    message: str,
) -> None:
    own = getattr(module, name)
    saved = state_dict.get(prefix + name)
    if saved is not None and not torch.equal(saved.cpu(), own.cpu()):
        values = {"saved": saved.tolist(), "own": own.tolist()}
        raise InputError(message.format(**values, module=type(module).__name__))
