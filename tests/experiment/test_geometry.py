from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from torch_geometric.nn import SAGEConv

from resemb_gnn import BehaviorLog, InputError, ResEmbedding, covisit_graph
from resemb_gnn.experiment.geometry import ItemGeometry, item_geometry

ENCODERS = {"average": 6, "gcn": 6, "gat": 6, "average of items": None}


def make(log: BehaviorLog, encoder: str = "gcn", **settings: object) -> ResEmbedding:
    torch.manual_seed(0)
    graph = covisit_graph(log)
    settings = {"num_centers": ENCODERS[encoder], "residual_std": 0.2, "feature_dim": 4} | settings
    return ResEmbedding(graph, 5, encoder=encoder.split()[0], **settings)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_points_against_numpy(log: BehaviorLog, encoder: str) -> None:
    embedding = make(log, encoder, shrinkage=10.0)
    found = item_geometry(embedding, max_items=25)
    items = torch.from_numpy(found.items)
    with torch.no_grad():
        rows = embedding(items).double().numpy()
        residual = embedding.residual_part(items).double().numpy()
        weights = embedding.center_weights(items).double().numpy()

    centered = rows - rows.mean(axis=0)
    _, values, axes = np.linalg.svd(centered, full_matrices=False)
    sign = np.sign((centered @ axes[:2].T * found.embedding).sum(axis=0))
    axes = axes[:2] * sign[:, None]
    np.testing.assert_allclose(found.embedding, centered @ axes.T, atol=1e-5)
    np.testing.assert_allclose(found.embedding - found.central, residual @ axes.T, atol=1e-5)
    # Weights sum to 1, so the mix of the centres survives the projection.
    np.testing.assert_allclose(found.central, weights @ found.centers, atol=1e-5)
    assert found.main_center.tolist() == weights.argmax(axis=1).tolist()
    share = np.square(values[:2]) / np.square(values).sum()
    np.testing.assert_allclose(found.explained, share, rtol=1e-4)
    assert int(found.num_items) == log.num_items
    assert found.center_per_item == (encoder == "average of items")


@pytest.mark.parametrize("encoder", ENCODERS)
def test_usage_is_the_mean_weight(log: BehaviorLog, encoder: str) -> None:
    embedding = make(log, encoder)
    weights = embedding.center_weights(torch.arange(log.num_items)).detach()
    found = item_geometry(embedding, max_items=3)
    np.testing.assert_allclose(found.usage, weights.mean(dim=0), atol=1e-6)
    entropy = torch.distributions.Categorical(weights.mean(dim=0)).entropy()
    assert found.effective_centers == pytest.approx(float(entropy.exp()), rel=1e-4)
    assert all(parameter.grad is None for parameter in embedding.parameters())


def test_any_module_as_encoder(log: BehaviorLog) -> None:
    embedding = ResEmbedding(covisit_graph(log), 5, 7, SAGEConv(4, 7), feature_dim=4)
    weights = embedding.center_weights(torch.arange(log.num_items)).detach()
    np.testing.assert_allclose(item_geometry(embedding).usage, weights.mean(dim=0), atol=1e-6)


def test_draws_the_most_visited(log: BehaviorLog) -> None:
    count = covisit_graph(log).count
    for embedding, given in ((make(log, shrinkage=None), count), (make(log), None)):
        found = item_geometry(embedding, max_items=10, count=given)
        assert found.most_visited
        assert len(found.items) == 10
        left_out = np.setdiff1d(np.arange(log.num_items), found.items)
        assert count[found.items].min() >= count[left_out].max()


def test_draws_at_random_without_counts(log: BehaviorLog) -> None:
    embedding = make(log, shrinkage=None)
    first, again, other = (item_geometry(embedding, 10, seed=seed) for seed in (0, 0, 1))
    assert not first.most_visited
    assert first.items.tolist() == again.items.tolist() != other.items.tolist()
    assert len(set(first.items.tolist())) == 10
    every = item_geometry(embedding, max_items=10_000)
    assert every.items.tolist() == list(range(log.num_items))


def test_degenerate_embeddings(log: BehaviorLog) -> None:
    embedding = make(log)
    one = item_geometry(embedding, max_items=1)
    np.testing.assert_array_equal(one.embedding, np.zeros((1, 2)))
    np.testing.assert_array_equal(one.explained, [0, 0])
    narrow = ResEmbedding(covisit_graph(log), 1, 6, "gcn", feature_dim=4)
    flat = item_geometry(narrow)
    assert flat.explained.tolist() == pytest.approx([1, 0])
    assert np.ptp(flat.embedding[:, 0]) > 0
    np.testing.assert_array_equal(flat.embedding[:, 1], 0)


def test_round_trip(log: BehaviorLog, tmp_path) -> None:
    geometry = item_geometry(make(log))
    path = tmp_path / "gcn.geometry"  # NumPy would add .npz to a name
    geometry.save(path)
    loaded = ItemGeometry.load(path)
    assert vars(loaded).keys() == vars(geometry).keys()
    for name, value in vars(geometry).items():
        np.testing.assert_array_equal(getattr(loaded, name), value)
        assert getattr(loaded, name).dtype == value.dtype


def test_refuses_damaged_files(log: BehaviorLog, tmp_path) -> None:
    geometry = item_geometry(make(log))
    path = tmp_path / "geometry.npz"
    with pytest.raises(InputError, match=r"geometry\.npz"):
        ItemGeometry.load(path)
    geometry.save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="not an item geometry"):
        ItemGeometry.load(path)
    np.savez(path, **{name: value for name, value in vars(geometry).items() if name != "usage"})
    with pytest.raises(InputError, match="usage"):
        ItemGeometry.load(path)
    np.savez(path, **vars(geometry) | {"usage": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(InputError, match="pickle"):
        ItemGeometry.load(path)


def test_refuses_bad_input(log: BehaviorLog) -> None:
    embedding = make(log)
    with pytest.raises(InputError, match="max_items must be at least 1, not 0"):
        item_geometry(embedding, max_items=0)
    with pytest.raises(InputError, match=r"count has shape \[3\]"):
        item_geometry(embedding, count=torch.ones(3))
    with torch.no_grad():
        embedding.centers[0, 0] = torch.nan
    with pytest.raises(InputError, match="not finite"):
        item_geometry(embedding)


def test_a_picture_is_written_whole_or_not_at_all(
    make_geometry: Callable[..., ItemGeometry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gcn.npz"
    make_geometry().save(path)
    before = path.read_bytes()

    def full(file: BinaryIO, **_: Any) -> None:
        file.write(b"PK")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        make_geometry().save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
