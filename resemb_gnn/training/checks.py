"""What training refuses before it begins."""

import re

import torch
from torch import nn

from resemb_gnn.data import BehaviorLog
from resemb_gnn.errors import InputError, shown

_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")


def check_vocabulary(model: nn.Module, log: BehaviorLog) -> None:
    """Refuses a model of other items, or folds of other users, than the log's.

    Raises:
        InputError: with both numbers.
    """
    embedding = getattr(model, "embedding", None)
    size = getattr(embedding, "num_embeddings", log.num_items)
    if size != log.num_items:
        raise InputError(
            f"the embedding (and its graph) has {size} items, but the log {log.num_items}"
        )
    user_fold = getattr(embedding, "user_fold", None)
    if user_fold is not None and user_fold.numel() != log.num_users:
        raise InputError(
            f"the graph's folds deal out {user_fold.numel()} users, but the log has {log.num_users}"
        )


def check_device(device: torch.device | str) -> torch.device:
    """The device by its name: ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

    Raises:
        InputError: if there is no such device, or it is of another kind: on none of them was
            anything of this package ever run.
    """
    kind, colon, number = str(device).partition(":")
    # Not by torch.device: it knows kinds that this machine lacks, and takes cuda:300 for cuda:44.
    known = isinstance(device, str | torch.device) and kind in ("cpu", "cuda")
    if not known or (colon and not _NUMBER.fullmatch(number)):
        raise InputError(f"device={shown(device)} is unknown; choose cpu, cuda or cuda:N")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device='{device}' was asked for, but PyTorch sees"
            f" {torch.cuda.device_count() or 'no'} CUDA devices"
        )
    return torch.device(device) if kind == "cuda" else torch.device("cpu")
