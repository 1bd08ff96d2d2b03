"""A comparison of a log in memory, and of embeddings, encoders and click models of one's own."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any

from torch import nn
from torch_geometric.data import Data

from resemb_gnn.data import BehaviorLog, Split
from resemb_gnn.datasets import DataSource
from resemb_gnn.errors import InputError
from resemb_gnn.experiment import comparison
from resemb_gnn.graph.covisit import check_log
from resemb_gnn.pipeline.embeddings import res_embedding
from resemb_gnn.settings import CompareSettings
from resemb_gnn.settings.own_embeddings import own_embeddings, own_models

Builder = Callable[[Data, CompareSettings], nn.Module]
ModelBuilder = Callable[..., nn.Module]


def compare(
    log: BehaviorLog,
    embeddings: Mapping[str, Builder | nn.Module | None],
    *,
    models: Mapping[str, ModelBuilder | None] | None = None,
    split: Split | str | None = None,
    name: str = "log",
    say: Callable[[str], None] = lambda line: None,
    **settings: Any,
) -> dict[str, Any]:
    """:func:`resemb_gnn.experiment.compare` of a log in memory, among whose embeddings and click
    models may be some of one's own: the same examples, seeds, intervals and report for all.

    Runs with parts of one's own are made one after the other, in this process: others could not be
    given a function of a script or notebook.

    Args:
        log: the log.
        embeddings: by the names that the report has: ``None`` for the package's of that name; a
            function that is given the co-visit graph with node features and folds, and the
            settings, and returns an embedding, freshly drawn
            (:class:`~resemb_gnn.nn.ItemEmbedding`); or a module with PyG's call ``(x, edge_index,
            edge_weight) -> [num_nodes, num_centers]``, as the encoder of a
            :class:`~resemb_gnn.ResEmbedding` with the settings of ``gcn``, drawn anew in each run.
        models: click models that each embedding is compared in, by name; that of the settings by
            default. ``None`` for the package's of that name, or what makes one, freshly drawn: a
            :class:`~resemb_gnn.models.CTRModel` class, or a function that is given the embedding
            and, by name, ``item_category`` and ``features`` (``None`` where the data have none or
            the settings leave them out) and returns a module that maps a
            :class:`~resemb_gnn.data.Batch` to logits ``[batch_size]``. With ``embed``, ``widths``
            or ``attention`` in the settings it is given these, too, as the package's are. Of
            several models what is compared is called ``"gcn in din"``, and differences are to the
            baseline in the first, unless that is named so as well.
        split: the examples, how the log is split, or ``None`` as it is by default.
        name: what the report calls the log.
        say: called with a line of text on what happens.
        **settings: by name, as ``resemb-gnn compare --help`` has them: ``out``, ``seeds``,
            ``model``, ``baseline``, ``save_predictions`` and so on.

    Returns:
        The contents of results.json.

    Raises:
        InputError: as :func:`resemb_gnn.experiment.compare`; if a name is taken or no word, what is
            named is no embedding or click model, or several jobs are asked for parts of one's own.
        TypeError: if there is no such setting.
    """
    check_log(log)
    own = {one: _builder(one, part) for one, part in embeddings.items() if part is not None}
    models = models or {}
    makers = {one: _maker(one, part) for one, part in models.items() if part is not None}
    by = None if isinstance(split, Split) else split
    published = split if isinstance(split, Split) else None
    if published is not None and published.history.num_items != log.num_items:
        raise InputError(
            f"the split is of {published.history.num_items} items, but the log has {log.num_items}"
        )
    with own_embeddings(own), own_models(makers):
        arms: dict[str, Any] = {"embeddings": tuple(embeddings), "models": tuple(models)}
        found = CompareSettings(data=name, split=by, **arms, **settings)
        if (own or makers) and found.jobs not in ("1", "auto"):
            raise InputError(
                f"jobs={found.jobs}: runs with parts of one's own are made one after the other"
            )
        if own or makers:
            found = replace(found, jobs="1")
        source = DataSource(name, "A log in memory.", log, published=published)
        return comparison.compare(found, say, source)


def _builder(name: str, part: Builder | nn.Module) -> Builder:
    """What makes an embedding of a part of one's own."""

    def build(graph: Data, settings: CompareSettings) -> nn.Module:
        if isinstance(part, nn.Module):
            return res_embedding(copy.deepcopy(part), "held", graph, settings, None)
        made = part(graph, settings)
        if not isinstance(made, nn.Module):
            raise InputError(f"what makes the embedding {name} returned {made!r}, no module")
        return made

    if not callable(part):
        raise InputError(f"the embedding {name} is {part!r}, neither a function nor an encoder")
    return build


def _maker(name: str, part: ModelBuilder) -> ModelBuilder:
    """What makes a click model of a part of one's own."""
    if not callable(part) or isinstance(part, nn.Module):
        raise InputError(f"the click model {name} is {part!r}, neither a class nor a function")

    @wraps(part)
    def make(embedding: nn.Module, **known: Any) -> nn.Module:
        made = part(embedding, **known)
        if not isinstance(made, nn.Module):
            raise InputError(f"what makes the click model {name} returned {made!r}, no module")
        return made

    return make
