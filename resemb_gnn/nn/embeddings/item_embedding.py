"""What an item embedding offers to models, training, saving and export."""

from typing import Any

import torch
from torch import Tensor, nn

from resemb_gnn.errors import InputError
from resemb_gnn.nn.embeddings.table_options import TableOptions
from resemb_gnn.nn.layers.own_precision import in_own_precision


class ItemEmbedding(nn.Module):
    """Base class of item embeddings: item ids in, vectors out, and what else the rest asks for.

    A subclass sets ``num_embeddings`` and ``embedding_dim`` and writes :meth:`forward`; everything
    else has a default and is overridden by who has more to say. So a table of one's own gets
    gradients for the rows of a batch alone by naming it in :attr:`tables`, batches of one fold by
    setting ``user_fold``, a term of the loss by :meth:`penalty`. Any other module, such as
    ``torch.nn.Embedding``, is taken for one by :func:`as_item_embedding`.

    Attributes:
        num_embeddings: number of items; ``None`` where a stranger's module does not tell.
        embedding_dim: width of the embeddings.
        user_fold: fold of each user, int64 ``[num_users]``, if training examples of a user are to
            be embedded with ``fold=`` (:func:`~resemb_gnn.covisit_graph`); ``None`` without folds.
        penalizes_history: hand every item of a batch to :meth:`penalty`, not only its candidates.
        sparse: give the :attr:`tables` sparse gradients; set by the optimiser.

    Shapes:
        - **input:** item ids, int64 ``[*]``; fold, int or ``None``
        - **output:** embeddings ``[*, embedding_dim]``
    """

    num_embeddings: int | None
    embedding_dim: int
    user_fold: Tensor | None
    penalizes_history = False
    sparse: bool

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sparse = False
        self.register_buffer("user_fold", None, persistent=False)

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        raise NotImplementedError

    def penalty(self, ids: Tensor) -> Tensor | None:
        """A term of the loss (a scalar) for the items ``ids`` (``[*]``) of a batch, or ``None``."""
        return None

    @property
    def tables(self) -> dict[str, TableOptions]:
        """The parameters with a row an item, by name, and how each is trained: their gradients are
        sparse if :attr:`sparse` is set. None by default.
        """
        return {}

    def release_residual(self) -> bool:
        """Starts the next stage of a staged training, when the one before has ended: returns
        whether there was one. An optimiser that was made before does not know what it releases.
        """
        return False

    @property
    def item_groups(self) -> Tensor | None:
        """Group of each item, int64 ``[num_embeddings]``, if they were dealt out from outside: what
        a saved model keeps of them, as it could not be made again. ``None`` by default.
        """
        return None

    @torch.no_grad()
    @in_own_precision
    def materialize(self) -> nn.Embedding:
        """A plain ``torch.nn.Embedding`` that holds the same rows, for serving.

        Raises:
            InputError: if the number of items is not known.
        """
        if self.num_embeddings is None:
            raise InputError(f"{self._get_name()} does not tell its number of items")
        parameter = next(self.parameters(), None)
        device = None if parameter is None else parameter.device
        ids = torch.arange(self.num_embeddings, device=device)
        rows = torch.cat([self(part) for part in ids.split(8192)])
        return nn.Embedding.from_pretrained(rows, freeze=False)


class _Adapted(ItemEmbedding):
    """A stranger's module seen as an :class:`ItemEmbedding`; it stays as it is and is no child."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        object.__setattr__(self, "module", module)
        width = getattr(module, "embedding_dim", None)
        if not isinstance(width, int):
            raise InputError(f"{type(module).__name__} has no embedding_dim")
        size = getattr(module, "num_embeddings", None)
        self.embedding_dim = width
        self.num_embeddings = size if isinstance(size, int) else None
        self.user_fold = getattr(module, "user_fold", None)
        self.penalizes_history = getattr(module, "penalizes_history", False)

    module: nn.Module

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        # Only a module that knows folds (it has user_fold) is trained on batches of one.
        found: Tensor = self.module(ids) if fold is None else self.module(ids, fold=fold)
        return found

    def penalty(self, ids: Tensor) -> Tensor | None:
        own = getattr(self.module, "penalty", None)
        found: Tensor | None = None if own is None else own(ids)
        return found

    @property
    def tables(self) -> dict[str, TableOptions]:
        if isinstance(self.module, nn.Embedding):
            return {"weight": TableOptions()}
        found: dict[str, TableOptions] = getattr(self.module, "tables", {})
        return found

    def release_residual(self) -> bool:
        own = getattr(self.module, "release_residual", None)
        return own is not None and bool(own())

    def parameters(self, recurse: bool = True) -> Any:
        return self.module.parameters(recurse)

    def _get_name(self) -> str:
        return type(self.module).__name__


def as_item_embedding(module: nn.Module) -> ItemEmbedding:
    """The module itself if it is an :class:`ItemEmbedding`, and otherwise a view of it as one.

    Any module with ``embedding_dim`` that maps item ids ``[*]`` to ``[*, embedding_dim]`` will do;
    of what else an :class:`ItemEmbedding` has, it offers what it has.

    Raises:
        InputError: if it has no ``embedding_dim``.
    """
    return module if isinstance(module, ItemEmbedding) else _Adapted(module)


def check_rows(name: str, rows: Tensor | None, *shape: int) -> None:
    """Refuses rows that are given for a table, if there are any, of another shape.

    Raises:
        InputError: if they have it, or hold a value that is not finite.
    """
    if rows is None:
        return
    if rows.shape != shape:
        raise InputError(f"{name} has shape {list(rows.shape)}, not {list(shape)}")
    if not bool(rows.isfinite().all()):
        raise InputError(f"{name} holds a value that is not finite")
