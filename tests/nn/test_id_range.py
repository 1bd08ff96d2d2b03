"""Item ids outside the table are refused as ``torch.nn.Embedding`` refuses them, in every way."""

from typing import Any

import pytest
import torch
from dense_reference import random_graph
from every_embedding import EMBEDDINGS, RES_EMBEDDINGS
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from resemb_gnn import BehaviorLog, InputError, covisit_graph
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.nn import LightGCNEmbedding

SIZES = (9, 200)  # of two ids, those of a small table are marked, those of a large one sorted
MADE: dict[tuple[str, int], nn.Module] = {}


def embedding(kind: str, size: int) -> Any:
    if (kind, size) not in MADE:
        torch.manual_seed(0)
        MADE[kind, size] = EMBEDDINGS[kind](random_graph(0, num_nodes=size, num_edges=3 * size))
    return MADE[kind, size]


shapes = st.lists(st.integers(1, 4), max_size=3)
far = st.sampled_from([1, 2, 100, 2**31 - 1])


@st.composite
def ids_with_one_outside(draw: st.DrawFn) -> tuple[int, Tensor]:
    size, shape, beyond = draw(st.sampled_from(SIZES)), draw(shapes), draw(far)
    ids = torch.randint(
        size, shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99)))
    )
    at = draw(st.integers(0, ids.numel() - 1))
    ids.view(-1)[at] = -beyond if draw(st.booleans()) else min(size - 1 + beyond, 2**31 - 1)
    return size, ids.to(draw(st.sampled_from([torch.int64, torch.int32])))


@pytest.mark.parametrize("kind", EMBEDDINGS)
@settings(max_examples=25, deadline=None)
@given(case=ids_with_one_outside())
def test_an_id_out_of_range_is_refused(kind: str, case: tuple[int, Tensor]) -> None:
    size, ids = case
    emb = embedding(kind, size)
    asked = [emb, emb.penalty]
    if kind in RES_EMBEDDINGS:
        asked += [emb.center_weights, emb.center_part, emb.residual_part]
        asked += [lambda ids: emb.encoder(ids.flatten())]
        asked += [lambda ids: emb.encoder.mix(ids.flatten(), emb.centers)]
    for ask in asked:
        with pytest.raises(IndexError):
            ask(ids)


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("size", SIZES)
def test_int32_is_as_good_as_int64(kind: str, size: int) -> None:
    emb = embedding(kind, size)
    ids = torch.tensor([[3, 0, 3], [8, 1, 2]])
    for part in (ids, ids[0], ids[:, :0], ids[0, 0]):
        assert torch.equal(emb(part.int()), emb(part))
        assert emb(part).shape == (*part.shape, emb.embedding_dim)
        torch.testing.assert_close(emb.penalty(part.int()), emb.penalty(part))
        if kind in RES_EMBEDDINGS:
            assert torch.equal(emb.center_weights(part.int()), emb.center_weights(part))
            assert torch.equal(emb.center_part(part.int()), emb.center_part(part))


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.uint8, torch.int16])
def test_other_types_are_no_ids(kind: str, dtype: torch.dtype) -> None:
    emb, ids = embedding(kind, 9), torch.tensor([[1, 0], [1, 1]])
    for part in (ids, ids[0]):
        with pytest.raises((RuntimeError, IndexError)):
            emb(part.to(dtype))


# Their sizes do not depend on the numbers: a step need not wait for the device, and a tensor of the
# meta device, which holds none, shows that no number is asked for.
@pytest.mark.parametrize("kind", ["gcn", "sign", "hard", "signed", "semantic", "LightGCN", "plain"])
def test_the_check_does_not_wait_for_the_device(kind: str) -> None:
    torch.manual_seed(0)
    emb = EMBEDDINGS[kind](random_graph(0)).to("meta")
    out = emb(torch.zeros(5, dtype=torch.long, device="meta"))
    assert out.shape == (5, 4)
    out.sum().backward()


@pytest.mark.parametrize("kind", [kind for kind in EMBEDDINGS if kind != "plain"])
@pytest.mark.parametrize("fold", [-3, -1, 2, 5])
def test_a_fold_that_is_not_there_is_refused(kind: str, fold: int, log: BehaviorLog) -> None:
    emb = EMBEDDINGS[kind](NodeFeatures(4)(covisit_graph(log, folds=2)))
    ids = torch.tensor([0, 1])
    assert emb(ids, fold=1).shape == (2, 4)
    with pytest.raises(InputError, match=f"fold={fold} is none of the 2 folds of the graph"):
        emb(ids, fold=fold)


def test_a_graph_without_folds_has_none() -> None:
    for emb in (embedding("gcn", 9), LightGCNEmbedding(random_graph(0), 4)):
        with pytest.raises(InputError, match="fold=0 is none of the 0 folds"):
            emb(torch.tensor([0]), fold=0)
