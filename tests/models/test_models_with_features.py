"""What holds of every model with features of items, users and rows."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from padded_reference import FEATURES, NUM_ITEMS, SteadySASRec, make_batch, make_model
from torch import nn

from resemb_gnn import DIEN, DIN, PNN, BehaviorLog, InputError, PooledMLP, WideDeep, fit
from resemb_gnn.data import Features
from resemb_gnn.models import CTRModel
from resemb_gnn.training import ModelAdam, training_step

MODELS = [DIEN, DIN, PNN, PooledMLP, SteadySASRec, WideDeep]
every_model = pytest.mark.parametrize("kind", MODELS)


def shop(rows: int = 600, seed: int = 0) -> BehaviorLog:
    """The tab and the item's brand decide the click."""
    rng = np.random.default_rng(seed)
    tab, item = rng.integers(2, size=rows), rng.integers(20, size=rows)
    frame = pl.DataFrame(
        {
            "user": rng.integers(15, size=rows),
            "item": item,
            "time": np.arange(rows),
            "tab": tab,
            "label": (rng.random(rows) < 0.1 + 0.4 * tab + 0.4 * (item % 2)).astype(int),
        }
    )
    brands = pl.DataFrame({"item": range(20), "brand": [f"b{item % 2}" for item in range(20)]})
    ages = pl.DataFrame({"user": range(15), "age": [20.5 + user for user in range(15)]})
    return BehaviorLog.from_frame(
        frame, "user", "item", "time", label="label", items=brands, users=ages, context=["tab"]
    )


@every_model
def test_it_learns_from_them(kind: Callable[..., CTRModel]) -> None:
    log = shop(3000)
    split = log.split(by="time")
    aucs = []
    for features in (None, log.features):
        torch.manual_seed(0)
        model = kind(nn.Embedding(log.num_items, 4), features=features, hidden=(16,))
        result = fit(model, split, epochs=4, batch_size=128, lr=0.01, patience=4, progress=False)
        aucs.append(result.valid.auc)
    assert aucs[1] > aucs[0] + 0.03


@every_model
def test_each_table_counts(kind: Callable[..., CTRModel]) -> None:
    model, batch = make_model(kind, features=FEATURES).eval(), make_batch([3, 0, 4, 2])
    logit = model(batch)
    context = FEATURES.context[(batch.row + 1) % 20]
    assert not torch.allclose(model(replace(batch, context=context)), logit)
    assert not torch.allclose(model(replace(batch, user=batch.user + 4)), logit)
    other = copy.deepcopy(model)
    turned = FEATURES.items[torch.arange(NUM_ITEMS).flip(0)]
    other.known_items = model.known_items.over(turned)
    assert not torch.allclose(other(batch), logit)


@every_model
def test_without_features_it_is_what_it_was(kind: Callable[..., CTRModel]) -> None:
    plain, other = make_model(kind), make_model(kind, features=Features())
    assert list(plain.state_dict()) == list(other.state_dict())
    assert not any("known" in name or "context" in name for name in plain.state_dict())
    bare = replace(make_batch([3, 0, 2]), row=None, context=None)
    for model in (plain.eval(), other.eval()):
        assert torch.equal(model(bare), plain(make_batch([3, 0, 2])))


@every_model
def test_items_are_embedded_once(kind: Callable[..., CTRModel]) -> None:
    model, batch = make_model(kind, features=FEATURES), make_batch([5, 0, 7, 6])
    asked = []
    model.known_items.register_forward_pre_hook(lambda _, inputs: asked.append(inputs[0]))
    model(batch)
    (ids,) = asked
    assert torch.equal(ids.sort().values, torch.cat([batch.history, batch.target]).unique())


@every_model
def test_bad_batches(kind: Callable[..., CTRModel]) -> None:
    model, batch = make_model(kind, features=FEATURES), make_batch([3, 0])
    with pytest.raises(InputError, match="context features tab, vector, but the batch has no"):
        model(replace(batch, context=None))
    for user, said in ((8, "8"), (-1, "-1")):
        with pytest.raises(InputError, match=f"of 8 users, 0 to 7, but number {said} was asked"):
            model(replace(batch, user=torch.tensor([0, user])))


@every_model
def test_copies_and_weights_of_other_tables(kind: Callable[..., CTRModel]) -> None:
    model = make_model(kind, features=FEATURES).eval()
    other = make_model(kind, 1, features=FEATURES).eval()
    batch = make_batch([3, 0, 2])
    assert not torch.allclose(other(batch), model(batch))
    other.load_state_dict(model.state_dict())
    for again in (other, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again(batch), model(batch))
    for name in ("items", "users"):
        table = getattr(FEATURES, name)
        rows = torch.arange(len(table)).flip(0)
        another = make_model(kind, features=replace(FEATURES, **{name: table[rows]}))
        with pytest.raises(InputError, match=f"other features of the {name} than these"):
            another.load_state_dict(model.state_dict())


def test_scales_and_values_come_from_the_rows_of_training() -> None:
    log = shop()
    seen = log.split(by="time")
    test_rows = seen.test.row
    assert log.features is not None
    assert log.features.context is not None
    context = log.features.context
    values = context.features["tab"].values.clone()
    values[test_rows] = 1  # a value that training never has
    changed = replace(
        log,
        features=replace(
            log.features,
            context=replace(
                context, features={"tab": replace(context.features["tab"], values=values)}
            ),
        ),
    )
    states = []
    for one in (log, changed):
        split = one.split(by="time")
        torch.manual_seed(0)
        model = DIN(nn.Embedding(log.num_items, 4), features=one.features, hidden=(8,))
        model.adapt(split.train)
        (batch,) = split.train.batches(1000)
        training_step(model, batch, ModelAdam(model, 0.01))
        states.append(model.state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("sparse_rows", [None, 1], ids=["dense", "sparse"])
@every_model
def test_training_step(
    kind: Callable[..., CTRModel], sparse_rows: int | None, precision: str
) -> None:
    log = shop()
    (batch,) = log.split(by="time").train.batches(1000)
    torch.manual_seed(0)
    model = kind(nn.Embedding(log.num_items, 4), features=log.features, hidden=(16,))
    optimizer = ModelAdam(model, 0.02, sparse_rows)
    losses = [training_step(model, batch, optimizer, precision).item() for _ in range(20)]
    assert losses[-1] < 0.95 * losses[0]
    brand = model.known_items.embedding.parts[0].table
    assert brand.weight.grad.is_sparse == (sparse_rows is not None)


# DIN is compiled in test_compile.py, features join it as they do PNN, and WideDeep is a PooledMLP.
@pytest.mark.parametrize("kind", [DIEN, PNN, WideDeep])
def test_compiled_it_takes_the_same_steps(kind: Callable[..., CTRModel]) -> None:
    torch.manual_seed(0)
    models = [kind(nn.Embedding(NUM_ITEMS, 4), hidden=(8,), features=FEATURES)]
    models.append(copy.deepcopy(models[0]))
    models[1].compile(backend="aot_eager")
    # Not Adam, whose first step is the sign of a gradient, also of one that is rounding alone.
    pairs = [(model, torch.optim.SGD(model.parameters(), 0.1)) for model in models]
    # No two sizes of the first are equal, or all would be compiled again for the second.
    for lengths in ([3, 0, 4], [2, 2, 1, 7, 4]):
        losses = []
        for model, optimizer in pairs:
            torch.manual_seed(0)
            losses.append(training_step(model, make_batch(lengths), optimizer))
        torch.testing.assert_close(*losses, atol=1e-5, rtol=1e-5)


@every_model
def test_bad_tables(kind: Callable[..., CTRModel]) -> None:
    with pytest.raises(InputError, match="features are of 12 items, but there are 13"):
        kind(nn.Embedding(13, 3), features=FEATURES)
    if kind is not PNN:  # whose fields are all as wide as the item's embedding
        with pytest.raises(InputError, match="there is no feature 'brnd'"):
            kind(nn.Embedding(12, 3), features=FEATURES, widths={"brnd": 3})
        model = kind(nn.Embedding(12, 3), features=FEATURES, widths={"brand": 7, "tab": 5})
        assert model.feature_dim == 3 + 7 + 4 + 4
        assert model.context.widths == (5, 2)
