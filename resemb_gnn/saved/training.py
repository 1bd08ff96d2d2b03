"""Training by the settings, from the log to a model that can be saved."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch_geometric.data import Data

from resemb_gnn.experiment.results import describe_data, training_figures, versions
from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.models import CTRModel
from resemb_gnn.pipeline.arms import make_embedding, make_model
from resemb_gnn.pipeline.fit_settings import FitSettings
from resemb_gnn.pipeline.steps import fit_with, load_split, make_graph
from resemb_gnn.pipeline.tensorboard import TensorBoard
from resemb_gnn.saved.histories import Histories
from resemb_gnn.saved.trained_model import TrainedModel
from resemb_gnn.training import check_device, is_first


def train(
    settings: FitSettings | None = None,
    *,
    checkpoints: str | Path | None = None,
    log: Callable[[str], None] = lambda line: None,
    **changes: Any,
) -> TrainedModel:
    """Reads the data, builds the graph and trains one model.

    Args:
        settings: what to train; the defaults if ``None``.
        checkpoints: folder of checkpoints, as :func:`~resemb_gnn.fit` has it; with
            ``settings.resume`` the run goes on from there.
        log: called with a line of text on what happens.
        **changes: settings by name, in place of those of ``settings``: ``train(data="log.csv",
            user="user_id", item="item_id", time="ts", embedding="gat")``.

    Raises:
        InputError: if the data or a setting cannot be used, or no checkpoint can be written.
        TypeError: if there is no such setting.
    """
    settings = replace(settings or FitSettings(), **changes)
    if not is_first():  # of several processes, one shows and writes
        settings = replace(settings, quiet=True, tensorboard=None)
    check_device(settings.device)
    if checkpoints is not None and is_first():
        shared_folder(checkpoints)
    board = None if settings.tensorboard is None else TensorBoard(settings.tensorboard)
    source, split = load_split(settings, [settings.embedding])
    graph = make_graph(source, split, settings)
    log(f"{source.name}: {source.log}")
    log(f"{split}, graph: {graph.num_nodes} items, {graph.edge_index.size(1) // 2} edges")
    torch.manual_seed(settings.seed)
    category = source.log.item_category
    embedding = make_embedding(settings.embedding, graph, settings, category)
    model = make_model(settings.model, embedding, category if settings.use_category else None)
    result = fit_with(
        settings,
        model,
        split,
        seed=settings.seed,
        on_epoch=board,
        checkpoints=checkpoints,
        resume=settings.resume,
    )
    figures = training_figures(result)
    del figures["seconds_per_epoch"]  # of the machine's: equal models have equal facts
    return TrainedModel(
        model=cast(CTRModel, result.model),
        settings=settings,
        item_ids=source.log.item_ids,
        item_category=category,
        category_ids=source.log.category_ids,
        graph=_without_folds(graph),
        histories=Histories.of(source.log, settings.max_history),
        facts={
            "data": describe_data(source, split),
            "figures": figures,
            "versions": versions(),
        },
    )


def _without_folds(graph: Data) -> Data:
    names = ("x", "edge_index", "edge_weight", "count", "num_nodes")
    return Data(**{name: graph[name] for name in names})
