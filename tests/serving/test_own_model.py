"""The recipe of docs/serving.md for a click model of one's own, in ONNX Runtime's hands."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import resemb_gnn as rg
from resemb_gnn.data import Batch
from resemb_gnn.nn import PlainEmbedding
from resemb_gnn.serving import export_scorer
from tests.shop import read_shop, write_shop

RECIPE = Path(__file__).resolve().parents[2] / "docs" / "serving.md"


def test_it_exports(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra serve")
    pytest.importorskip("onnxscript", reason="needs the extra serve")
    section = RECIPE.read_text().split("### A click model of your own")[1]
    code = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    known: dict[str, Any] = {}
    exec(code[0], known)
    write_shop(tmp_path)
    log = read_shop(tmp_path)
    torch.manual_seed(0)
    known |= {"embedding": PlainEmbedding(log.num_items, 4, std=0.5), "log": log}
    known |= {"split": log.split(by="time"), "rg": rg, "export_scorer": export_scorer}
    exec(code[1].replace("served/", str(tmp_path)).replace("split)", "split, epochs=1)"), known)
    model = known["model"].eval()
    session = onnxruntime.InferenceSession(tmp_path / "scorer.onnx")
    users = pl.read_parquet(tmp_path / "users.parquet")["user_id"]
    assert users.equals(log.user_ids)
    assert log.features is not None
    assert log.features.context is not None
    for lengths in ([0], [3, 0, 5, 1]):
        size = len(lengths)
        ptr = torch.tensor([0, *lengths]).cumsum(0)
        history = torch.arange(int(ptr[-1])) * 7 % log.num_items
        target, user, row = (torch.arange(size) + one for one in (11, 2, 40))
        context = log.features.context
        batch = Batch(history, ptr, target, torch.zeros(size), user, row=row, context=context[row])
        feed = {"history": history, "ptr": ptr, "target": target, "user": user}
        for one in context[row]:
            feed[f"context.{one.name}"] = one.values
            if one.ptr is not None:
                feed[f"context.{one.name}.ptr"] = one.ptr
        (logit,) = session.run(None, {name: value.numpy() for name, value in feed.items()})
        with torch.no_grad():
            np.testing.assert_allclose(logit, model(batch), atol=1e-5)
