"""A comparison of a log in memory, and of embeddings and encoders of one's own."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
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
from resemb_gnn.settings.own_embeddings import own_embeddings

Builder = Callable[[Data, CompareSettings], nn.Module]


def compare(
    log: BehaviorLog,
    embeddings: Mapping[str, Builder | nn.Module | None],
    *,
    split: Split | str | None = None,
    name: str = "log",
    say: Callable[[str], None] = lambda line: None,
    **settings: Any,
) -> dict[str, Any]:
    """:func:`resemb_gnn.experiment.compare` of a log in memory, among whose embeddings may be some
    of one's own: the same examples, seeds, intervals and report for all.

    Runs with embeddings of one's own are made one after the other, in this process: others could
    not be given a function of a script or notebook.

    Args:
        log: the log.
        embeddings: by the names that the report has: ``None`` for the package's of that name; a
            function that is given the co-visit graph with node features and folds, and the
            settings, and returns an embedding, freshly drawn
            (:class:`~resemb_gnn.nn.ItemEmbedding`); or a module with PyG's call ``(x, edge_index,
            edge_weight) -> [num_nodes, num_centers]``, as the encoder of a
            :class:`~resemb_gnn.ResEmbedding` with the settings of ``gcn``, drawn anew in each run.
        split: the examples, how the log is split, or ``None`` as it is by default.
        name: what the report calls the log.
        say: called with a line of text on what happens.
        **settings: by name, as ``resemb-gnn compare --help`` has them: ``out``, ``seeds``,
            ``model``, ``baseline``, ``save_predictions`` and so on.

    Returns:
        The contents of results.json.

    Raises:
        InputError: as :func:`resemb_gnn.experiment.compare`; if a name is taken or no word, what is
            named is no embedding, or several jobs are asked for embeddings of one's own.
        TypeError: if there is no such setting.
    """
    check_log(log)
    own = {one: _builder(one, part) for one, part in embeddings.items() if part is not None}
    by = None if isinstance(split, Split) else split
    published = split if isinstance(split, Split) else None
    if published is not None and published.history.num_items != log.num_items:
        raise InputError(
            f"the split is of {published.history.num_items} items, but the log has {log.num_items}"
        )
    with own_embeddings(own):
        found = CompareSettings(data=name, embeddings=tuple(embeddings), split=by, **settings)
        if own and found.jobs not in ("1", "auto"):
            raise InputError(
                f"jobs={found.jobs}: runs with embeddings of one's own are made one after the other"
            )
        if own:
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
