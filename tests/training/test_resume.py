"""A stopped run goes on to the weights of the uninterrupted one, to the bit."""

import multiprocessing
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor, nn

from resemb_gnn import DIEN, DIN, BehaviorLog, InputError, ResEmbedding, Split, covisit_graph, fit
from resemb_gnn.nn import ResidualOptions, TableOptions
from resemb_gnn.nn.embeddings.plain import PlainEmbedding
from resemb_gnn.theory import GapCurve
from resemb_gnn.training.checkpoint import CheckpointFolder
from tests.shop import add_makers, read_shop, write_shop

Make = Callable[[Split], nn.Module]


def gcn(split: Split) -> nn.Module:
    return DIN(ResEmbedding(covisit_graph(split.history, folds=3), 4, 3, feature_dim=4))


def draws_negatives(split: Split) -> nn.Module:
    return DIEN(ResEmbedding(covisit_graph(split.history), 4, 3, feature_dim=4))


def by_rows(split: Split) -> nn.Module:
    options = ResidualOptions(decay=0.01, lr_scale=0.5)
    graph = covisit_graph(split.history)
    return DIN(ResEmbedding(graph, 4, 3, feature_dim=4, residual_options=options))


def renewed(split: Split) -> nn.Module:
    options = TableOptions(renew=True)
    return DIN(PlainEmbedding(split.history.num_items, 4, std=0.1, options=options))


def staged(split: Split) -> nn.Module:
    graph, options = covisit_graph(split.history), ResidualOptions(staged=True)
    return DIN(ResEmbedding(graph, 4, 3, feature_dim=4, residual_options=options))


class Stopped(Exception):
    pass


def train(make: Make, split: Split, stop_at: int | None = None, **options: Any) -> Any:
    """Trains; raises ``Stopped`` before the step of that number of this process."""
    torch.manual_seed(0)
    model = make(split)
    steps = 0

    def count(module: nn.Module, args: Any) -> None:
        nonlocal steps
        steps += module.training
        if steps == stop_at:
            raise Stopped

    model.register_forward_pre_hook(count)
    gaps = GapCurve(model, split.train_sample)
    settings = {"epochs": 4, "batch_size": 100, "lr": 0.01, "patience": 4} | options
    result = fit(model, split, progress=False, seed=5, on_epoch=gaps, **settings)
    weights = {name: value.clone() for name, value in result.model.state_dict().items()}
    figures = [(epoch.train_loss, epoch.valid) for epoch in result.curve]
    return weights, figures, gaps.gaps, (result.best_epoch, result.test, result.train), steps


def same(one: Any, other: Any) -> None:
    assert one[0].keys() == other[0].keys()
    for name, value in one[0].items():
        assert torch.equal(value, other[0][name]), name
    assert one[1:4] == other[1:4]


@pytest.mark.parametrize("make", [gcn, draws_negatives, by_rows, renewed, staged])
def test_resumed_equals_uninterrupted(make: Make, log: BehaviorLog, tmp_path: Path) -> None:
    split = log.split()
    whole = train(make, split)
    total = whole[4]
    options = {"checkpoints": tmp_path, "checkpoint_seconds": 0, "resume": True}
    # In the middle of the first epoch, as the second begins, and in the last.
    for stop_at in (3, total // 4 - 1, total // 2):
        with pytest.raises(Stopped):
            train(make, split, stop_at=stop_at, **options)
    resumed = train(make, split, **options)
    same(whole, resumed)
    assert resumed[4] == total - (3 - 1) - (total // 4 - 2) - (total // 2 - 1)
    assert len(list(tmp_path.iterdir())) == 2
    finished = train(make, split, **options)  # only scored again
    same(whole, finished)
    assert finished[4] == 0


def knowing(split: Split) -> nn.Module:
    return DIN(PlainEmbedding(split.history.num_items, 4), features=split.history.features)


def with_own_embedding(split: Split) -> nn.Module:
    graph = covisit_graph(split.history.of("maker"), folds=2)
    staged = ResidualOptions(staged=True)
    maker = ResEmbedding(graph, 3, 2, feature_dim=4, residual_options=staged)
    items, features = PlainEmbedding(split.history.num_items, 4), split.history.features
    return DIN(items, features=features, embed={"maker": maker})


@pytest.mark.parametrize("make", [knowing, with_own_embedding])
def test_resumed_with_features(make: Make, tmp_path: Path) -> None:
    """What is dropped, too, is what it would have been; other features are another run."""
    write_shop(tmp_path)
    add_makers(tmp_path)
    split = read_shop(tmp_path).split(by="time")
    options = {"checkpoints": tmp_path / "saved", "checkpoint_seconds": 0, "resume": True}
    whole = train(make, split)
    for stop_at in (8, whole[4] - 9):
        with pytest.raises(Stopped):
            train(make, split, stop_at=stop_at, **options)
    same(whole, train(make, split, **options))
    for name, change in (("items", "price"), ("log", "delay")):
        path = tmp_path / f"{name}.csv"
        before = path.read_text()
        pl.read_csv(path).with_columns(pl.col(change).fill_null(2.5)).write_csv(path)
        other = read_shop(tmp_path).split(by="time")
        with pytest.raises(InputError, match="another run"):
            train(make, other, **options)
        path.write_text(before)


def test_between_checkpoints_the_work_since_the_last_is_done_again(
    log: BehaviorLog, tmp_path: Path
) -> None:
    split = log.split()
    whole = train(gcn, split)
    with pytest.raises(Stopped):  # checkpoints at the ends of epochs only
        train(gcn, split, stop_at=whole[4] - 2, checkpoints=tmp_path)
    resumed = train(gcn, split, checkpoints=tmp_path, resume=True)
    same(whole, resumed)
    assert resumed[4] == whole[4] // 4


def test_a_damaged_newest_checkpoint(log: BehaviorLog, tmp_path: Path) -> None:
    split = log.split()
    whole = train(by_rows, split)
    with pytest.raises(Stopped):
        train(by_rows, split, stop_at=8, checkpoints=tmp_path, checkpoint_seconds=0)
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="is damaged"):
        resumed = train(by_rows, split, checkpoints=tmp_path, resume=True)
    same(whole, resumed)
    assert resumed[4] == whole[4] - 6


def test_other_settings_or_data_are_refused(log: BehaviorLog, tmp_path: Path) -> None:
    split = log.split()
    options: dict[str, Any] = {"checkpoints": tmp_path, "epochs": 1}
    train(gcn, split, **options)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="go on from them with resume"):
        train(gcn, split, **options)
    options["resume"] = True

    def refused(message: str, make: Make = gcn, data: Split = split, **changes: Any) -> None:
        with pytest.raises(InputError, match=message):
            train(make, data, **options | changes)

    refused("another run: batch_size was 100 and is 99$", batch_size=99)
    refused(r"epochs was 1 and is 2; lr was 0.01 and is 0.02", epochs=2, lr=0.02)
    refused("data: train examples was", data=log.split(seed=1))
    refused("data: history was", data=log.select(torch.arange(log.num_behaviors) > 3).split())
    refused(r"model.embedding.sparse was False and is True", sparse_rows=1)
    generator = random.Random(3).getstate()
    random.setstate(generator)
    refused("more$", make=renewed)
    assert random.getstate() == generator

    def other_graph(data: Split) -> nn.Module:
        graph = covisit_graph(data.history, window=1, folds=3)
        return DIN(ResEmbedding(graph, 4, 3, feature_dim=4))

    def other_penalty(data: Split) -> nn.Module:
        graph = covisit_graph(data.history, folds=3)
        return DIN(ResEmbedding(graph, 4, 3, feature_dim=4, residual_penalty=2.0))

    refused("graph and features was", make=other_graph)
    refused("model.embedding.residual_penalty was 1.0 and is 2.0$", make=other_penalty)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("fingerprint", None),
        ("state", None),
        ("model", {}),
        ("optimizer", [1]),
        ("position", "x"),
        ("generators", {"python": 3}),
        ("curve", [{}]),
    ],
)
def test_a_checkpoint_of_sound_digest_that_no_run_saved(
    log: BehaviorLog, tmp_path: Path, part: str, value: Any
) -> None:
    split = log.split()
    train(by_rows, split, checkpoints=tmp_path, epochs=1)
    saved = CheckpointFolder(tmp_path).load()
    assert saved is not None
    (saved if part in saved else saved["state"])[part] = value
    CheckpointFolder(tmp_path).save(saved)
    with pytest.raises(InputError, match="holds what no run of ours saves"):
        train(by_rows, split, checkpoints=tmp_path, epochs=1, resume=True)


def test_resume_without_a_folder(log: BehaviorLog) -> None:
    with pytest.raises(InputError, match="resume needs checkpoints"):
        train(gcn, log.split(), resume=True)
    with pytest.raises(InputError, match="checkpoint_seconds must be at least 0, not -1"):
        train(gcn, log.split(), checkpoint_seconds=-1)


def run_to_the_end(folder: Path, log: BehaviorLog) -> None:
    """What a process of its own does; its weights land in a file beside the folder."""
    torch.set_num_threads(1)
    options = {"checkpoints": folder, "checkpoint_seconds": 0, "resume": True}
    weights = train(gcn, log.split(), epochs=5, patience=5, **options)[0]
    torch.save(weights, folder.with_suffix(".pt"))


def test_killed_processes(log: BehaviorLog, tmp_path: Path) -> None:
    # One process that has imported everything, and has no threads yet, forks the others.
    context = multiprocessing.get_context("forkserver")

    def process(folder: Path) -> Any:
        child = context.Process(target=run_to_the_end, args=(folder, log))
        child.start()
        return child

    def weights(name: str) -> dict[str, Tensor]:
        return torch.load(tmp_path / f"{name}.pt")

    whole = process(tmp_path / "whole")
    whole.join()
    assert whole.exitcode == 0
    random.seed(0)
    kills = 0
    folder = tmp_path / "killed"
    while True:
        child = process(folder)
        seen = max(folder.glob("c*"), default=None)
        while child.is_alive() and max(folder.glob("c*"), default=None) == seen:
            time.sleep(0.001)  # until it has saved something of its own
        time.sleep(random.uniform(0, 0.05))
        if kills < 3 and child.is_alive():
            child.kill()
            child.join()
            kills += child.exitcode == -signal.SIGKILL
            continue
        child.join()
        break
    assert child.exitcode == 0
    assert kills == 3
    for name, value in weights("whole").items():
        assert torch.equal(value, weights("killed")[name]), name
