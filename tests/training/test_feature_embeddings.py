"""What a run asks of the embeddings that features have of their own."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from resemb_gnn import DIN, InputError, ResEmbedding, Split, covisit_graph, fit
from resemb_gnn.nn import PlainEmbedding, ResidualOptions
from resemb_gnn.training.checks import embeddings_of
from tests.shop import add_makers, read_shop, write_shop

SMALL = {"epochs": 2, "batch_size": 64, "patience": 2, "progress": False}


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    add_makers(folder)
    return read_shop(folder).split(by="time")


def res_embedding(split: Split, feature: str | None = None, **options: Any) -> ResEmbedding:
    of_graph = {name: options.pop(name) for name in ("folds", "seed") if name in options}
    history = split.history if feature is None else split.history.of(feature)
    return ResEmbedding(covisit_graph(history, **of_graph), 3, 2, feature_dim=4, **options)


def model_of(split: Split, items: nn.Module, **embed: nn.Module) -> DIN:
    return DIN(items, features=split.history.features, hidden=(8,), embed=embed)


@pytest.mark.parametrize("of_items", ["folds", "plain"])
def test_batches_of_one_fold_see_the_graph_of_that_fold(split: Split, of_items: str) -> None:
    items: nn.Module = PlainEmbedding(split.history.num_items, 3)
    if of_items == "folds":
        items = res_embedding(split, folds=3)
    maker = res_embedding(split, "maker", folds=3)
    model = model_of(split, items, maker=maker)
    user_fold = covisit_graph(split.history, folds=3).user_fold
    assert torch.equal(maker.user_fold, user_fold)  # as the items' graph deals them out
    seen: list[tuple[Tensor, int | None]] = []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(users_of(module, *inputs)))
    folds: list[int | None] = []
    maker.register_forward_pre_hook(lambda module, inputs: folds.append(inputs[1]))
    fit(model, split, **SMALL)
    assert len(seen) == len(folds)
    trained = [(users, fold) for users, fold in seen if fold is not None]
    assert {fold for _, fold in trained} == {0, 1, 2}
    for users, fold in trained:
        assert (user_fold[users] == fold).all()
    assert folds == [fold for _, fold in seen]


def users_of(module: nn.Module, batch: Any) -> tuple[Tensor, int | None]:
    assert (batch.fold is not None) == module.training
    return batch.user, batch.fold


@pytest.mark.parametrize("changes", [{"seed": 1}, {"folds": 2}])
def test_other_folds_than_the_items_are_refused(split: Split, changes: dict[str, int]) -> None:
    model = model_of(
        split,
        res_embedding(split, folds=3),
        maker=res_embedding(split, "maker", **{"folds": 3} | changes),
    )
    with pytest.raises(InputError, match="graph of 'maker' deals the users out into other folds"):
        fit(model, split, **SMALL)


def test_folds_of_two_features_that_differ(split: Split) -> None:
    model = model_of(
        split,
        PlainEmbedding(split.history.num_items, 3),
        brand=res_embedding(split, "brand", folds=2),
        maker=res_embedding(split, "maker", folds=2, seed=1),
    )
    with pytest.raises(InputError, match="graph of 'maker' deals the users out into other folds"):
        fit(model, split, **SMALL)


def test_folds_of_other_users(split: Split) -> None:
    maker = res_embedding(split, "maker", folds=2)
    maker.user_fold = maker.user_fold[1:]
    model = model_of(split, PlainEmbedding(split.history.num_items, 3), maker=maker)
    with pytest.raises(InputError, match="deal out 49 users, but the log has 50"):
        fit(model, split, **SMALL)


@pytest.mark.parametrize("staged", [("maker",), ("items", "maker"), ("items",)])
def test_staged_residuals_of_all_are_released_together(
    split: Split, staged: tuple[str, ...]
) -> None:
    def options(name: str) -> ResidualOptions:
        return ResidualOptions(staged=name in staged)

    items = res_embedding(split, residual_options=options("items"))
    maker = res_embedding(split, "maker", residual_options=options("maker"))
    model = model_of(split, items, maker=maker)
    assert embeddings_of(model) == [items, maker]
    result = fit(model, split, **SMALL | {"epochs": 1})
    assert len(result.curve) == 2
    assert items.residual.requires_grad
    assert maker.residual.requires_grad
    for embedding in (items, maker):
        assert not embedding.release_residual()


def test_penalty_is_part_of_the_loss(split: Split) -> None:
    losses = []
    for penalty in (0.0, 1e6):
        torch.manual_seed(0)
        maker = res_embedding(split, "maker", residual_std=0.1, residual_penalty=penalty)
        model = model_of(split, PlainEmbedding(split.history.num_items, 3), maker=maker)
        losses.append(fit(model, split, **SMALL | {"epochs": 1}).curve[0].train_loss)
    assert losses[1] > 100 * losses[0]


def test_tables_are_trained_as_they_ask(split: Split, tmp_path: Path) -> None:
    options = ResidualOptions(decay=0.01)
    maker = res_embedding(split, "maker", residual_options=options)
    model = model_of(split, PlainEmbedding(split.history.num_items, 3), maker=maker)
    fit(model, split, **SMALL)
    assert maker.sparse
    assert maker.residual.grad.is_sparse
    assert not model.embedding.sparse
