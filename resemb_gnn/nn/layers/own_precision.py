"""Computing in the type of a module's own numbers."""

from collections.abc import Callable
from functools import wraps
from itertools import chain
from typing import Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

_M = TypeVar("_M", bound=nn.Module)
_P = ParamSpec("_P")
_T = TypeVar("_T")


def in_own_precision(
    method: Callable[Concatenate[_M, _P], _T],
) -> Callable[Concatenate[_M, _P], _T]:
    """Has a method of a module compute in the type of the module's parameters, whatever
    ``torch.autocast`` asks for: as a lookup in ``torch.nn.Embedding`` does, whose place an
    embedding takes. Sums over centres and neighbours lose much in bfloat16.
    """

    @wraps(method)
    def run(module: _M, /, *args: _P.args, **options: _P.kwargs) -> _T:
        own = next(chain(module.parameters(), module.buffers()), None)
        kind = "cpu" if own is None else own.device.type
        if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
            return method(module, *args, **options)
        with torch.autocast(kind, enabled=False):
            return method(module, *args, **options)

    return run


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor itself, or in float32 if its type is narrower: for kernels and sums that float16
    and bfloat16 do not do for.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))
