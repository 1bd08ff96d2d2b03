"""A compiled model takes the steps that it takes uncompiled."""

import copy
import shutil

import pytest
import torch
from padded_reference import NUM_ITEMS, make_batch
from torch import nn

from resemb_gnn import DIN
from resemb_gnn.training import ModelAdam, training_step

pytestmark = pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None,
    reason="torch.compile needs a C++ compiler",
)


def test_same_steps_in_few_graphs_for_all_sizes() -> None:
    torch.manual_seed(0)
    models = [DIN(nn.Embedding(NUM_ITEMS, 4), hidden=(8,))]
    models.append(copy.deepcopy(models[0]))
    models[1].compile(fullgraph=True)
    pairs = [(model, ModelAdam(model, 0.01)) for model in models]
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for lengths in ([3, 0, 5], [2, 2, 1, 7, 4], [0, 0, 9, 1], [1] * 6, [4] * 7, [2, 8]):
        batch = make_batch(lengths)
        losses = [training_step(model, batch, optimizer) for model, optimizer in pairs]
        torch.testing.assert_close(*losses, atol=1e-5, rtol=1e-5)
    # A second one if two sizes of the first batch happen to be equal.
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] - graphs in (1, 2)
    for eager, compiled in zip(*(model.state_dict().values() for model in models), strict=True):
        torch.testing.assert_close(compiled, eager, atol=1e-4, rtol=1e-4)


def test_a_copy_of_a_compiled_model_trains_itself() -> None:
    torch.manual_seed(0)
    model = DIN(nn.Embedding(NUM_ITEMS, 4), hidden=(8,))
    model.compile()
    twin = copy.deepcopy(model)
    before = copy.deepcopy(model.state_dict())
    training_step(twin, make_batch([3, 0, 5]), ModelAdam(twin, 0.01))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert not torch.equal(twin.embedding.weight, model.embedding.weight)
