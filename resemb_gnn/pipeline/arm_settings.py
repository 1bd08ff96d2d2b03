"""The settings of the embeddings: the one place where each has its name, default and meaning."""

from dataclasses import dataclass
from typing import Any

from resemb_gnn.nn import NORMALIZATIONS
from resemb_gnn.pipeline.flag import check_settings, flag

GROUP = "settings of the embeddings"


def _setting(default: Any, text: str, **options: Any) -> Any:
    return flag(default, text, group=GROUP, **options)


@dataclass(frozen=True, kw_only=True)
class ArmSettings:
    """What :data:`~resemb_gnn.pipeline.arms.ARMS` are built with; an arm reads what it needs.

    Raises:
        InputError: if a choice is unknown or a number out of range.
    """

    embedding_dim: int = _setting(32, "width of the item embeddings")
    num_centers: int = _setting(64, "number of centres (average: one an item)")
    temperature: float = _setting(1.0, "divides the logits of the centre weights")
    normalization: str = _setting(
        "softmax", "how logits become centre weights", choices=NORMALIZATIONS
    )
    heads: int = _setting(1, "groups of centres with weights of their own")
    center_std: float | None = _setting(
        None,
        "standard deviation of the centres at the start (default: 0.4; average: 0.01)",
        lowest=0,
    )
    residual_std: float = _setting(
        0.001, "standard deviation of the residuals at the start", lowest=0
    )
    shrinkage: float = _setting(
        1000.0,
        "residual of an item with n behaviours is scaled by n / (n + shrinkage); 0 for no scaling",
        lowest=0,
    )
    learn_shrinkage: bool = _setting(False, "learn the shrinkage from there on")
    residual_penalty: float = _setting(
        1.0, "penalty on the squared residuals of a batch's candidates", lowest=0
    )
    residual_max_norm: float | None = _setting(None, "cap on the norm of a residual")
    residual_max_ratio: float | None = _setting(
        None, "cap on that norm as a multiple of the central part's"
    )
    residual_lr: float = _setting(1.0, "factor on the residuals' learning rate")
    residual_decay: float = _setting(
        0.0, "decay of a residual for each step since its last update (AdamAR)", lowest=0
    )
    table_std: float = _setting(
        0.003, "standard deviation at the start of plain, its relatives and lightgcn", lowest=0
    )
    l2: float = _setting(0.1, "plain-l2: penalty on the squared rows of a batch's items", lowest=0)
    table_decay: float = _setting(
        1e-3, "adamar: decay of a row for each step since its last update", lowest=0
    )
    start_scale: float = _setting(0.1, "spectral-start: factor on the spectral features", lowest=0)
    num_layers: int = _setting(2, "lightgcn: number of propagations", highest=64)

    def __post_init__(self) -> None:
        check_settings(self)
