"""The arms of benchmarks/theory's capacity: what each holds fixed, and the gap at equal fit."""

import math

import numpy as np
import pytest
import torch

from benchmarks.theory import capacity
from benchmarks.theory.capacity_report import gap_at, with_equal_fit
from resemb_gnn.nn import ItemEmbedding
from resemb_gnn.theory import envelope_radius


def test_a_pinned_radius_is_what_was_asked_for_whatever_is_learnt() -> None:
    torch.manual_seed(0)
    interest = torch.tensor([0] * 5 + [1] * 8 + [2] * 11)  # of unequal sizes, and so are the cells
    cell = capacity.cells_within(interest, 3)
    for ratio in (0.25, 2.25):
        embedding = capacity.PinnedEmbedding(interest, cell, 4, ratio, trained=True)
        for parameter in embedding.parameters():
            parameter.data = 3 * torch.randn_like(parameter) + 1
        vectors = embedding.materialize().weight
        found = envelope_radius(vectors, interest)
        expected = [ratio / math.sqrt(1 + ratio**2)] * 3
        assert found.rms.tolist() == pytest.approx(expected, abs=1e-5)
        means = torch.stack([vectors[interest == k].mean(dim=0) for k in range(3)])
        assert torch.allclose(means, embedding.centers, atol=1e-5)
        assert len(vectors.unique(dim=0)) == 9


def test_cells_are_equally_many_and_large_within_interests_and_across() -> None:
    interest = torch.arange(60) % 10

    def made(kind: str, cells: int, **more: float) -> tuple[ItemEmbedding, int]:
        torch.manual_seed(0)
        embedding = capacity.capacity_embedding(interest, 4, {"kind": kind, "cells": cells, **more})
        trained = [each.numel() for each in embedding.parameters() if each.requires_grad]
        return embedding, sum(trained)

    sizes = {}
    for kind in ("within", "across"):
        embedding, trained = made(kind, 3)
        assert trained == 30 * 4
        cell = embedding.item_groups
        assert cell is not None
        sizes[kind] = cell.bincount().tolist()
        mixed = [interest[cell == k].unique().numel() for k in range(30)]
        assert (max(mixed) == 1) == (kind == "within")
    assert sizes["within"] == sizes["across"] == [2] * 30
    # Fixed directions train no number more, whatever their radius; trained ones do.
    assert {made("fixed", 6, ratio=ratio)[1] for ratio in (0.25, 2.25)} == {10 * 4}
    assert made("trained", 6, ratio=0.25)[1] == 10 * 4 + 60 * 4
    # And apart from that they are the same.
    pair = [made(kind, 6, ratio=2.25)[0].materialize().weight for kind in ("fixed", "trained")]
    assert torch.equal(*pair)


def test_gap_at_equal_training_loss_is_linear_between_epochs() -> None:
    run = {"train_logloss": [0.6, 0.5, 0.3], "test_logloss": [0.62, 0.56, 0.7]}
    for level in (0.65, 0.6, 0.45, 0.3):
        test = np.interp(-level, [-math.log(2), -0.6, -0.5, -0.3], [math.log(2), 0.62, 0.56, 0.7])
        assert gap_at(run, level) == pytest.approx(test - level)
    assert math.isnan(gap_at(run, 0.2))
    alone = {"train_logloss": [0.6, 0.45], "test_logloss": [0.6, 0.47], "arm": capacity.ALONE}
    runs = [run | {"seed": 0, "arm": {}}, alone | {"seed": 0}, run | {"seed": 1, "arm": {}}]
    equal = [each["equal"] for each in with_equal_fit(runs)]
    assert equal[:2] == pytest.approx([0.25 * 0.7 + 0.75 * 0.56 - 0.45, 0.02])
    assert math.isnan(equal[2])  # of a world without the interests alone
