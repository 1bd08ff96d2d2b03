"""Graphs without a fold of users, from the log to the training step."""

import pytest
import torch

from resemb_gnn import DIN, BehaviorLog, InputError, PermuteNodes, ResEmbedding, SpectralFeatures

from resemb_gnn import covisit_graph, fit  # isort: skip
from resemb_gnn.nn import ENCODERS


def test_fold_graph_is_the_graph_of_the_other_users(log: BehaviorLog) -> None:
    graph = covisit_graph(log, window=3, folds=4, seed=1)
    assert graph.user_fold.bincount().tolist() == [15, 15, 15, 15]
    for fold, part in enumerate(graph.fold_graphs):
        others = covisit_graph(log.select(graph.user_fold[log.users] != fold), window=3)
        assert torch.equal(part.edge_index, others.edge_index)
        assert torch.equal(part.edge_weight, others.edge_weight)
    full = covisit_graph(log, window=3)
    assert torch.equal(graph.edge_index, full.edge_index)
    # Every co-visit is missing from exactly one fold's graph.
    total = sum(float(part.edge_weight.sum()) for part in graph.fold_graphs)
    assert total == 3 * float(full.edge_weight.sum())


def test_same_seed_same_folds(log: BehaviorLog) -> None:
    one, same, other = (covisit_graph(log, folds=3, seed=seed).user_fold for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_one_fold_is_refused(log: BehaviorLog) -> None:
    with pytest.raises(InputError, match="folds must be at least 2, not 1"):
        covisit_graph(log, folds=1)


def test_fold_features_are_turned_to_the_full_graphs(log: BehaviorLog) -> None:
    graph = SpectralFeatures(8)(covisit_graph(log, folds=5))
    for part in graph.fold_graphs:
        alone = SpectralFeatures(8)(part.clone())
        # The same geometry (inner products), in a rotation closer to the full graph's.
        assert torch.allclose(part.x @ part.x.T, alone.x @ alone.x.T, atol=1e-3)
        assert (part.x - graph.x).norm() <= (alone.x - graph.x).norm() + 1e-4


def test_permutation_moves_all_graphs_alike(log: BehaviorLog) -> None:
    graph = covisit_graph(log, folds=3)
    moved = PermuteNodes(seed=2)(graph.clone())
    for part, other in zip(graph.fold_graphs, moved.fold_graphs, strict=True):
        fresh = PermuteNodes(seed=2)(part.clone())
        assert torch.equal(fresh.edge_index, other.edge_index)
        assert torch.equal(fresh.edge_weight, other.edge_weight)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_embedding_of_a_fold_is_that_of_its_graph(log: BehaviorLog, encoder: str) -> None:
    graph = SpectralFeatures(8)(covisit_graph(log, folds=3))
    embedding = ResEmbedding(graph, 4, num_centers=6, encoder=encoder)
    ids = torch.arange(log.num_items)
    for fold, part in enumerate(graph.fold_graphs):
        alone = ResEmbedding(part, 4, num_centers=6, encoder=encoder, shrinkage=None)
        state = {k: v for k, v in embedding.state_dict().items() if k != "graph_hash"}
        alone.load_state_dict(state, strict=False)
        assert torch.allclose(
            embedding(ids, fold=fold) - embedding.residual_part(ids),
            alone(ids) - alone.residual_part(ids),
            atol=1e-6,
        )
    assert not torch.allclose(embedding(ids, fold=0), embedding(ids))


def test_batches_hold_one_fold_and_every_example_once(log: BehaviorLog) -> None:
    examples = log.split().train
    user_fold = torch.arange(log.num_users) % 3
    batches = list(
        examples.batches(32, generator=torch.Generator().manual_seed(0), user_fold=user_fold)
    )
    seen = []
    for batch in batches:
        assert batch.fold is not None
        assert bool((user_fold[batch.user] == batch.fold).all())
        assert len(batch) <= 32
        seen += list(zip(batch.user.tolist(), batch.target.tolist(), strict=True))
    assert sorted(seen) == sorted(
        zip(examples.user.tolist(), examples.target.tolist(), strict=True)
    )
    folds = [batch.fold for batch in batches]
    assert folds != sorted(folds)  # type: ignore[type-var]


def test_fit_trains_on_the_graphs_of_other_folds(log: BehaviorLog) -> None:
    split = log.split()
    seen = set()

    class Watching(ResEmbedding):
        def forward(self, ids: torch.Tensor, fold: int | None = None) -> torch.Tensor:
            seen.add((self.training, fold))
            return super().forward(ids, fold)

    graph = covisit_graph(split.history, folds=3)
    fit(DIN(Watching(graph, 4, 8, feature_dim=8)), split, epochs=1, progress=False)
    assert seen == {(True, 0), (True, 1), (True, 2), (False, None)}


def test_folds_of_another_log_are_refused(log: BehaviorLog) -> None:
    split = log.split()
    graph = covisit_graph(split.history, folds=3)
    graph.user_fold = graph.user_fold[:-1]
    with pytest.raises(InputError, match="folds deal out 59 users, but the log has 60"):
        fit(DIN(ResEmbedding(graph, 4, 8, feature_dim=8)), split, progress=False)
