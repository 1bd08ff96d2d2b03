"""Equal runs save equal files."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open

import resemb_gnn as rg


@pytest.mark.parametrize("embedding", ["gcn", "category", "plain"])
def test_two_fits_save_the_same_bytes(
    embedding: str, train_on: Callable[..., rg.TrainedModel], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        train_on(embedding=embedding).save(tmp_path / name)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    )
    assert "weights.safetensors" in one
    assert one == two


def test_each_part_is_saved_once_under_a_name_of_the_models(
    trained: rg.TrainedModel, tmp_path: Path
) -> None:
    """A part may stand in a model of one's own under several names."""
    model = copy.deepcopy(trained.model)
    model.again = model.embedding
    replace(trained, model=model).save(tmp_path / "model")
    state = model.state_dict(keep_vars=True)
    assert len({id(part) for part in state.values()}) < len(state)
    with safe_open(tmp_path / "model" / "weights.safetensors", "pt") as file:
        names = list(file.keys())
        assert sorted(id(state[name]) for name in names) == sorted(set(map(id, state.values())))
        assert all(file.get_tensor(name).equal(state[name]) for name in names)


def test_a_model_holds_no_figures_of_the_clock(trained: rg.TrainedModel, tmp_path: Path) -> None:
    trained.save(tmp_path / "model")
    figures = json.loads((tmp_path / "model" / "settings.json").read_text())["figures"]
    assert not [name for name in figures if "second" in name]
