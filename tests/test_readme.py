"""The library examples of README run as they stand there."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from torch import nn

from resemb_gnn import BehaviorLog


def test_library_examples(
    log: BehaviorLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    example, staged = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    frame = pl.DataFrame(
        {
            "user_id": log.user_ids.gather(log.users.numpy()),
            "item_id": log.item_ids.gather(log.items.numpy()),
            "ts": log.times.numpy(),
        }
    )
    frame.write_parquet(tmp_path / "log.parquet")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(example, names)
    assert 0.5 < names["result"].test.auc <= 1
    assert isinstance(names["emb"].materialize(), nn.Embedding)
    assert names["emb"].center_weights(names["ids"]).shape == (3, 64)
    exec(staged, names)  # goes on with the graph and the split of the first
    assert 0.5 < names["result"].test.auc <= 1
    assert names["emb"].center_weights(names["ids"]).shape == (3, 512)
