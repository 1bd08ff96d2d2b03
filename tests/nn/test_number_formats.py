"""Every embedding and layer in every number format, with and without autocast, against float32."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import polars as pl
import pytest
import torch
from every_embedding import EMBEDDINGS, RES_EMBEDDINGS
from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn import BehaviorLog, DINAttention, ResEmbedding, covisit_graph
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.nn import AUGRU, BatchNorm, Dice, HashedCrosses
from resemb_gnn.nn.layers.packing import pack

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
# How far a value may be from float32's, in its own size and in that of the largest one.
TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-4, torch.bfloat16: 0.05, torch.float16: 0.01}
IDS = torch.tensor([[1, 30, 3], [1, 1, 39]])
NEIGHBORS = [torch.tensor([1, 2]), torch.tensor([], dtype=torch.long), torch.tensor([7, 7, 30])]


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def graph(log: BehaviorLog) -> Data:
    return NodeFeatures(6)(covisit_graph(log, folds=2))


@pytest.fixture(scope="module")
def later(log: BehaviorLog) -> BehaviorLog:
    """Behaviours of a user who goes from old items to one that was not there before."""
    items = torch.tensor([7, log.num_items, 3, 7])
    ids = pl.concat([log.item_ids, pl.Series([999])])
    times = torch.arange(4)
    return BehaviorLog(items, torch.tensor([0, 4]), times, pl.Series(["u"]), ids)


def everything(
    emb: nn.Module, later: BehaviorLog, autocast: torch.dtype | None = None
) -> dict[str, Tensor]:
    """What an embedding says, by name, and the gradients of it all."""
    with torch.autocast("cpu", autocast, enabled=autocast is not None):
        found = {"2-D": emb(IDS), "1-D": emb(IDS[0])}
        penalty = emb.penalty(IDS)
        if penalty is not None:
            found["penalty"] = penalty
        if not isinstance(emb, ResEmbedding):
            return found | gradients(found, emb)
        found |= {"fold": emb(IDS, fold=1), "weights": emb.center_weights(IDS)}
        found |= {"centers": emb.center_part(IDS), "residual": emb.residual_part(IDS)}
        found |= {"table": emb.materialize().weight, "new": emb.embed_new(neighbors=NEIGHBORS)}
        grown = emb.update(later)
        assert grown.training == emb.training
        more = {"1-D": grown(torch.tensor([40, 3, 7])), "new": grown.embed_new(neighbors=NEIGHBORS)}
    more |= gradients(more, grown)
    found |= gradients(found, emb)
    return found | {f"updated {name}": value for name, value in more.items()}


def gradients(found: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Of a sum in which every number counts differently."""
    module.zero_grad()
    probes = (torch.linspace(-1, 1.5, x.numel()).view_as(x) for x in found.values())
    sum(
        (x.to(torch.float32) * p).sum() for x, p in zip(found.values(), probes, strict=True)
    ).backward()
    return {f"grad of {k}": v.grad for k, v in module.named_parameters() if v.grad is not None}


def assert_same(found: dict[str, Tensor], exact: dict[str, Tensor], dtype: torch.dtype) -> None:
    """But for rounding, which is measured by the largest number of a value, or of all gradients
    (no less than 0.2: of a bias before a softmax, the gradient is rounding alone).
    """
    assert found.keys() == exact.keys()
    slopes = [float(value.detach().abs().max()) for name, value in exact.items() if "grad" in name]
    steepest = max(0.2, *slopes)
    for name, value in found.items():
        assert value.dtype == dtype, name
        scale = steepest if "grad" in name else max(1e-3, float(exact[name].detach().abs().max()))
        tolerance = scale * TOLERANCE[dtype]
        distance = float((value.double() - exact[name].double()).detach().abs().max())
        assert distance <= tolerance, f"{name}: {distance} away, {tolerance} allowed"


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
def test_embeddings(
    kind: str,
    dtype: torch.dtype,
    autocast: torch.dtype | None,
    training: bool,
    graph: Data,
    later: BehaviorLog,
) -> None:
    emb = EMBEDDINGS[kind](graph).train(training)
    exact = everything(copy.deepcopy(emb), later)
    assert_same(everything(emb.to(dtype), later, autocast), exact, dtype)


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_embeddings_built_in_another_default_type(
    kind: str, dtype: torch.dtype, graph: Data, later: BehaviorLog
) -> None:
    torch.manual_seed(0)
    with default_dtype(dtype):
        emb = EMBEDDINGS[kind](graph)
        found = everything(emb, later)
    other = EMBEDDINGS[kind](graph)
    other.load_state_dict(emb.state_dict())
    assert_same(found, everything(other, later), dtype)


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("autocast", [torch.bfloat16, torch.float16])
def test_a_whole_step_under_autocast(
    kind: str, dtype: torch.dtype, autocast: torch.dtype, graph: Data
) -> None:
    emb = EMBEDDINGS[kind](graph).to(dtype)
    with torch.autocast("cpu", autocast):
        emb(IDS).sum().backward()
    assert all(p.grad.dtype == dtype and p.grad.isfinite().all() for p in emb.parameters())


@pytest.mark.parametrize("kind", RES_EMBEDDINGS)
def test_encoders_alone_under_autocast(kind: str, graph: Data) -> None:
    encoder = RES_EMBEDDINGS[kind](graph).encoder
    ids, centers = IDS[0], torch.randn(encoder.num_centers, 3)
    exact = encoder(ids), encoder.mix(ids, centers)
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder(ids), encoder.mix(ids, centers)
        if kind not in ("average", "item-average", "hard", "semantic", "semantic-prefix"):
            assert encoder.logits(ids).shape == (3, encoder.num_centers)
    for one, other in zip(found, exact, strict=True):
        assert torch.equal(one, other)


PTR = torch.tensor([0, 3, 3, 5])
KEY_INDEX = torch.tensor([0, 4, 4, 2, 1])
_SEEDED = torch.Generator().manual_seed(0)  # drawn on import, whatever was drawn before
QUERY, KEYS, ROWS = (torch.randn(rows, 4, generator=_SEEDED) for rows in (3, 5, 9))
SHARES = torch.rand(5, generator=_SEEDED)
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...]]] = {
    "Dice": (lambda: Dice(4), (ROWS,)),
    "Dice of one row": (lambda: Dice(4), (ROWS[:1],)),
    "Dice of equal rows": (lambda: Dice(4), (torch.ones(5, 4),)),
    "BatchNorm": (lambda: BatchNorm(4), (ROWS,)),
    "BatchNorm of one row": (lambda: BatchNorm(4), (ROWS[:1],)),
    "AUGRU": (lambda: AUGRU(4, 3), (KEYS, pack(PTR, 5).sizes, SHARES)),
    "HashedCrosses": (lambda: HashedCrosses(4), (torch.tensor([1, 2, 3]), KEY_INDEX, PTR)),
    **{
        f"DINAttention {activation} {normalization}": (
            lambda a=activation, n=normalization: DINAttention(4, (6, 4), a, n),
            (QUERY, KEYS, KEY_INDEX, PTR),
        )
        for activation in ("dice", "prelu", "relu")
        for normalization in ("none", "softmax")
    },
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("training", [True, False])
def test_layers(name: str, dtype: torch.dtype, autocast: bool, training: bool) -> None:
    make, inputs = LAYERS[name]
    layer = make().train(training)
    exact_layer = copy.deepcopy(layer)
    exact = {"out": exact_layer(*inputs)}
    exact |= gradients(exact, exact_layer)
    layer.to(dtype)
    own = [x.to(dtype) if x.is_floating_point() else x for x in inputs]
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = {"out": layer(*own)}
    found |= gradients(found, layer)
    assert all(value.dtype == dtype for key, value in found.items() if key != "out")
    # Linear layers compute in bfloat16 under autocast, as they should, but not in float64.
    worst = torch.bfloat16 if autocast and dtype != torch.float64 else dtype
    assert_same({key: value.to(worst) for key, value in found.items()}, exact, worst)
