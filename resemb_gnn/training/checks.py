"""What training refuses before it begins."""

import re

import torch
from torch import Tensor, nn

from resemb_gnn.data import Batch, BehaviorLog
from resemb_gnn.errors import InputError, shown
from resemb_gnn.nn import ItemEmbedding, as_item_embedding


def embedding_of(model: nn.Module) -> ItemEmbedding:
    """The item embedding of a model, its ``embedding``: one that asks for nothing if it has none.

    Raises:
        InputError: if it has no ``embedding_dim``.
    """
    embedding = getattr(model, "embedding", None)
    return as_item_embedding(embedding) if isinstance(embedding, nn.Module) else _NoEmbedding()


def embeddings_of(model: nn.Module) -> list[ItemEmbedding]:
    """All embeddings of a model that a run asks for folds and stages: that of the items first, then
    those that features have of their own (:attr:`~resemb_gnn.models.CTRModel.feature_embeddings`).

    Raises:
        InputError: if one has no ``embedding_dim``.
    """
    return [embedding_of(model), *getattr(model, "feature_embeddings", {}).values()]


def user_fold_of(model: nn.Module) -> Tensor | None:
    """The fold of each user that the embeddings of a model share, int64 ``[num_users]``, if one of
    them has folds.
    """
    folds = [one.user_fold for one in embeddings_of(model)]
    return next((fold for fold in folds if fold is not None), None)


class _NoEmbedding(ItemEmbedding):
    num_embeddings = None


_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")


def check_vocabulary(model: nn.Module, log: BehaviorLog) -> None:
    """Refuses a model of other items, or folds of other users, than the log's, and embeddings that
    deal the users out into other folds than each other.

    Raises:
        InputError: with both numbers, or the name of the feature.
    """
    items = embedding_of(model)
    if items.num_embeddings not in (None, log.num_items):
        raise InputError(
            f"the embedding (and its graph) has {items.num_embeddings} items, but the log"
            f" {log.num_items}"
        )
    user_fold = user_fold_of(model)
    for name, one in getattr(model, "feature_embeddings", {}).items():
        if user_fold is None or one.user_fold is None:
            continue
        if not torch.equal(one.user_fold.cpu(), user_fold.cpu()):
            raise InputError(
                f"the graph of {name!r} deals the users out into other folds than that of another"
                " embedding: build all with the same folds and seed, from one split"
            )
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


def suited(model: nn.Module, batch: Batch) -> Batch:
    """The batch as the model takes it: any module may be trained, and one that does not say so
    (``shares_history``) knows of no histories that several candidates share.
    """
    return batch if getattr(model, "shares_history", False) else batch.expanded()
