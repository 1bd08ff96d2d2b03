"""Training by the settings, from the log to a model that can be saved."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch_geometric.data import Data

from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.pipeline.facts import describe_data, training_figures, versions
from resemb_gnn.pipeline.task import fit_with, read_task
from resemb_gnn.pipeline.tensorboard import TensorBoard
from resemb_gnn.saved.extended import without_rows
from resemb_gnn.saved.histories import Histories
from resemb_gnn.saved.trained_model import TrainedModel
from resemb_gnn.settings import FitSettings
from resemb_gnn.training import check_device, is_first
from resemb_gnn.training.helpers import check_processes
from resemb_gnn.training.threads import limited_threads


def train(
    settings: FitSettings | None = None,
    *,
    checkpoints: str | Path | None = None,
    log: Callable[[str], None] = lambda line: None,
    **changes: Any,
) -> TrainedModel:
    """Reads the data, builds the graph and trains one model, in one process on as many threads as
    PyTorch is set to unless the settings say otherwise.

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
    check_processes(settings.processes, check_device(settings.device), settings.compile)
    if checkpoints is not None and is_first():
        shared_folder(checkpoints)
    board = None if settings.tensorboard is None else TensorBoard(settings.tensorboard)
    task = read_task(settings, [settings.embedding])
    assert isinstance(task.settings, FitSettings)
    settings = task.settings
    log(str(task.source))
    log(str(task))
    model = task.make_model(settings.embedding, settings, settings.seed)
    with limited_threads(settings.threads):
        result = fit_with(
            settings,
            model,
            task.split,
            seed=settings.seed,
            on_epoch=board,
            checkpoints=checkpoints,
            resume=settings.resume,
            processes=settings.processes,
        )
    source = task.source
    figures = training_figures(result)
    del figures["seconds_per_epoch"]  # of the machine's: equal models have equal facts
    return TrainedModel(
        model=model,
        settings=settings,
        item_ids=source.log.item_ids,
        item_category=source.log.item_category,
        category_ids=source.log.category_ids,
        graph=_without_folds(task.graph),
        histories=Histories.of(source.log, settings.max_history),
        features=without_rows(task.features),
        feature_graphs={name: _without_folds(one) for name, one in task.feature_graphs.items()},
        facts={
            "data": describe_data(source, task.split)
            | {"log_until": source.log.times.max().item()},
            "figures": figures,
            "versions": versions(),
        },
    )


def _without_folds(graph: Data) -> Data:
    names = ("x", "edge_index", "edge_weight", "count", "content", "num_nodes")
    return Data(**{name: graph.get(name) for name in names})
