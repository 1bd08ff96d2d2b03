"""The embeddings that :mod:`resemb_gnn.settings.embedding` names, built."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from typing import Any

from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn.data import Features
from resemb_gnn.errors import InputError
from resemb_gnn.graph import NodeFeatures, SpectralFeatures
from resemb_gnn.graph.count_feature import counts_alone
from resemb_gnn.models import CTRModel
from resemb_gnn.nn import (
    FeatureEncoder,
    HardEncoder,
    LightGCNEmbedding,
    PlainEmbedding,
    ResEmbedding,
    ResidualOptions,
    SemanticEncoder,
    TableOptions,
)
from resemb_gnn.settings.embedding import SHARED, EmbeddingSettings, split_name
from resemb_gnn.settings.names import MODELS, find
from resemb_gnn.settings.shared import TrainingSettings

# Of 12,000 items, each with a last prefix of its own, a sixth share a centre with another's.
_PREFIX_BITS = 16


def make_embedding(
    name: str, graph: Data, settings: EmbeddingSettings, item_category: Tensor | None = None
) -> nn.Module:
    """An embedding by name, freshly drawn.

    Args:
        name: such as ``"gcn"``, ``"sign:staged"`` or ``"plain:l2"``.
        graph: co-visit graph with node features.
        settings: what to build it with.
        item_category: category of each item, int64 ``[num_items]``.

    Raises:
        InputError: if the name is unknown, the embedding needs categories and there are none, or a
            setting does not fit.
    """
    shared, own = split_name(name)
    if SHARED[shared].needs_category and item_category is None:
        raise InputError(f"the embedding {name!r} needs the items' categories")
    build = SHARED[shared].build
    make = find(build) if isinstance(build, str) else build
    built: nn.Module = make(shared, own, graph, settings, item_category)
    return built


def make_feature_embeddings(
    embedded: Mapping[str, str],
    graphs: Mapping[str, Data],
    settings: EmbeddingSettings,
    widths: Mapping[str, int],
    groups: Mapping[str, Tensor] | None = None,
) -> dict[str, nn.Module]:
    """The embeddings that features have of their own, freshly drawn, by the features' names.

    Args:
        embedded: names of embeddings by feature.
        graphs: co-visit graph with node features of each feature's values.
        settings: what to build them with.
        widths: their widths by feature, where they are not as wide as the items'.
        groups: group of each value, int64 ``[num_values]``, where an embedding asks for such.

    Raises:
        InputError: as :func:`make_embedding`.
    """
    return {
        feature: make_embedding(
            name,
            graphs[feature],
            replace(settings, embedding_dim=widths.get(feature, settings.embedding_dim)),
            (groups or {}).get(feature),
        )
        for feature, name in embedded.items()
    }


def make_model(
    name: str,
    embedding: nn.Module,
    item_category: Tensor | None,
    features: Features | None = None,
    widths: Mapping[str, int] | None = None,
    embed: Mapping[str, nn.Module] | None = None,
    attention: str = TrainingSettings.attention,
) -> CTRModel:
    """The click model ``name`` (one of :data:`~resemb_gnn.settings.names.MODELS`) around it, with
    what is known of items, users and context, widths of these features' embeddings by name,
    embeddings for categories of the items, and the normalisation of DIN's attention.

    Raises:
        InputError: if a width or an embedding is named for a feature that cannot have it, or the
            model's features are all of one width, or it has no such attention.
    """
    options: dict[str, Any] = {"item_category": item_category, "features": features}
    if embed:
        options["embed"] = embed
        widths = {one: width for one, width in (widths or {}).items() if one not in embed}
    model: CTRModel = find(MODELS[name])(
        embedding, **options, **model_options(name, widths, attention)
    )
    return model


def model_options(
    name: str, widths: Mapping[str, int] | None, attention: str = TrainingSettings.attention
) -> dict[str, Any]:
    """Widths, and a normalisation of attention that is not the default, as options of the click
    model ``name``; none if there are none.

    Raises:
        InputError: if the model takes no such option.
    """
    known = signature(find(MODELS[name])).parameters
    found: dict[str, Any] = {}
    if widths:
        if "widths" not in known:
            raise InputError(f"{name} has features as wide as the items: leave out their widths")
        found["widths"] = widths
    if attention != TrainingSettings.attention:
        if "attention_normalization" not in known:
            raise InputError(f"attention={attention}: {name} has no attention of DIN's kind")
        found["attention_normalization"] = attention
    return found


def plain_table(
    shared: str, own: str, graph: Data, settings: EmbeddingSettings, item_category: Tensor | None
) -> nn.Module:
    """A table with one row an item, trained or started as ``own`` says."""
    if own == "held":
        return _residual_alone(graph, settings)
    if own == "count":
        return _beside_counts(graph, settings)
    options: dict[str, Any] = {"std": settings.table_std}
    if own == "l2":
        options["l2"] = settings.l2
    elif own == "adamar":
        options["options"] = TableOptions(decay=settings.table_decay)
    elif own == "meda":
        options["options"] = TableOptions(renew=True)
    elif own == "spectral":
        made = graph.x is not None and graph.get("content") is None  # spectral alone
        if not made or graph.x.size(1) != settings.embedding_dim:
            graph = NodeFeatures(settings.embedding_dim)(copy.copy(graph))
        options["start"] = settings.start_scale * graph.x
    elif own == "item2vec":
        options["start"] = settings.start_scale * _item2vec(graph, settings)
    return PlainEmbedding(int(graph.num_nodes or 0), settings.embedding_dim, **options)


def _item2vec(graph: Data, settings: EmbeddingSettings) -> Tensor:
    """Vectors by item2vec's objective in Levy and Goldberg's closed form, of the full graph."""
    pairs = Data(
        edge_index=graph.edge_index, edge_weight=graph.edge_weight, num_nodes=graph.num_nodes
    )
    negatives = settings.item2vec_negatives
    make = SpectralFeatures(settings.embedding_dim, negatives=negatives, smoothing=0.75)
    vectors: Tensor = make(pairs).x
    return vectors


def lightgcn(
    shared: str, own: str, graph: Data, settings: EmbeddingSettings, item_category: Tensor | None
) -> nn.Module:
    """A table that is propagated over the graph."""
    return LightGCNEmbedding(
        graph, settings.embedding_dim, settings.num_layers, std=settings.table_std
    )


def res_embedding(
    shared: str | nn.Module,
    own: str,
    graph: Data,
    settings: EmbeddingSettings,
    item_category: Tensor | None,
) -> nn.Module:
    """What items share by ``shared`` (or an encoder itself), with a residual as ``own`` says."""
    options = _shared_arguments(shared, graph, settings, item_category)
    options |= residual_arguments(own, settings) | {"center_std": settings.center_std}
    embedding = ResEmbedding(graph, settings.embedding_dim, **options)
    if own == "none":
        embedding.residual.requires_grad_(False)
    return embedding


def _shared_arguments(
    shared: str | nn.Module, graph: Data, settings: EmbeddingSettings, item_category: Tensor | None
) -> dict[str, Any]:
    """The arguments of :class:`~resemb_gnn.ResEmbedding` that say what items share."""
    match shared:
        case "category":
            assert item_category is not None
            return {"encoder": HardEncoder(graph, item_category)}
        case "kmeans":
            return {"encoder": HardEncoder.kmeans(graph, settings.num_centers)}
        case "semantic" | "semantic-prefix":
            sizes = (settings.num_centers, settings.levels)
            bits = _PREFIX_BITS if shared == "semantic-prefix" else None
            return {"encoder": SemanticEncoder(graph, *sizes, prefix_bits=bits)}
        case "average":
            return {"encoder": "average", "num_centers": None}  # one an item
        case "mlp":
            return {"encoder": "mlp", "num_centers": settings.num_centers}
        case "linear":
            return {"encoder": FeatureEncoder(graph, constant=True)}
        case "frozen" | "spectral":
            encoder = FeatureEncoder(graph, hops=2 if shared == "frozen" else 0)
            centers = settings.start_scale * encoder.projection(settings.embedding_dim)
            return {"encoder": encoder, "fixed_centers": centers}
    return {
        "encoder": shared,
        "num_centers": settings.num_centers,
        "temperature": settings.temperature,
        "normalization": settings.normalization,
        "heads": settings.heads,
    }


def residual_arguments(own: str, settings: EmbeddingSettings) -> dict[str, Any]:
    """The arguments of :class:`~resemb_gnn.ResEmbedding` that say what an item keeps of its own."""
    if own == "none":
        return {"residual_std": 0.0, "residual_penalty": 0.0, "shrinkage": None}
    free = {"residual_std": settings.residual_std, "residual_penalty": 0.0, "shrinkage": None}
    if own == "staged":  # what the centres leave is learnt freely: early stopping alone bounds it
        return free | {"residual_options": ResidualOptions(staged=True)}
    options = ResidualOptions(
        learn_shrinkage=own == "held" and settings.learn_shrinkage,
        max_norm=settings.residual_max_norm,
        max_ratio=settings.residual_max_ratio,
        lr_scale=settings.residual_lr,
        decay=settings.residual_decay,
    )
    if own == "held":
        free |= {
            "residual_penalty": settings.residual_penalty,
            "shrinkage": settings.shrinkage or None,
        }
    return free | {"residual_options": options}


def _beside_counts(graph: Data, settings: EmbeddingSettings) -> ResEmbedding:
    """A table and, added to its rows, the items' log counts times a learnt vector."""
    graph = counts_alone(graph)
    return ResEmbedding(
        graph,
        settings.embedding_dim,
        encoder=FeatureEncoder(graph, hops=0),
        center_std=0.0,
        residual_std=settings.table_std,
        residual_penalty=0.0,
        shrinkage=None,
    )


def _residual_alone(graph: Data, settings: EmbeddingSettings) -> ResEmbedding:
    """The residual of ``gcn:held`` around a single centre at zero."""
    options = residual_arguments("held", replace(settings, residual_max_ratio=None))
    embedding = ResEmbedding(
        graph, settings.embedding_dim, num_centers=1, center_std=0.0, **options
    )
    embedding.centers.requires_grad_(False)
    embedding.encoder.requires_grad_(False)
    return embedding
