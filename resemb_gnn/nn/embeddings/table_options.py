"""How an embedding wants its tables to be trained."""

from dataclasses import dataclass

from resemb_gnn.errors import InputError


@dataclass(frozen=True)
class TableOptions:
    """What :class:`~resemb_gnn.training.ModelAdam` does with one parameter of a module.

    An :class:`~resemb_gnn.nn.ItemEmbedding` names its parameters and their options in ``tables``.

    Args:
        lr_scale: factor on the learning rate.
        decay: decay of a row for each step since its last update, by
            :class:`~resemb_gnn.training.AdamAR`; 0 for plain Adam.
        renew: draw the table anew, by the module's ``reset_parameters()``, at the start of every
            epoch but the first.

    Raises:
        InputError: if ``lr_scale`` is not above 0, or ``decay`` below 0.
    """

    lr_scale: float = 1.0
    decay: float = 0.0
    renew: bool = False

    def __post_init__(self) -> None:
        if not self.lr_scale > 0:
            raise InputError(f"lr_scale must be above 0, not {self.lr_scale}")
        if not self.decay >= 0:
            raise InputError(f"decay must be at least 0, not {self.decay}")
