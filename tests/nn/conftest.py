"""Fixtures of the layers' tests."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
import torch
import torch_geometric.typing
import torch_geometric.utils._segment as pyg_segment

# Where torch-scatter is not installed, test_torch_scatter.py skips and says so, once.
BACKENDS = ["torch", "torch-scatter"] if find_spec("torch_scatter") else ["torch"]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """A test draws the same numbers alone as after others."""
    torch.manual_seed(0)


def _refuse(*args: Any, **kwargs: Any) -> None:
    raise AssertionError("PyTorch's segment code ran, though torch-scatter's was asked for")


@pytest.fixture(scope="module", params=BACKENDS)
def segment_backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which code PyG's ``segment`` and ``softmax(ptr=)`` run: PyTorch's, then torch-scatter's."""
    with_scatter = request.param == "torch-scatter"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_geometric.typing, "WITH_TORCH_SCATTER", with_scatter)
        patch.setattr(torch_geometric.typing, "WITH_SOFTMAX", False)  # pyg-lib's would go first
        if with_scatter:
            patch.setattr(pyg_segment, "_torch_segment", _refuse)
        yield request.param
