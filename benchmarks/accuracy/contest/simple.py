"""What scores without any embedding being trained say: the lines that every table begins with.

    python -m benchmarks.accuracy.contest.simple --data-folder DATA

Popularity alone, of all of training and, where time splits, of its last tenth; the co-visits with
the history alone; in logs with labels the click rates of item and context, added up; and a logistic
regression on a dozen such scores: the candidate's count, its cosine co-visits with the history and
the likeness of its spectral features, as they are and propagated once, to those of the history
(mean, most, last); in logs with labels also the smoothed click rate of each value of each category.
In logs without, which time splits, the logistic regression on counts of counts.py.
As in the contest, what a training example is scored by leaves out its own fold of users.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import scatter

from benchmarks.accuracy.contest.__main__ import RESULTS
from benchmarks.accuracy.contest.counts import SHARES, counts_of, fit_counts
from benchmarks.accuracy.contest.draws import add_draws, simple_key
from benchmarks.accuracy.contest.rule import SETS
from benchmarks.runs import command
from resemb_gnn.data import Batch, Examples
from resemb_gnn.experiment.results import write_results
from resemb_gnn.graph import gcn_adjacency
from resemb_gnn.nn.layers.segment import segment_index, segment_sum
from resemb_gnn.pipeline.facts import describe_data, versions
from resemb_gnn.pipeline.task import Task, read_task
from resemb_gnn.settings import CompareSettings
from resemb_gnn.training import Ranking, auc, gauc
from resemb_gnn.training.ranking import rank_of_first

NAMES: tuple[str, ...] = ("log count", "co-visits", "most co-visits", "last's co-visits")
NAMES += ("likeness", "most likeness", "last's likeness")
NAMES += ("propagated likeness", "most propagated", "last's propagated", "log length")
_PRIOR = 20.0  # rows at the mean click rate that each value's rate is smoothed by
_ROWS = 4096  # candidates that are scored at once


class View:
    """What one graph says of its items."""

    def __init__(self, graph: Data) -> None:
        size = int(graph.num_nodes or 0)
        row, column = graph.edge_index.numpy()
        degree = np.bincount(row, graph.edge_weight.numpy(), size).clip(1)
        self.size = size
        self.keys = row * size + column  # sorted, as edges are
        self.cosine = graph.edge_weight.numpy() / np.sqrt(degree[row] * degree[column])
        spectral = graph.x[:, :-1].float()  # the last column is the count
        self.count = graph.count.double().log1p()
        self.like = torch.nn.functional.normalize(spectral, dim=1)
        propagated = gcn_adjacency(graph).matmul(spectral.double()).float()
        self.propagated = torch.nn.functional.normalize(propagated, dim=1)

    def scores(self, batch: Batch) -> Tensor:
        """The scores ``NAMES`` of each candidate, ``[batch_size, 11]``."""
        batch = batch.expanded()
        owner = segment_index(batch.ptr, batch.history.numel())
        candidate = batch.target[owner]
        length = batch.ptr.diff()
        last = (batch.ptr[1:] - 1).clamp(min=0)
        found = [self.count[batch.target]]
        values = [self._cosine(batch.history, candidate)]
        for table in (self.like, self.propagated):
            values.append((table[batch.history] * table[candidate]).sum(dim=1).double())
        for number, value in enumerate(values):
            total = segment_sum(value.unsqueeze(1), batch.ptr, owner).squeeze(1)
            most = scatter(value, owner, dim_size=total.numel(), reduce="max")  # 0 of none
            ended = torch.where(length > 0, value[last], 0.0) if value.numel() else total
            found += [total if number == 0 else total / length.clamp(min=1), most, ended]
        return torch.stack([*found, length.double().log1p()], dim=1)

    def _cosine(self, one: Tensor, other: Tensor) -> Tensor:
        asked = one.numpy() * self.size + other.numpy()
        place = np.searchsorted(self.keys, asked).clip(max=self.keys.size - 1)
        return torch.from_numpy(np.where(self.keys[place] == asked, self.cosine[place], 0.0))


def scores_of(examples: Examples, views: list[View], user_fold: Tensor | None) -> Tensor:
    """Scores of all candidates, ``[num_examples * candidates, 11]``: by the view of the user's fold
    if folds are told, else by the last one.
    """
    found = torch.empty(len(examples), examples.candidates, len(NAMES), dtype=torch.float64)
    for index, fold in examples.plan(max(1, _ROWS // examples.candidates), None, user_fold):
        view = views[-1 if fold is None else fold]
        found[index] = view.scores(examples.batch(index, 50)).view(len(index), -1, len(NAMES))
    return found.flatten(0, 1)


def candidates_of(part: Examples) -> Tensor:
    """All candidates, int64 ``[num_examples * candidates]``."""
    if part.negatives is None:
        return part.target
    return torch.cat([part.target[:, None], part.negatives], dim=1).flatten()


def click_rates(task: Task, part: Examples, user_fold: Tensor | None) -> Tensor:
    """Log-odds of the smoothed click rate, over training examples, of each example's value of each
    category; for training examples, over those of other folds.
    """
    train, log = task.split.train, task.source.log
    rate = float(train.label.mean())
    found = []

    def values(examples: Examples) -> list[Tensor]:
        assert log.features is not None
        assert examples.row is not None
        rows = {"items": examples.target, "users": examples.user, "context": examples.row}
        every = [examples.target]
        for place, table in log.features.tables():
            every += [one.values[rows[place]].long() for one in table if one.kind == "category"]
        return every

    for own, known in zip(values(part), values(train), strict=True):
        size = int(max(own.max(), known.max())) + 1
        clicks = known.bincount(train.label.double(), size)[own]
        times = known.bincount(minlength=size)[own].double()
        if user_fold is not None:  # less those of the example's own fold
            folds = int(user_fold.max()) + 1
            key, mine = known * folds + user_fold[train.user], own * folds + user_fold[part.user]
            clicks = clicks - key.bincount(train.label.double(), size * folds)[mine]
            times = times - key.bincount(minlength=size * folds)[mine]
        found.append(((clicks + _PRIOR * rate) / (times + _PRIOR)).logit())
    return torch.stack(found, dim=1)


def figures_of(logit: Tensor, part: Examples) -> dict[str, float]:
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, part.label.double())
    found = {"auc": auc(logit, part.label), "gauc": gauc(logit, part.label, part.user)}
    return found | {"logloss": float(loss)}


def run(name: str, folder: Path, out: Path) -> dict[str, Any]:
    """The figures of a set, whose draws of users are put beside those of its comparison."""
    settings = CompareSettings(data=SETS[name].data(folder), **SETS[name].settings)
    task = read_task(settings, ["gcn"])
    split, graph = task.split, task.graph
    views = [View(one) for one in [*graph.fold_graphs, graph]]
    labelled = task.source.log.labels is not None
    train = split.train
    if not labelled:
        train = split.redrawn(settings.train_negatives or 1, 0)
    known = scores_of(train, views, graph.user_fold)
    label = torch.zeros(len(train), train.candidates)
    label[:, 0] = train.label
    test = scores_of(split.test, views, None)
    if labelled:
        known = torch.cat([known, click_rates(task, train, graph.user_fold)], dim=1)
        test = torch.cat([test, click_rates(task, split.test, None)], dim=1)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(known.numpy(), label.flatten().numpy())

    by_time = split.settings["by"] == "time"
    by_counts = fit_counts(task, train) if by_time and not labelled else None
    history = split.history
    recent = counts_of(history.items, history.times, history.num_items)[:, SHARES.index(0.1)]
    features = task.source.log.features

    def logits(rows: Tensor, part: Examples) -> dict[str, Tensor]:
        found = {"popularity": rows[:, 0]}
        if by_time:
            found["recent"] = recent[candidates_of(part)].double().log1p()
        found["co-visits"] = rows[:, 1]
        if labelled:
            found["click rate"] = rows[:, len(NAMES)]
            several = 0
            if features is not None and features.context is not None:  # its rates come last
                several = sum(one.kind == "category" for one in features.context)
            if several:
                found["click rates"] = found["click rate"] + rows[:, -several:].sum(dim=1)
        if by_counts is not None:
            found["counts"] = by_counts(part, False)
            found["later counts"] = by_counts(part, True)
        return found | {"logistic": torch.from_numpy(model.decision_function(rows.numpy()))}

    rankings = {}
    if settings.ranking is not None:
        among = split.against(split.test, int(settings.ranking))
        rows = scores_of(among, views, None)
        for one, logit in logits(rows, among).items():
            rankings[one] = asdict(Ranking.of(rank_of_first(logit.view(len(among), -1))))
    found = {}
    user, answer = split.test.user.numpy(), split.test.label.numpy().astype(np.int8)
    for one, logit in logits(test, split.test).items():
        found[one] = {"test": figures_of(logit, split.test)}
        if one in rankings:
            found[one]["ranking"] = rankings[one]
        table = pl.DataFrame({"user": user, "label": answer, "logit": logit.numpy()})
        add_draws(out / name, simple_key(one), table)
    return {"data": describe_data(task.source, split), "scores": found}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-folder", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), help="sets")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    head = {
        "command": command(
            "benchmarks.accuracy.contest.simple", argv, options.data_folder, options.out
        ),
        "versions": versions(),
    }
    for name in options.only:
        found = run(name, options.data_folder, options.out)
        write_results(options.out / name / "simple.json", head | found)
        for one, figures in found["scores"].items():
            print(f"{name}, {one}: GAUC {figures['test']['gauc']:.4f}")


if __name__ == "__main__":
    main()
