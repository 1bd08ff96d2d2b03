"""The category as a second feature."""

import pytest
import torch
from torch import Tensor, nn

from resemb_gnn import DIN, BehaviorLog, InputError, ResEmbedding, covisit_graph
from resemb_gnn.models import WithCategory

CATEGORY = torch.tensor([2, 0, 0, 1, 2, 1])


@pytest.mark.parametrize("shape", [(), (0,), (4,), (3, 5), (2, 0)])
def test_category_follows_the_item(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    items = nn.Embedding(6, 4)
    both = WithCategory(items, CATEGORY, category_dim=3)
    ids = torch.randint(6, shape)
    out = both(ids)
    assert both.embedding_dim == 7
    assert out.shape == (*shape, 7)
    for row, item in zip(out.reshape(-1, 7), ids.flatten().tolist(), strict=True):
        category = both.category_embedding.weight[int(CATEGORY[item])]
        assert torch.equal(row, torch.cat([items.weight[item], category]))


def test_gradients_reach_item_and_category() -> None:
    both = WithCategory(nn.Embedding(6, 4), CATEGORY, category_dim=3)
    both(torch.tensor([0, 3, 0])).sum().backward()
    assert both.embedding.weight.grad[:, 0].tolist() == [2, 0, 0, 1, 0, 0]
    assert both.category_embedding.weight.grad[:, 0].tolist() == [0, 1, 2]


def test_with_res_embedding_and_a_log(log: BehaviorLog) -> None:
    emb = ResEmbedding(covisit_graph(log), embedding_dim=4, num_centers=3, feature_dim=6)
    both = WithCategory(emb, log.item_category, category_dim=2)
    ids = torch.arange(log.num_items)
    assert both.category_embedding.num_embeddings == log.num_categories
    assert torch.equal(both(ids)[:, :4], emb(ids))
    own = both(ids)[:, 4:]
    same = log.item_category[:, None] == log.item_category
    assert torch.equal((own[:, None] == own).all(dim=2), same)


class HalfWidth(nn.Module):
    """Somebody's embedding without ``num_embeddings``."""

    embedding_dim = 2

    def forward(self, ids: Tensor) -> Tensor:
        return torch.stack([ids, -ids], dim=-1).float()


def test_any_module_with_embedding_dim() -> None:
    both = WithCategory(HalfWidth(), CATEGORY, category_dim=3)
    ids = torch.tensor([[5, 1]])
    assert torch.equal(both(ids)[..., :2], torch.tensor([[[5.0, -5.0], [1.0, -1.0]]]))


@pytest.mark.parametrize("category", [CATEGORY[:5], CATEGORY[:, None], torch.zeros(7).long()])
def test_one_category_an_item(category: Tensor) -> None:
    with pytest.raises(InputError, match=r"item_category has shape .* 6 items"):
        WithCategory(nn.Embedding(6, 4), category, category_dim=3)


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
        WithCategory(HalfWidth(), CATEGORY[:0], category_dim=3)


def test_state_dict_round_trip() -> None:
    both = WithCategory(nn.Embedding(6, 4), CATEGORY, category_dim=3)
    other = WithCategory(nn.Embedding(6, 4), CATEGORY, category_dim=3)
    other.load_state_dict(both.state_dict())
    ids = torch.arange(6)
    assert torch.equal(other(ids), both(ids))


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
