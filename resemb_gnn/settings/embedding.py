"""Item embeddings by name, and their settings.

A name is two choices: where the shared part comes from, and what of its own an item keeps:
``gcn:held``, ``gcn:none``, ``plain:free``. The second has a default, so that ``gcn`` is
``gcn:held``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

from resemb_gnn.errors import InputError, did_you_mean, shown, unknown_choice
from resemb_gnn.settings.names import CENTER_NORMALIZATIONS, ENCODERS
from resemb_gnn.settings.setting import Settings, setting

GROUP = "settings of the embeddings"


def _setting(default: Any, text: str, **options: Any) -> Any:
    return setting(default, text, group=GROUP, rare=True, **options)


@dataclass(frozen=True, kw_only=True)
class EmbeddingSettings(Settings):
    """What the embeddings are built with; each reads those that :func:`settings_of` names.

    Raises:
        InputError: if a value is of another type, an unknown choice or out of range.
    """

    embedding_dim: int = _setting(32, "width of the item embeddings")
    num_centers: int = _setting(
        64,
        "number of centres (average: one an item; mlp: hidden units; semantic, semantic-prefix:"
        " codes a level)",
    )
    temperature: float = _setting(1.0, "divides the logits of the centre weights")
    normalization: str = _setting(
        "softmax",
        "how logits become centre weights",
        choices=CENTER_NORMALIZATIONS,
    )
    levels: int = _setting(3, "semantic, semantic-prefix: number of codes of an item", highest=16)
    heads: int = _setting(1, "groups of centres with weights of their own")
    center_std: float | None = _setting(
        None,
        "standard deviation of the centres at the start (default: 0.4; average: 0.01; mlp, linear,"
        " semantic-prefix, relu and signed weights: Glorot's)",
        lowest=0,
    )
    residual_std: float = _setting(
        0.001,
        "standard deviation of the residuals at the start",
        lowest=0,
    )
    shrinkage: float = _setting(
        1000.0,
        "residual of an item with n behaviours is scaled by n / (n + shrinkage); 0 for no scaling",
        lowest=0,
    )
    learn_shrinkage: bool = _setting(False, "learn the shrinkage from there on")
    residual_penalty: float = _setting(
        1.0,
        "penalty on the squared residuals of a batch's candidates",
        lowest=0,
    )
    residual_max_norm: float | None = _setting(None, "cap on the norm of a residual")
    residual_max_ratio: float | None = _setting(
        None, "cap on that norm as a multiple of the central part's"
    )
    residual_lr: float = _setting(1.0, "factor on the residuals' learning rate")
    residual_decay: float = _setting(
        0.0,
        "decay of a residual for each step since its last update (AdamAR)",
        lowest=0,
    )
    table_std: float = _setting(
        0.003,
        "standard deviation at the start of plain tables and lightgcn",
        lowest=0,
    )
    l2: float = _setting(
        0.1,
        "plain:l2: penalty on the squared rows of a batch's items",
        lowest=0,
    )
    table_decay: float = _setting(
        1e-3,
        "plain:adamar: decay of a row for each step since its last update",
        lowest=0,
    )
    start_scale: float = _setting(
        0.1,
        "plain:spectral, plain:item2vec, spectral, frozen: factor on the features",
        lowest=0,
    )
    item2vec_negatives: int = _setting(5, "plain:item2vec: negatives of a pair in its objective")
    num_layers: int = _setting(2, "lightgcn: number of propagations", highest=64)


@dataclass(frozen=True)
class Shared:
    """Where the shared part of an embedding comes from.

    Args:
        build: the function that builds it, or where it is defined: ``build(shared, own, graph,
            settings, item_category)`` returns an :class:`~resemb_gnn.nn.ItemEmbedding`, freshly
            drawn.
        own: what an item may keep of its own, by name, and the settings that each adds; the first
            is the default.
        reads: the settings that it reads whatever is kept.
        needs_category: whether it cannot do without categories of the items.
        reads_features: whether it reads the graph's node features, whatever was put into them.
    """

    build: str | Callable[..., Any]
    own: dict[str, tuple[str, ...]]
    reads: tuple[str, ...] = ()
    needs_category: bool = False
    reads_features: bool = False


_RESIDUAL = (
    "residual_std",
    "residual_max_norm",
    "residual_max_ratio",
    "residual_lr",
    "residual_decay",
)
_HOLD = ("shrinkage", "learn_shrinkage", "residual_penalty")
_HELD = (*_RESIDUAL, *_HOLD)


def _residuals(default: str = "held") -> dict[str, tuple[str, ...]]:
    """What may stand beside a shared part."""
    every = {"held": _HELD, "none": (), "free": _RESIDUAL, "staged": ("residual_std",)}
    return {default: every[default], **every}


_TABLES = {
    "free": ("table_std",),
    "l2": ("table_std", "l2"),
    "adamar": ("table_std", "table_decay"),
    "meda": ("table_std",),
    "spectral": ("table_std", "start_scale"),
    "item2vec": ("table_std", "start_scale", "item2vec_negatives"),
    "count": ("table_std",),
    # The residual alone, shrunk and penalised as beside centres; no central part to be a ratio of.
    "held": tuple(name for name in _HELD if name != "residual_max_ratio"),
}
_WEIGHTS = ("num_centers", "temperature", "normalization", "heads", "center_std")
_RES = "resemb_gnn.pipeline.embeddings:res_embedding"


def _of_features(*reads: str, default: str = "held") -> Shared:
    """A shared part made of node features, with residuals as :func:`_residuals` has them."""
    return Shared(_RES, _residuals(default), reads, reads_features=True)


_CODES = _of_features("num_centers", "levels", "center_std", default="none")
SHARED = {
    "plain": Shared("resemb_gnn.pipeline.embeddings:plain_table", _TABLES),
    "lightgcn": Shared(
        "resemb_gnn.pipeline.embeddings:lightgcn", {"free": ("table_std",)}, ("num_layers",)
    ),
    "category": Shared(_RES, _residuals(), ("center_std",), needs_category=True),
    "kmeans": _of_features("num_centers", "center_std"),
    **{name: _of_features(*_WEIGHTS) for name in ENCODERS},
    "average": Shared(_RES, _residuals(), ("center_std",)),  # one an item
    # Rivals of the centres over the same features; by themselves unless they are a table's start.
    "mlp": _of_features("num_centers", "center_std", default="none"),
    "linear": _of_features("center_std", default="none"),
    "frozen": _of_features("start_scale", default="none"),
    "spectral": _of_features("start_scale", default="free"),
    "semantic": _CODES,
    "semantic-prefix": _CODES,
}
"""Where shared parts come from. A new one is a line here, beside its own file."""


def split_name(name: str) -> tuple[str, str]:
    """The two choices that an embedding's name makes: shared part, and what an item keeps.

    Raises:
        InputError: if one of them is unknown, or they do not go together.
    """
    shared, colon, own = name.partition(":")
    if shared not in SHARED:
        raise unknown_choice(f"the embedding {shown(name)}", shared, SHARED)
    known = SHARED[shared].own
    own = own if colon else next(iter(known))
    if own not in known:
        raise InputError(
            f"the embedding {shown(name)} is unknown; {shared} may be followed by"
            f" {', '.join(f':{one}' for one in known)}{did_you_mean(own, known)}"
        )
    return shared, own


def embedding_name(name: str) -> str:
    """The one spelling of an embedding's name: ``gcn`` for ``gcn:held``.

    Raises:
        InputError: as :func:`split_name`.
    """
    shared, own = split_name(name)
    return shared if own == next(iter(SHARED[shared].own)) else f"{shared}:{own}"


def embedding_names() -> list[str]:
    """Every embedding."""
    return [embedding_name(f"{name}:{own}") for name, one in SHARED.items() for own in one.own]


def settings_of(name: str) -> list[str]:
    """The settings that an embedding reads, besides its width, in the order of the help."""
    shared, own = split_name(name)
    read = {*SHARED[shared].reads, *SHARED[shared].own[own]}
    return [spec.name for spec in fields(EmbeddingSettings) if spec.name in read]


def refuse_unread(names: Iterable[str], embeddings: Iterable[str]) -> None:
    """Refuses settings of embeddings that none of the ``embeddings`` reads.

    Raises:
        InputError: naming the first of them.
    """
    embeddings = list(embeddings)
    read = {"embedding_dim"}.union(*map(settings_of, embeddings))
    own = {spec.name for spec in fields(EmbeddingSettings)}
    for name in names:
        if name in own - read:
            known = ", ".join(sorted(read))
            which = "which reads" if len(embeddings) == 1 else "which read"
            raise InputError(f"{name} is not read by {' or '.join(embeddings)}, {which} {known}")


def changed(settings: EmbeddingSettings) -> list[str]:
    """The settings of embeddings that are not at their defaults."""
    return [
        spec.name
        for spec in fields(EmbeddingSettings)
        if getattr(settings, spec.name) != spec.default
    ]
