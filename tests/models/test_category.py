"""The category as a second feature."""

import pytest
import torch
from torch import Tensor, nn

from resemb_gnn import DIN, BehaviorLog, InputError, ResEmbedding, covisit_graph
from resemb_gnn.models import CategoryEmbedding

CATEGORY = torch.tensor([2, 0, 0, 1, 2, 1])


@pytest.mark.parametrize("shape", [(), (0,), (4,), (3, 5), (2, 0)])
def test_category_follows_the_item(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    feature = CategoryEmbedding(CATEGORY, 3, 6)
    ids = torch.randint(6, shape)
    out = feature(ids)
    assert out.shape == (*shape, 3)
    for row, item in zip(out.reshape(-1, 3), ids.flatten().tolist(), strict=True):
        assert torch.equal(row, feature.embedding.weight[int(CATEGORY[item])])


def test_stands_behind_the_items_embedding() -> None:
    model = DIN(nn.Embedding(6, 4), item_category=CATEGORY)
    assert model.category is not None
    ids = torch.tensor([0, 3, 0])
    found = model.item_features(ids)
    assert found.shape == (3, model.feature_dim) == (3, 8)
    assert torch.equal(found, torch.cat([model.embedding(ids), model.category(ids)], dim=1))
    found.sum().backward()
    assert model.embedding.weight.grad[:, 0].tolist() == [2, 0, 0, 1, 0, 0]
    assert model.category.embedding.weight.grad[:, 0].tolist() == [0, 1, 2]


def test_with_res_embedding_and_a_log(log: BehaviorLog) -> None:
    emb = ResEmbedding(covisit_graph(log), embedding_dim=4, num_centers=3, feature_dim=6)
    assert log.item_category is not None
    model = DIN(emb, item_category=log.item_category)
    assert model.category is not None
    ids = torch.arange(log.num_items)
    assert model.category.embedding.num_embeddings == log.num_categories
    assert torch.equal(model.item_features(ids)[:, :4], emb(ids))
    own = model.item_features(ids)[:, 4:]
    same = log.item_category[:, None] == log.item_category
    assert torch.equal((own[:, None] == own).all(dim=2), same)


class HalfWidth(nn.Module):
    """Somebody's embedding without ``num_embeddings``."""

    embedding_dim = 2

    def forward(self, ids: Tensor) -> Tensor:
        return torch.stack([ids, -ids], dim=-1).float()


def test_any_module_with_embedding_dim() -> None:
    model = DIN(HalfWidth(), item_category=CATEGORY)
    found = model.item_features(torch.tensor([5, 1]))
    assert torch.equal(found[:, :2], torch.tensor([[5.0, -5.0], [1.0, -1.0]]))


def test_another_embedding_may_take_its_place() -> None:
    model = DIN(nn.Embedding(6, 4), item_category=CATEGORY)
    model.embedding = other = nn.Embedding(6, 4)
    ids = torch.arange(6)
    assert torch.equal(model.item_features(ids)[:, :4], other(ids))


@pytest.mark.parametrize("trained", [True, False])
def test_over_other_items_it_stays_as_trainable_as_it_was(trained: bool) -> None:
    feature = CategoryEmbedding(CATEGORY, 3, 6).requires_grad_(trained)
    found = feature.over(torch.cat([CATEGORY, torch.tensor([3])]), 7)
    assert found.embedding.weight.requires_grad == trained
    assert torch.equal(found.embedding.weight[:3], feature.embedding.weight)


@pytest.mark.parametrize("category", [CATEGORY[:5], CATEGORY[:, None], torch.zeros(7).long()])
def test_one_category_an_item(category: Tensor) -> None:
    with pytest.raises(InputError, match=r"item_category has shape .* 6 items"):
        DIN(nn.Embedding(6, 4), item_category=category)


@pytest.mark.parametrize(
    ("category", "message"),
    [
        (CATEGORY.float(), r"item_category holds torch\.float32, not torch\.int64"),
        (CATEGORY.bool(), r"item_category holds torch\.bool, not torch\.int64"),
        (CATEGORY - 1, "item_category holds -1, which is below 0"),
        (CATEGORY.tolist(), r"item_category is no tensor: \[2, 0, 0, 1, 2, 1\]"),
    ],
)
def test_categories_are_whole_numbers_from_zero(category: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DIN(nn.Embedding(6, 4), item_category=category)


def test_no_items_have_no_category() -> None:
    with pytest.raises(InputError, match=r"item_category has shape \[0\]"):
        DIN(HalfWidth(), item_category=CATEGORY[:0])


@pytest.mark.parametrize("changed", [CATEGORY.flip(0), CATEGORY + 7, CATEGORY[:5]])
def test_weights_of_other_categories(changed: Tensor) -> None:
    model = DIN(nn.Embedding(6, 4), item_category=CATEGORY)
    state = model.state_dict()
    before = {name: part.clone() for name, part in state.items()}
    (name,) = (name for name in state if name.endswith("item_category"))
    others = {key: part + 1 for key, part in before.items()} | {name: changed}
    with pytest.raises(InputError, match="other categories of the items"):
        model.load_state_dict(others)
    unchanged = model.state_dict()
    assert torch.equal(unchanged[name], before[name])
