"""Training in several processes: one model, every batch cut into parts."""

import atexit
import os

import torch
import torch.distributed as dist
from torch import Tensor, nn

from resemb_gnn.data import Examples
from resemb_gnn.errors import InputError
from resemb_gnn.nn.layers.process_sum import add_up, gather_all, take_largest
from resemb_gnn.training.evaluation import Metrics, evaluate, metrics_of, predict

_DENSE, _SPARSE = 1, 2  # layouts of gradients; 0 is none
# Numbers in a parameter: of a table as large as the first, rows alone may be sent; one as large as
# the second is added up where it lies, without a copy; the others go together, for one wait.
_LARGE, _ALONE = 1 << 20, 1 << 16


def join_processes(device: torch.device) -> tuple[int, int]:
    """Rank of this process and number of processes; ``(0, 1)`` for a process on its own.

    A process that ``torchrun`` has started joins the others: by NCCL if they train on CUDA, by gloo
    on CPUs.
    """
    if not dist.is_available():
        return 0, 1
    if not dist.is_initialized():
        if not dist.is_torchelastic_launched():
            return 0, 1
        store, rank, size = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
        if os.environ.get("GROUP_WORLD_SIZE") == "1":
            # torchrun keeps one store over its restarts: what processes that are gone have left
            # there would be taken for the new ones'.
            start = os.environ["TORCHELASTIC_RESTART_COUNT"]
            store = dist.PrefixStore(f"start {start}", store)  # type: ignore[attr-defined]
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
        atexit.register(_leave)
    return dist.get_rank(), dist.get_world_size()


def is_first() -> bool:
    """Whether this process is the one that writes files and prints: the only one, or the first."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank() == 0
    return int(os.environ.get("RANK", 0)) == 0  # torchrun's word, before the processes have joined


def own_device(device: torch.device) -> torch.device:
    """A GPU of its own for each process of a machine, if the device is any GPU."""
    if device != torch.device("cuda") or "LOCAL_RANK" not in os.environ:
        return device
    number = int(os.environ["LOCAL_RANK"])
    if number >= torch.cuda.device_count():
        raise InputError(
            f"process {number} of this machine has no GPU: there are {torch.cuda.device_count()}"
        )
    return torch.device("cuda", number)


@torch.no_grad()
def same_start(model: nn.Module) -> None:
    """Gives every process the weights and buffers of the first."""
    for value in model.state_dict().values():
        dist.broadcast(value, src=0)


def own_part(index: Tensor) -> Tensor | None:
    """The process's own part of a batch (int64 ``[n]``): parts differ by one example at most.

    ``None`` if there is not an example for each process: then each takes the whole batch.
    """
    if index.numel() < dist.get_world_size():
        return None
    return index.tensor_split(dist.get_world_size())[dist.get_rank()]


def balanced(index: Tensor, length: Tensor) -> Tensor:
    """The examples of a batch (int64 ``[n]``) in such an order that the parts which
    :func:`own_part` cuts have about as many behaviours each, of ``length`` ``[n]`` an example:
    processes wait for the one that has most.
    """
    order = length.argsort(descending=True, stable=True)
    processes = dist.get_world_size()
    return index[torch.cat([order[rank::processes] for rank in range(processes)])]


@torch.no_grad()
def add_gradients(model: nn.Module, loss: Tensor) -> Tensor:
    """Sums the gradients of all processes, in place, and their losses (scalars), whose sum is
    returned.

    A parameter has a gradient if it has one in any process. Rows of sparse gradients are gathered,
    and so are those of a dense one that are not zero where they are few, so that a table costs what
    the batch's rows cost.
    """
    parameters = [one for one in model.parameters() if one.requires_grad]
    if not parameters:
        return total(loss)
    dense: list[Tensor] = []
    others = dist.get_world_size() - 1
    for parameter, layout, longest in zip(parameters, *_agreed(parameters), strict=True):
        if layout == _SPARSE:
            parameter.grad = _gathered(parameter)
        elif layout == _DENSE:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if _by_rows(parameter) and 2 * longest * others <= parameter.size(0):
                _add_rows(parameter.grad, longest)
            elif parameter.numel() >= _ALONE:
                parameter.grad = parameter.grad.contiguous()
                add_up(parameter.grad)
            else:
                dense.append(parameter.grad)
    whole = loss.detach().reshape(1)
    flat = torch.cat([whole, *(grad.flatten() for grad in dense)])
    add_up(flat)
    whole, *parts = flat.split([1, *(grad.numel() for grad in dense)])
    for grad, part in zip(dense, parts, strict=True):
        grad.copy_(part.view_as(grad))
    return whole.squeeze(0).clone()  # not a view that keeps the gradients


def _agreed(parameters: list[nn.Parameter]) -> tuple[list[int], list[int]]:
    """For each parameter, in every process alike: whether its gradient is none, dense or sparse,
    and how many rows of a dense one of a table are not zero in the process that has most of them.
    """
    own = [
        [0, 0] if p.grad is None else [_SPARSE, 0] if p.grad.is_sparse else [_DENSE, _height(p)]
        for p in parameters
    ]
    most = torch.tensor(own, device=parameters[0].device)
    take_largest(most)
    layouts, heights = most.t().tolist()
    return layouts, heights


def _height(parameter: nn.Parameter) -> int:
    """Rows of a dense gradient that are not zero, if these may be all that is sent."""
    assert parameter.grad is not None
    return int(parameter.grad.any(dim=1).sum()) if _by_rows(parameter) else 0


def _by_rows(parameter: nn.Parameter) -> bool:
    """Whether it is a table so large that to look for its rows takes less than to send it whole."""
    return parameter.dim() == 2 and parameter.numel() >= _LARGE


def _add_rows(grad: Tensor, longest: int) -> None:
    """Sums the gradients of a table, of which no process has more rows than ``longest``."""
    rows = grad.any(dim=1).nonzero().squeeze(1)
    # Rows that are missing are zeros, added to the first.
    parts = zip(_padded(rows, longest), _padded(grad[rows], longest), strict=True)
    grad.zero_()
    for rows, values in parts:
        grad.index_add_(0, rows, values)


def total(value: Tensor) -> Tensor:
    """Sum over the processes."""
    value = value.clone()
    add_up(value)
    return value


def evaluate_across(
    model: nn.Module, examples: Examples, *, max_history: int | None = 50
) -> Metrics:
    """:func:`~resemb_gnn.evaluate`, of which each process scores a part: the logits are gathered,
    and the metrics are those of all examples, not a mean of the parts'.
    """
    places = torch.arange(len(examples), device=examples.target.device)
    part = own_part(places)
    if part is None:
        return evaluate(model, examples, max_history=max_history)
    logit = predict(model, examples[part], max_history=max_history)
    return metrics_of(gather(logit), examples)


def gather(part: Tensor) -> Tensor:
    """The parts of all processes, one after the other; their first sizes may differ."""
    own = torch.tensor([part.size(0)], device=part.device)
    sizes = [int(size) for size in gather_all(own)]
    parts = _padded(part, max(sizes))
    return torch.cat([one[:size] for one, size in zip(parts, sizes, strict=True)])


def _padded(part: Tensor, longest: int) -> list[Tensor]:
    """The parts of all processes, with zeros behind them up to the first size ``longest``."""
    padded = part.new_zeros(max(1, longest), *part.shape[1:])
    padded[: part.size(0)] = part
    return gather_all(padded)


def _gathered(parameter: nn.Parameter) -> Tensor:
    grad = parameter.grad
    if grad is None:
        rows = torch.zeros(0, dtype=torch.long, device=parameter.device)
        values = parameter.new_zeros(0, *parameter.shape[1:])
    else:
        grad = grad.coalesce()
        rows, values = grad.indices()[0], grad.values()
    return torch.sparse_coo_tensor(
        gather(rows)[None], gather(values), parameter.shape, check_invariants=False
    )


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
