"""Fields of settings classes."""

import json
from dataclasses import asdict
from pathlib import Path

from resemb_gnn.pipeline.fit_settings import FitSettings


def test_paths_are_kept_as_text() -> None:
    """A model's folder holds its settings as JSON."""
    settings = FitSettings(data=Path("a/log.csv"), out=Path("b"), tensorboard=Path("c"))
    assert (settings.data, settings.out, settings.tensorboard) == ("a/log.csv", "b", "c")
    assert json.loads(json.dumps(asdict(settings)))["data"] == "a/log.csv"
