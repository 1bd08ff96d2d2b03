"""How high a run ranks what users went on to: the ranking of a comparison's runs."""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from resemb_gnn.data import Examples
from resemb_gnn.errors import InputError
from resemb_gnn.models import CTRModel
from resemb_gnn.pipeline.task import Task
from resemb_gnn.settings import CompareSettings
from resemb_gnn.training import Ranking, evaluate_ranking, rank_catalogue


def check_ranking(task: Task, settings: CompareSettings) -> None:
    """Refuses to rank where nothing can be, before the first run.

    Raises:
        InputError: if a ranking is asked for of a log with labels.
    """
    log = task.source.log
    if settings.ranking is not None and log.labels is not None:
        raise InputError(
            f"ranking={settings.ranking}: {task.source.name} has labels. An item that was shown and"
            " not clicked is no item that the user never met, and most were never shown"
        )


def ranking_figures(model: CTRModel, task: Task, settings: CompareSettings) -> dict[str, Any]:
    """What results.json says of a run's ranking: ``among`` (how many drawn items, or ``"all"``),
    ``examples`` and the figures of :class:`~resemb_gnn.training.Ranking`.

    Each positive test example is ranked by itself, also where a user has several; other items that
    the user acted on, before or after, are left out. Drawn users are those of seed 0, drawn items
    those of ``split_seed``: the same in all runs.

    Args:
        model: the fitted model.
        task: the data.
        settings: ``ranking``, ``ranking_users``, ``split_seed``, ``max_history`` and the device.
    """
    device = torch.device(settings.device)
    examples = ranked_examples(task.split.test, settings.ranking_users)
    options: dict[str, Any] = {
        "max_history": settings.max_history,
        "progress": not settings.quiet,
    }
    if settings.ranking == "all":
        among: int | str = "all"
        log = task.source.log
        ranks = rank_catalogue(model, examples.to(device), (log.users, log.items), **options)
        ranking = Ranking.of(ranks)
    else:
        among = int(settings.ranking or 0)
        examples = task.split.against(examples, among, settings.split_seed)
        ranking = evaluate_ranking(model, examples.to(device), **options)
    return {"among": among, "examples": len(examples)} | asdict(ranking)


def ranked_examples(test: Examples, users: int | None) -> Examples:
    """The positive ones, or those of so many drawn users alone."""
    positives = test[test.label > 0]
    if users is None:
        return positives
    every = positives.user.unique()
    drawn = np.random.default_rng(0).permutation(every.numel())[:users]
    return positives[torch.isin(positives.user, every[torch.from_numpy(drawn)])]
