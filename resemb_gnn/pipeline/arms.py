"""What is compared: embeddings, graphs and models by name."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn.errors import InputError
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.models import DIEN, DIN, PNN, PooledMLP, WideDeep
from resemb_gnn.nn import (
    NORMALIZATIONS,
    HardEncoder,
    LightGCNEmbedding,
    PlainEmbedding,
    ResEmbedding,
    ResidualOptions,
    TableOptions,
)
from resemb_gnn.pipeline.arm_settings import ArmSettings

GRAPHS = ("covisit", "permuted", "permuted-with-counts")


@dataclass(frozen=True)
class Range:
    """Where a number is searched: from ``low`` to ``high``, evenly in its logarithm if ``log``."""

    low: float
    high: float
    log: bool = True


Space = Range | tuple[Any, ...]
Build = Callable[[Data, ArmSettings, Tensor | None], nn.Module]


@dataclass(frozen=True)
class Arm:
    """An embedding to compare.

    Args:
        build: makes it, freshly drawn, from the graph with node features, the settings and the
            items' categories (``None`` where there are none).
        settings: what it reads of the settings, besides the width, each with where to search it:
            a range or a tuple of choices. Their defaults are those of
            :class:`~resemb_gnn.experiment.CompareSettings`.
        tuned: the few of them that are worth searching first.
        needs_category: whether it cannot do without categories.
    """

    build: Build
    settings: dict[str, Space]
    tuned: tuple[str, ...] = ("lr",)
    needs_category: bool = False


def _table(
    graph: Data, settings: ArmSettings, category: Tensor | None, **options: Any
) -> PlainEmbedding:
    size = int(graph.num_nodes or 0)
    return PlainEmbedding(size, settings.embedding_dim, std=settings.table_std, **options)


def _plain_l2(graph: Data, settings: ArmSettings, category: Tensor | None) -> nn.Module:
    return _table(graph, settings, category, l2=settings.l2)


def _adamar(graph: Data, settings: ArmSettings, category: Tensor | None) -> nn.Module:
    return _table(graph, settings, category, options=TableOptions(decay=settings.table_decay))


def _meda(graph: Data, settings: ArmSettings, category: Tensor | None) -> nn.Module:
    return _table(graph, settings, category, options=TableOptions(renew=True))


def _spectral_start(graph: Data, settings: ArmSettings, category: Tensor | None) -> nn.Module:
    if graph.x is None or graph.x.size(1) != settings.embedding_dim:
        graph = NodeFeatures(settings.embedding_dim)(copy.copy(graph))
    return _table(graph, settings, category, start=settings.start_scale * graph.x)


def res_embedding(
    graph: Data,
    settings: ArmSettings,
    category: Tensor | None = None,
    encoder: str | nn.Module = "gcn",
    **changes: Any,
) -> ResEmbedding:
    """A Res-embedding with these settings, but for the ``changes``."""
    options: dict[str, Any] = {
        "num_centers": settings.num_centers,
        "temperature": settings.temperature,
        "normalization": settings.normalization,
        "heads": settings.heads,
        "center_std": settings.center_std,
        "residual_std": settings.residual_std,
        "shrinkage": settings.shrinkage or None,
        "residual_penalty": settings.residual_penalty,
        "residual_options": ResidualOptions(
            learn_shrinkage=settings.learn_shrinkage,
            max_norm=settings.residual_max_norm,
            max_ratio=settings.residual_max_ratio,
            lr_scale=settings.residual_lr,
            decay=settings.residual_decay,
        ),
    }
    return ResEmbedding(graph, settings.embedding_dim, encoder=encoder, **(options | changes))


# What goes with softmax only: centres that no logits choose.
_NO_LOGITS: dict[str, Any] = {"normalization": "softmax", "heads": 1}


def _average(graph: Data, settings: ArmSettings, category: Tensor | None) -> nn.Module:
    return res_embedding(graph, settings, category, "average", num_centers=None, **_NO_LOGITS)


def _gat(graph: Data, settings: ArmSettings, category: Tensor | None) -> nn.Module:
    return res_embedding(graph, settings, category, "gat")


def _gcn_skip(graph: Data, settings: ArmSettings, category: Tensor | None) -> nn.Module:
    return res_embedding(graph, settings, category, "gcn-skip")


def _category(graph: Data, settings: ArmSettings, category: Tensor | None) -> nn.Module:
    if category is None:
        raise InputError("the embedding 'category' needs the items' categories")
    return res_embedding(graph, settings, category, HardEncoder(graph, category), **_NO_LOGITS)


def _kmeans(graph: Data, settings: ArmSettings, category: Tensor | None) -> nn.Module:
    encoder = HardEncoder.kmeans(graph, settings.num_centers)
    return res_embedding(graph, settings, category, encoder, **_NO_LOGITS)


def _lightgcn(graph: Data, settings: ArmSettings, category: Tensor | None) -> nn.Module:
    return LightGCNEmbedding(
        graph, settings.embedding_dim, settings.num_layers, std=settings.table_std
    )


def _staged(encoder: str) -> Build:
    # What the centres leave is learnt freely: early stopping alone bounds it.
    free: dict[str, Any] = {
        "residual_penalty": 0.0,
        "shrinkage": None,
        "residual_options": ResidualOptions(staged=True),
    }

    def build(graph: Data, settings: ArmSettings, category: Tensor | None) -> nn.Module:
        return res_embedding(graph, settings, category, encoder, **free)

    return build


def _centers_only(encoder: str) -> Build:
    none: dict[str, Any] = {
        "residual_std": 0.0,
        "residual_penalty": 0.0,
        "shrinkage": None,
        "residual_options": None,
    }

    def build(graph: Data, settings: ArmSettings, category: Tensor | None) -> nn.Module:
        embedding = res_embedding(graph, settings, category, encoder, **none)
        embedding.residual.requires_grad_(False)
        return embedding

    return build


def _residual_only(graph: Data, settings: ArmSettings, category: Tensor | None) -> nn.Module:
    settings = replace(settings, residual_max_ratio=None)  # of a central part that is zero
    embedding = res_embedding(
        graph, settings, category, num_centers=1, center_std=0.0, temperature=1.0, **_NO_LOGITS
    )
    embedding.centers.requires_grad_(False)
    embedding.encoder.requires_grad_(False)
    return embedding


_LR: dict[str, Space] = {"lr": Range(3e-4, 3e-3)}
_TABLE: dict[str, Space] = {**_LR, "table_std": Range(1e-4, 0.3)}
_RESIDUAL: dict[str, Space] = {
    "residual_std": Range(1e-4, 0.1),
    "shrinkage": Range(10, 3000),
    "learn_shrinkage": (False, True),
    "residual_penalty": Range(0.1, 20),
    "residual_max_norm": Range(0.01, 1),
    "residual_max_ratio": Range(0.01, 1),
    "residual_lr": Range(0.01, 1),
    "residual_decay": Range(1e-5, 1e-2),
}
_NUM_CENTERS: dict[str, Space] = {"num_centers": (8, 16, 32, 64, 128, 256, 512, 1024)}
_CENTER_STD: dict[str, Space] = {"center_std": Range(1e-3, 1)}
_WEIGHTS: dict[str, Space] = {
    "temperature": Range(0.1, 1),
    "normalization": NORMALIZATIONS,
    "heads": (1, 2, 4, 8),
}
_SOFT = _LR | _NUM_CENTERS | _WEIGHTS | _CENTER_STD
_STAGED = _SOFT | {"residual_std": _RESIDUAL["residual_std"]}
_TUNED_CENTERS = ("lr", "num_centers", "temperature", "center_std")
_TUNED = ("lr", "num_centers", "temperature", "shrinkage", "residual_penalty")

ARMS: dict[str, Arm] = {
    "plain": Arm(_table, _TABLE, ("lr", "table_std")),
    "plain-l2": Arm(_plain_l2, _TABLE | {"l2": Range(1e-3, 30)}, ("lr", "l2")),
    "adamar": Arm(_adamar, _TABLE | {"table_decay": Range(1e-5, 1e-1)}, ("lr", "table_decay")),
    "meda": Arm(_meda, _TABLE, ("lr", "table_std")),
    "spectral-start": Arm(
        _spectral_start, _TABLE | {"start_scale": Range(3e-3, 1)}, ("lr", "start_scale")
    ),
    "category": Arm(
        _category,
        _LR | _CENTER_STD | _RESIDUAL,
        ("lr", "shrinkage", "residual_penalty"),
        needs_category=True,
    ),
    "kmeans": Arm(
        _kmeans,
        _LR | _NUM_CENTERS | _CENTER_STD | _RESIDUAL,
        ("lr", "num_centers", "shrinkage", "residual_penalty"),
    ),
    "average": Arm(
        _average, _LR | _CENTER_STD | _RESIDUAL, ("lr", "center_std", "residual_penalty")
    ),
    "gcn": Arm(res_embedding, _SOFT | _RESIDUAL, _TUNED),
    "gcn-staged": Arm(_staged("gcn"), _STAGED, _TUNED_CENTERS),
    "gat": Arm(_gat, _SOFT | _RESIDUAL, _TUNED),
    "gcn-skip": Arm(_gcn_skip, _SOFT | _RESIDUAL, _TUNED),
    "gcn-skip-staged": Arm(_staged("gcn-skip"), _STAGED, _TUNED_CENTERS),
    "lightgcn": Arm(
        _lightgcn, _TABLE | {"num_layers": (1, 2, 3)}, ("lr", "num_layers", "table_std")
    ),
    "centers-only": Arm(_centers_only("gcn"), _SOFT, _TUNED_CENTERS),
    "gcn-skip-centers-only": Arm(_centers_only("gcn-skip"), _SOFT, _TUNED_CENTERS),
    "residual-only": Arm(
        _residual_only,
        {key: space for key, space in (_LR | _RESIDUAL).items() if key != "residual_max_ratio"},
        ("lr", "shrinkage", "residual_penalty"),
    ),
}
EMBEDDINGS = tuple(ARMS)


def make_embedding(
    name: str, graph: Data, settings: ArmSettings, item_category: Tensor | None = None
) -> nn.Module:
    """The embedding of an arm, freshly drawn.

    Args:
        name: one of ``EMBEDDINGS``.
        graph: co-visit graph with node features.
        settings: what to build it with.
        item_category: category of each item, int64 ``[num_items]``.

    Raises:
        InputError: if the arm needs categories and there are none, or a setting does not fit.
    """
    return ARMS[name].build(graph, settings, item_category)


_MODELS: dict[str, Callable[..., nn.Module]] = {
    "din": DIN,
    "dien": DIEN,
    "pooled-mlp": PooledMLP,
    "wide-deep": WideDeep,
    "pnn": PNN,
}
MODELS = tuple(_MODELS)


def make_model(name: str, embedding: nn.Module, item_category: Tensor | None) -> nn.Module:
    """The click model ``name`` (one of ``MODELS``) around an embedding."""
    return _MODELS[name](embedding, item_category=item_category)
