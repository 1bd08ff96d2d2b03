"""Another embedding in a model's place, with all that goes by the number of items."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import resemb_gnn as rg
from resemb_gnn import InputError
from resemb_gnn.data import Examples, Feature, Features, FeatureTable
from resemb_gnn.models import CTRModel

NUM, MORE = 6, 9
CATEGORY = torch.tensor([0, 1, 2, 0, 1, 2, 3, 0, 3])  # 3 is a new one


def prices(size: int) -> FeatureTable:
    return FeatureTable({"price": Feature("price", torch.arange(float(size)))})


def examples(*targets: int) -> Examples:
    size = len(targets)
    window = torch.zeros(size, dtype=torch.long)
    target = torch.tensor(targets)
    return Examples(torch.tensor([1, 4]), window, window + 2, target, torch.ones(size), window)


def biased(embedding: nn.Module, **options: Any) -> CTRModel:
    model = rg.DIN(embedding, item_bias=True, **options)
    assert model.item_bias is not None
    nn.init.normal_(model.item_bias.weight)
    return model


def grown(model: CTRModel) -> nn.Embedding:
    old: Tensor = model.embedding.weight
    return nn.Embedding.from_pretrained(torch.cat([old, torch.ones(MORE - NUM, 4)]), freeze=False)


@pytest.fixture(params=[biased, rg.WideDeep])
def model(request: pytest.FixtureRequest) -> CTRModel:
    make: Callable[..., CTRModel] = request.param
    torch.manual_seed(0)
    features = Features(items=prices(NUM))
    return make(nn.Embedding(NUM, 4), item_category=CATEGORY[:NUM], features=features).eval()


@torch.no_grad()
def test_known_items_score_as_before_and_new_ones_too(model: CTRModel) -> None:
    known = examples(*range(NUM))
    before = model(known.batch(torch.arange(NUM)))
    category = model.category.embedding.weight.clone()
    model.replace_embedding(grown(model), CATEGORY, prices(MORE))
    model.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(known.batch(torch.arange(NUM))), before)
    assert torch.equal(model.category.embedding.weight[3], category.mean(dim=0))
    new = examples(*range(NUM, MORE))
    assert model(new.batch(torch.arange(MORE - NUM))).isfinite().all()
    assert not model.item_bias.weight[NUM:].any()
    assert model.item_bias.weight.requires_grad


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((nn.Embedding(NUM, 3),), "the embedding is 3 wide, but that of the model 4"),
        ((nn.Embedding(MORE, 4),), "knows categories of the items: give those of all 9"),
        ((nn.Embedding(MORE, 4), CATEGORY), "knows features of the items: give those of all 9"),
        ((nn.Embedding(MORE, 4), CATEGORY, prices(8)), "features are of 8 items, but there are 9"),
        ((nn.Embedding(MORE, 4), CATEGORY[:8], prices(MORE)), r"item_category has shape \[8\]"),
    ],
)
@torch.no_grad()
def test_what_does_not_fit_is_refused_and_changes_nothing(
    arguments: tuple[Any, ...], message: str, model: CTRModel
) -> None:
    batch = examples(*range(NUM)).batch(torch.arange(NUM))
    before = model(batch)
    with pytest.raises(InputError, match=message):
        model.replace_embedding(*arguments)
    assert torch.equal(model(batch), before)


def test_a_model_that_knows_no_features_takes_none() -> None:
    with pytest.raises(InputError, match="the model knows no features of items"):
        rg.DIN(nn.Embedding(NUM, 4)).replace_embedding(nn.Embedding(NUM, 4), None, prices(NUM))
