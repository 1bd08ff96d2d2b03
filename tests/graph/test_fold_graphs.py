"""Graphs without a fold, made by subtraction, against the graphs of the other users' logs."""

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resemb_gnn import BehaviorLog, InputError, covisit_graph
from resemb_gnn.graph import check_graph
from resemb_gnn.graph.fold_graphs import FoldGraphs, nodes_of, with_attribute

OPTIONS = st.fixed_dictionaries(
    {
        "window": st.integers(1, 4),
        "min_count": st.integers(1, 3),
        "top_k": st.none() | st.integers(1, 4),
        "folds": st.integers(2, 5),
        "seed": st.integers(0, 3),
    }
)
HISTORIES = st.lists(st.lists(st.integers(0, 6), max_size=12), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(HISTORIES, OPTIONS)
def test_graphs_are_those_of_the_other_users(make_log, histories, options) -> None:
    log = make_log(histories, 7)
    graph = covisit_graph(log, **options)
    rest = {name: options[name] for name in ("window", "min_count", "top_k")}
    fold = graph.user_fold[log.users]
    assert len(graph.fold_graphs) == options["folds"]
    for number, part in enumerate([*graph.fold_graphs, graph]):
        expected = covisit_graph(log.select(fold != number), **rest)  # of all in the end
        for name in ("edge_index", "edge_weight", "count"):
            assert torch.equal(part[name], expected[name])
            assert part[name].dtype == expected[name].dtype
        assert part.num_nodes == expected.num_nodes


def test_counts_beyond_float32_are_rounded_once() -> None:
    """2^24 + 1 is no float32, but 1 less is: what remains is not taken from the rounded count."""
    edge_index = torch.tensor([[0, 1], [1, 0]])
    graphs = FoldGraphs(
        edge_index,
        torch.full((2,), 2.0**24 + 2),
        [torch.tensor([0, 1])],
        [torch.full((2,), 2.0**24 - 1)],
        torch.ones(1, 2, dtype=torch.long),
    )
    assert graphs[0].edge_weight.tolist() == [2**24 - 1] * 2
    assert graphs.sums(0).tolist() == [2**24 - 1] * 2


def test_a_graph_is_made_anew_and_a_list_can_be_changed(log: BehaviorLog) -> None:
    graph = covisit_graph(log, folds=3)
    graph.fold_graphs[0].edge_weight *= 2
    graph.fold_graphs[0].x = torch.ones(2)
    fresh = covisit_graph(log, folds=3).fold_graphs[0]
    assert torch.equal(graph.fold_graphs[0].edge_weight, fresh.edge_weight)
    assert graph.fold_graphs[0].x is None
    parts = graph.fold_graphs[1:]
    parts[0].edge_weight *= 2
    assert torch.equal(parts[0].edge_weight, 2 * graph.fold_graphs[1].edge_weight)
    assert torch.equal(graph.fold_graphs[-1].edge_index, parts[1].edge_index)
    with pytest.raises(IndexError):
        graph.fold_graphs[3]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda graph: pickle.loads(pickle.dumps(graph))])
def test_copies_are_the_same(log: BehaviorLog, copied) -> None:
    graph = covisit_graph(log, folds=3)
    other = copied(graph)
    for one, two in zip(graph.fold_graphs, other.fold_graphs, strict=True):
        assert torch.equal(one.edge_index, two.edge_index)
        assert torch.equal(one.edge_weight, two.edge_weight)


def test_clone_has_a_list_of_graphs(log: BehaviorLog) -> None:
    graph = covisit_graph(log, folds=3)
    parts = graph.clone().fold_graphs
    assert isinstance(parts, list)
    assert torch.equal(parts[2].edge_index, graph.fold_graphs[2].edge_index)


@pytest.mark.parametrize("kind", [list, lambda graphs: graphs])
def test_attributes_are_added_to_copies(log: BehaviorLog, kind) -> None:
    graphs = kind(covisit_graph(log, folds=2).fold_graphs)
    values = [torch.zeros(log.num_items, 1), torch.ones(log.num_items, 1)]
    added = with_attribute(graphs, "x", values)
    assert all(part.x is value for part, value in zip(added, values, strict=True))
    assert all(part.x is None for part in graphs)
    assert all(part.x is value for part, value in zip(nodes_of(added), values, strict=True))
    assert torch.equal(added[1].edge_index, graphs[1].edge_index)


def test_features_of_folds_are_checked(log: BehaviorLog) -> None:
    graph = covisit_graph(log, folds=2)
    values = [torch.zeros(log.num_items, 1), torch.zeros(log.num_items + 1, 1)]
    graph.fold_graphs = with_attribute(graph.fold_graphs, "x", values)
    with pytest.raises(InputError, match=r"fold graph 1: graph\.x has shape"):
        check_graph(graph)
