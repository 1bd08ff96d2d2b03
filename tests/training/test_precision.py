"""Training under autocast: every model and encoder takes steps close to those in float32."""

import copy

import pytest
import torch
from torch import nn

from resemb_gnn import (
    DIEN,
    DIN,
    PNN,
    BehaviorLog,
    InputError,
    PooledMLP,
    ResEmbedding,
    SASRec,
    WideDeep,
    covisit_graph,
    fit,
)
from resemb_gnn.training import ModelAdam, training_step


@pytest.mark.parametrize("encoder", ["average", "gcn", "gat", "sign"])
@pytest.mark.parametrize("model", [DIN, DIEN, PNN, PooledMLP, SASRec, WideDeep])
def test_bfloat16_stays_close(model: type[nn.Module], encoder: str, log: BehaviorLog) -> None:
    torch.manual_seed(0)
    exact = model(ResEmbedding(covisit_graph(log), 8, 6, encoder, feature_dim=8))
    mixed = copy.deepcopy(exact)
    batch = log.split().train.batch(torch.arange(40))
    for each, precision in ((exact, "float32"), (mixed, "bfloat16")):
        torch.manual_seed(1)  # DIEN draws negatives, SASRec what it drops
        optimizer = ModelAdam(each, 1e-3)
        losses = [float(training_step(each, batch, optimizer, precision)) for _ in range(3)]
        assert losses[-1] < losses[0]
    for name, value in exact.named_parameters():
        other = dict(mixed.named_parameters())[name]
        assert other.dtype == torch.float32
        assert other.grad is None or other.grad.dtype == torch.float32
        torch.testing.assert_close(other, value, atol=0.01, rtol=0.05)
    assert any(
        not torch.equal(a, b) for a, b in zip(exact.parameters(), mixed.parameters(), strict=True)
    )


def test_fit_in_bfloat16(log: BehaviorLog) -> None:
    figures = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        model = DIN(nn.Embedding(log.num_items, 8))
        result = fit(model, log.split(), epochs=2, progress=False, precision=precision)
        figures.append(result.test.logloss)
    assert figures[0] != figures[1]
    assert figures[0] == pytest.approx(figures[1], abs=0.02)


def test_unknown_precision(log: BehaviorLog) -> None:
    with pytest.raises(InputError, match="precision='half' is unknown"):
        fit(DIN(nn.Embedding(log.num_items, 8)), log.split(), precision="half")
