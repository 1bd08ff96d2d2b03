"""Two processes on half the batch each against one process on the whole of it."""

import multiprocessing
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from resemb_gnn import DIN, BehaviorLog, InputError, ResEmbedding, Split, covisit_graph, fit
from resemb_gnn.nn import BatchNorm, Dice, ResidualOptions
from resemb_gnn.nn.embeddings.plain import PlainEmbedding
from resemb_gnn.nn.layers.shared_batch import shared_batch
from resemb_gnn.training import distributed
from resemb_gnn.training.distributed import add_gradients, balanced, own_part
from tests.shop import add_makers, read_shop, write_shop

CONTEXT = multiprocessing.get_context("forkserver")


def run(rank: int, job: Callable[..., Any], folder: Path, size: int, *args: Any) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=size)
    torch.save(job(rank, *args), folder / f"{rank}.pt")
    dist.destroy_process_group()


def in_processes(job: Callable[..., Any], folder: Path, *args: Any, size: int = 2) -> list[Any]:
    """What each of the processes returns."""
    folder.mkdir(exist_ok=True)
    children = [
        CONTEXT.Process(target=run, args=(rank, job, folder, size, *args)) for rank in range(size)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * size
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)]


def normalized(rank: int, x: torch.Tensor, sizes: list[int], weight: torch.Tensor) -> Any:
    """Outputs, gradients and moving averages of two layers on this process's rows."""
    part = x.split(sizes)[rank].clone().requires_grad_()
    layers = [BatchNorm(x.size(1)), Dice(x.size(1))]
    nn.init.constant_(layers[1].alpha, 0.3)
    with shared_batch(len(sizes) > 1):
        outs = [layer(part) for layer in layers]
    sum((out * weight.split(sizes)[rank]).sum() for out in outs).backward()
    norms = [layers[0], layers[1].norm]
    averages = [value for norm in norms for value in (norm.running_mean, norm.running_var)]
    grads = [p.grad for layer in layers for p in layer.parameters()]
    return [out.detach() for out in outs], part.grad, averages, grads


@pytest.mark.parametrize("sizes", [[7, 4], [11, 0], [1, 0]])
def test_normalisation_over_all_rows(tmp_path: Path, sizes: list[int]) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(sum(sizes), 3) * 5 + 2, torch.randn(sum(sizes), 3)
    outs, grad, averages, grads = normalized(0, x, [sum(sizes)], weight)
    parts = in_processes(normalized, tmp_path, x, sizes, weight)
    for number, out in enumerate(outs):
        torch.testing.assert_close(torch.cat([part[0][number] for part in parts]), out)
    torch.testing.assert_close(torch.cat([part[1] for part in parts]), grad, atol=1e-5, rtol=1e-4)
    for part in parts:
        for one, other in zip(part[2], averages, strict=True):
            torch.testing.assert_close(one, other)
    for number, one in enumerate(grads):
        torch.testing.assert_close(
            parts[0][3][number] + parts[1][3][number], one, atol=1e-5, rtol=1e-4
        )


def gcn(split: Split) -> nn.Module:
    return DIN(ResEmbedding(covisit_graph(split.history, folds=3), 4, 3, feature_dim=4))


def by_rows(split: Split) -> nn.Module:
    options = ResidualOptions(decay=0.01)
    graph = covisit_graph(split.history)
    return DIN(ResEmbedding(graph, 4, None, "average", residual_options=options))


def penalized(split: Split) -> nn.Module:
    return DIN(PlainEmbedding(split.history.num_items, 4, std=0.1, l2=0.5))


def knowing(split: Split) -> nn.Module:
    return DIN(PlainEmbedding(split.history.num_items, 4), features=split.history.features)


def with_own_embedding(split: Split) -> nn.Module:
    graph = covisit_graph(split.history.of("maker"), folds=2)
    maker = ResEmbedding(graph, 3, 2, feature_dim=4, residual_penalty=0.5)
    items, features = PlainEmbedding(split.history.num_items, 4), split.history.features
    return DIN(items, features=features, embed={"maker": maker})


def train(rank: int, make: Any, log: BehaviorLog, batch_size: int, **options: Any) -> Any:
    split = log.split()
    torch.manual_seed(rank)  # the first process's start counts
    model = make(split)
    settings = {"epochs": 2, "patience": 2, "lr": 1e-3, "progress": False} | options
    result = fit(model, split, batch_size=batch_size, **settings)
    figures = [epoch.train_loss for epoch in result.curve] + [result.test.logloss]
    return result.model.state_dict(), figures, (result.valid, result.test, result.train)


@pytest.mark.parametrize("make", [gcn, by_rows, penalized])
def test_two_processes_equal_one_with_twice_the_batch(
    make: Any, log: BehaviorLog, tmp_path: Path
) -> None:
    whole, figures, metrics = train(0, make, log, 90)  # 892 examples: the last batch holds 82
    first, second = in_processes(train, tmp_path, make, log, 45)
    for name, value in whole.items():
        torch.testing.assert_close(first[0][name], value, atol=1e-4, rtol=1e-4, msg=name)
        assert torch.equal(first[0][name], second[0][name]), name
    assert first[1] == pytest.approx(figures, abs=1e-5)
    assert first[2][1].auc == pytest.approx(metrics[1].auc, abs=1e-3)
    assert first[1:] == second[1:]


@pytest.mark.parametrize("make", [knowing, with_own_embedding])
def test_features_are_dropped_alike_in_two_processes(make: Any, tmp_path: Path) -> None:
    """Each process drops what one with both batches would."""
    write_shop(tmp_path)
    if make is with_own_embedding:
        add_makers(tmp_path)
    log = read_shop(tmp_path)
    whole, figures, _ = train(0, make, log, 90)
    assert int(whole["known_items.embedding.steps"]) > 0
    first, second = in_processes(train, tmp_path, make, log, 45)
    for name, value in whole.items():
        assert torch.equal(first[0][name], second[0][name]), name
        # Batch normalisation follows the features of users and rows: a bias there has no gradient
        # but rounding, by which Adam's steps are as long as by any other, and the mean moves along.
        free = name.startswith(("context.", "known_users.")) and name.endswith(".bias")
        if not free and name != "norm.running_mean":
            torch.testing.assert_close(first[0][name], value, atol=1e-4, rtol=1e-4, msg=name)
    assert first[1] == pytest.approx(figures, abs=1e-5)
    assert first[1] == second[1]


def test_redrawn_negatives_are_the_same_in_every_process(log: BehaviorLog, tmp_path: Path) -> None:
    options = {"epochs": 2, "train_negatives": 3}
    whole, figures, _ = train(0, penalized, log, 88, **options)
    first, second = in_processes(redrawn, tmp_path, log, options)
    for name, value in whole.items():
        torch.testing.assert_close(first[0][name], value, atol=1e-4, rtol=1e-4, msg=name)
    assert first[1] == pytest.approx(figures, abs=1e-5)
    assert first[1] == second[1]


def redrawn(rank: int, log: BehaviorLog, options: dict[str, Any]) -> Any:
    return train(rank, penalized, log, 44, **options)


class Parameters(nn.Module):
    """A table of which each process looks up few rows or many, and what has no rows."""

    def __init__(self) -> None:
        super().__init__()
        self.few, self.many = nn.Embedding(100, 3), nn.Embedding(10, 3)
        self.scale, self.unused = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(2, 2))

    def loss(self, rank: int) -> torch.Tensor:
        rows = torch.tensor([[99, 5, 7, 7], [0, 5], []][rank], dtype=torch.long)
        weight = torch.arange(1.0, 4.0) + rank
        looked_up = self.few(rows) @ weight
        total = looked_up.sum() + (self.many(rows % 10) @ weight).sum()
        return total + self.scale if rank == 1 else total


def added(rank: int) -> Any:
    found = []
    # By rows, by themselves, all together: tables of so many numbers.
    for distributed._LARGE, distributed._ALONE in ((1, 1), (9999, 1), (9999, 9999)):
        torch.manual_seed(0)
        model = Parameters()
        loss = model.loss(rank)
        loss.backward()
        whole = add_gradients(model, loss)
        found.append((whole, [parameter.grad for parameter in model.parameters()]))
    return found


def test_gradients_of_all_processes_are_summed(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Parameters()
    expected = sum(model.loss(rank) for rank in range(3))
    expected.backward()
    for loss, grads in chain.from_iterable(in_processes(added, tmp_path, size=3)):
        torch.testing.assert_close(loss, expected.detach())
        for grad, parameter in zip(grads, model.parameters(), strict=True):
            assert (grad is None) == (parameter.grad is None)
            if grad is not None:
                torch.testing.assert_close(grad, parameter.grad)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_parts_have_about_as_many_behaviours(
    monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    index, length = torch.randperm(50), torch.randint(0, 90, (50,))
    monkeypatch.setattr(dist, "get_world_size", lambda: processes)
    parts = []
    for rank in range(processes):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        parts.append(own_part(balanced(index, length)))
    assert sorted(torch.cat(parts).tolist()) == list(range(50))
    of_index = dict(zip(index.tolist(), length.tolist(), strict=True))
    sums = [sum(of_index[one] for one in part.tolist()) for part in parts]
    assert max(sums) - min(sums) <= int(length.max())
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_batches_with_fewer_examples_than_processes(log: BehaviorLog, tmp_path: Path) -> None:
    # 892 examples in batches of 99: the last one holds a single example.
    whole = train(0, penalized, log, 99)
    parts = in_processes(train, tmp_path, penalized, log, 33, size=3)
    for name, value in whole[0].items():
        torch.testing.assert_close(parts[2][0][name], value, atol=1e-4, rtol=1e-4, msg=name)


def resumed(rank: int, log: BehaviorLog, folder: Path) -> Any:
    train(rank, gcn, log, 45, checkpoints=folder)
    return train(rank, gcn, log, 45, checkpoints=folder, resume=True)  # only scored again


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the processes have it: checkpoints belong to a number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_one_process_writes_and_all_read(log: BehaviorLog, tmp_path: Path) -> None:
    saved = tmp_path / "checkpoints"
    first, second = in_processes(resumed, tmp_path / "two", log, saved)
    assert len(list(saved.iterdir())) == 2
    assert first[1:] == second[1:]
    # One process goes on with the batches of both.
    alone = train(0, gcn, log, 90, checkpoints=saved, resume=True)
    for name, value in first[0].items():
        assert torch.equal(alone[0][name], value), name
    with pytest.raises(InputError, match="batch_size was 90 and is 45"):
        train(0, gcn, log, 45, checkpoints=saved, resume=True)


def refused(rank: int, log: BehaviorLog) -> str:
    with pytest.raises(InputError) as caught:
        train(rank, gcn, log, 45, compile=True)
    return str(caught.value)


def test_compiled_training_is_refused(log: BehaviorLog, tmp_path: Path) -> None:
    assert all("compile goes with one" in text for text in in_processes(refused, tmp_path, log))
