"""What training refuses before it begins."""

import torch
from torch import nn

from resemb_gnn.data import BehaviorLog
from resemb_gnn.errors import InputError


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
    """The device by its name.

    Raises:
        InputError: if there is no such device.
    """
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device={device!r} is unknown; choose cpu or cuda") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device='{device}' was asked for, but PyTorch sees"
            f" {torch.cuda.device_count() or 'no'} CUDA devices"
        )
    return device
