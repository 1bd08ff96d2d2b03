"""Devices by name."""

import pytest
import torch
from torch import nn

import resemb_gnn as rg
from resemb_gnn.training import check_device


@pytest.mark.parametrize(
    "device",
    [
        *("mps", "gpu", "meta", "xpu", "CUDA", "", " cpu", "cpu:", "cpu:x", "cuda:-1", "cuda:01"),
        *("cuda:1.0", "cuda:٣", None, 0, True, 1.5, b"cpu", torch.device("meta")),
    ],
)
def test_what_is_no_device_of_ours(device, log: rg.BehaviorLog) -> None:
    with pytest.raises(rg.InputError, match="is unknown; choose cpu, cuda or cuda:N"):
        check_device(device)
    with pytest.raises(rg.InputError, match="is unknown; choose"):
        rg.fit(rg.DIN(nn.Embedding(log.num_items, 4)), log.split(), device=device, progress=False)


@pytest.mark.parametrize("count", [0, 1, 50])
def test_gpus_that_are_not_there(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch itself takes cuda:300 for cuda:44, and cuda:65535 for cuda:-1."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    for number in (count, 300, 1000, 65535, 999_999_999):
        with pytest.raises(rg.InputError, match=f"'cuda:{number}' was asked for, but PyTorch sees"):
            check_device(f"cuda:{number}")
    if count:
        assert check_device("cuda") == torch.device("cuda")
        assert check_device(torch.device("cuda", count - 1)) == torch.device("cuda", count - 1)


@pytest.mark.parametrize("device", ["cpu", "cpu:0", torch.device("cpu")])
def test_the_cpu(device: str | torch.device) -> None:
    assert check_device(device) == torch.device("cpu")
