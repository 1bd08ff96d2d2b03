"""Features of items with an embedding of their own, in every model."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from padded_reference import CATEGORY, FEATURES, NUM_ITEMS, SteadySASRec, make_batch, make_model
from torch import Tensor, nn

from resemb_gnn import DIEN, DIN, PNN, InputError, PooledMLP, WideDeep
from resemb_gnn.data import Features, FeatureTable
from resemb_gnn.data.features import FIRST
from resemb_gnn.models import CTRModel
from resemb_gnn.training import ModelAdam, training_step

every_model = pytest.mark.parametrize("kind", [DIEN, DIN, PNN, PooledMLP, SteadySASRec, WideDeep])
BRAND = FEATURES.items.features["brand"]
ALONE = replace(FEATURES, items=FeatureTable({"brand": BRAND}))
NUM_BRANDS = BRAND.num_codes - FIRST
WIDTH = 3  # of the items, hence of PNN's features


def with_rows_of(plain: CTRModel, kind: Callable[..., CTRModel]) -> CTRModel:
    """The model whose brand has an embedding with the rows that the other's table has."""
    codes = FeatureTable({"brand": replace(BRAND, values=torch.arange(BRAND.num_codes))})
    with torch.no_grad():
        rows = plain.known_items.embed_rows(codes, torch.arange(BRAND.num_codes))
    table = nn.Embedding(NUM_BRANDS, rows.size(1)).double()
    model = make_model(kind, features=ALONE, item_category=CATEGORY, embed={"brand": table})
    state = plain.state_dict()
    rest = {name: value for name, value in state.items() if not name.startswith("known_items.")}
    missing, unexpected = model.load_state_dict(rest, strict=False)
    assert all(name.startswith("known_items.") for name in missing)
    assert not unexpected
    (brand,) = model.known_items.with_own
    with torch.no_grad():
        brand.others.weight.copy_(rows[:FIRST])
        table.weight.copy_(rows[FIRST:])
    brand.drop = 0.0  # what is dropped has tests of its own
    return model


@every_model
def test_a_table_equals_the_features_own(kind: Callable[..., CTRModel]) -> None:
    """In scores and after steps of training, without the wide part's weights of its values lost."""
    widths = {} if kind is PNN else {"widths": {"brand": WIDTH}}
    plain = make_model(kind, features=ALONE, item_category=CATEGORY, **widths)
    model = with_rows_of(plain, kind)
    batch = make_batch([3, 0, 4, 2, 6])
    assert {BRAND.values[item].item() for item in batch.target.tolist()} > {0}
    torch.testing.assert_close(model.eval()(batch), plain.eval()(batch))
    for one in (plain, model):
        one.train()
        optimizer = torch.optim.SGD(one.parameters(), 0.1)
        for seed in range(3):
            torch.manual_seed(seed)
            training_step(one, make_batch([3, 0, 4, 2], seed), optimizer)
    torch.testing.assert_close(model.eval()(batch), plain.eval()(batch))


@every_model
def test_it_stands_behind_the_other_features(kind: Callable[..., CTRModel]) -> None:
    table = nn.Embedding(NUM_BRANDS, WIDTH).double()
    model = make_model(kind, features=FEATURES, embed={"brand": table}).eval()
    others = FeatureTable(
        {name: one for name, one in FEATURES.items.features.items() if name != "brand"}
    )
    ids = torch.tensor([5, 0, 3, 3, 11])
    found = model.item_features(ids)
    assert model.known_items.embedding.names == tuple(others.features)
    rest = model.known_items.embedding(others[ids], ids)
    (brand,) = model.known_items.with_own
    for row, item in enumerate(ids.tolist()):
        code = int(BRAND.values[item])
        own = brand.others.weight[code] if code < FIRST else table.weight[code - FIRST]
        expected = torch.cat([model.embedding.weight[item], rest[row], own])
        torch.testing.assert_close(found[row], expected)
    assert list(model.feature_embeddings) == ["brand"]


class Watched(nn.Module):
    """Somebody's embedding of brands, with folds and a penalty."""

    embedding_dim, num_embeddings = WIDTH, NUM_BRANDS

    def __init__(self, penalizes_history: bool = False) -> None:
        super().__init__()
        self.penalizes_history = penalizes_history
        self.user_fold = torch.zeros(8, dtype=torch.long)
        self.asked: list[tuple[list[int], int | None]] = []

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        self.asked.append((ids.tolist(), fold))
        return torch.zeros(len(ids), WIDTH, dtype=torch.double)

    def penalty(self, ids: Tensor) -> Tensor:
        return (10.0 ** ids.double()).sum()


@every_model
def test_the_fold_reaches_it(kind: Callable[..., CTRModel]) -> None:
    """Also where the items' embedding, a plain table, knows no folds."""
    watched = Watched()
    model = make_model(kind, features=ALONE, embed={"brand": watched})
    batch = make_batch([2, 3])
    codes = BRAND.values[torch.cat([batch.history, batch.target]).unique()]
    values = (codes[codes >= FIRST].unique() - FIRST).tolist()
    for _, one in model.named_modules():
        one.drop = 0.0
    model(batch)
    model(replace(batch, fold=1))
    assert watched.asked == [(values, None), (values, 1)]


@pytest.mark.parametrize("penalizes_history", [False, True])
@every_model
def test_its_penalty_is_added(kind: Callable[..., CTRModel], penalizes_history: bool) -> None:
    batch = make_batch([2, 3, 1, 2])
    alone, items = Watched(penalizes_history), Penalized()
    ids = torch.cat([batch.target, batch.history]) if penalizes_history else batch.target
    codes = BRAND.values[ids]
    expected = float((10.0 ** (codes[codes >= FIRST] - FIRST).double()).sum())
    model = make_model(kind, features=ALONE, embed={"brand": alone}).eval()
    assert model.penalty(batch).item() == expected
    model = make_model(kind, embedding=items, features=ALONE, embed={"brand": alone}).eval()
    assert model.penalty(batch).item() == expected + 0.5
    # As of every example where some share a history.
    shared = replace(batch, ptr=torch.tensor([0, 5, 8]), candidates=2)
    assert model.penalty(shared).item() == model.penalty(shared.expanded()).item()


class Penalized(nn.Embedding):
    def __init__(self) -> None:
        super().__init__(NUM_ITEMS, WIDTH)

    def penalty(self, ids: Tensor) -> Tensor:
        return torch.tensor(0.5)


@pytest.mark.parametrize("sparse_rows", [None, 1], ids=["dense", "sparse"])
@every_model
def test_training_step(kind: Callable[..., CTRModel], sparse_rows: int | None) -> None:
    torch.manual_seed(0)
    table = nn.Embedding(NUM_BRANDS, 4)
    items = nn.Embedding(NUM_ITEMS, 4)
    model = kind(items, features=FEATURES, hidden=(16,), embed={"brand": table})
    optimizer = ModelAdam(model, 0.02, sparse_rows)
    batch, before = make_batch([3, 0, 4, 2, 5, 1]), table.weight.detach().clone()
    losses = [training_step(model, batch, optimizer).item() for _ in range(20)]
    assert losses[-1] < 0.95 * losses[0]
    assert table.weight.grad.is_sparse == (sparse_rows is not None)
    assert (table.weight != before).any()
    again = copy.deepcopy(model)
    assert torch.equal(again.eval()(batch), model.eval()(batch))


@pytest.mark.parametrize(
    ("embed", "message"),
    [
        ({"brnd": nn.Embedding(3, WIDTH)}, "no feature 'brnd' to embed.*did you mean brand"),
        ({"age": nn.Embedding(4, WIDTH)}, "'age' is a feature of users: .* those of items"),
        ({"tab": nn.Embedding(3, WIDTH)}, "'tab' is a feature of context: .* those of items"),
        ({"tags": nn.Embedding(3, WIDTH)}, "'tags' is a feature of kind 'list'"),
        ({"price": nn.Embedding(3, WIDTH)}, "'price' is a feature of kind 'numeric'"),
        ({"brand": nn.Embedding(5, WIDTH)}, "'brand' .* has 5 values, but the feature 3"),
    ],
)
@every_model
def test_what_cannot_be_embedded(
    kind: Callable[..., CTRModel], embed: dict[str, nn.Module], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        kind(nn.Embedding(NUM_ITEMS, WIDTH), features=FEATURES, embed=embed)


def test_embeddings_without_features_and_of_other_widths() -> None:
    items, brands = nn.Embedding(NUM_ITEMS, WIDTH), nn.Embedding(NUM_BRANDS, 5)
    for features in (None, Features(users=FEATURES.users)):
        with pytest.raises(InputError, match="there is no feature 'brand' to embed"):
            DIN(items, features=features, embed={"brand": brands})
    with pytest.raises(InputError, match="the width of 'brand' is that of its embedding"):
        DIN(items, features=FEATURES, widths={"brand": 5}, embed={"brand": brands})
    with pytest.raises(InputError, match=r"'brand' is 5 wide, but PNN has features as wide .* 3"):
        PNN(items, features=FEATURES, embed={"brand": brands})
