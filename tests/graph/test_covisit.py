import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import example, given, settings
from torch_geometric.utils import to_dense_adj

from resemb_gnn import InputError, covisit_graph, from_ogb, to_ogb
from resemb_gnn.datasets.sequence_file import read_sequence_file


def _naive(histories, window, min_count=1, top_k=None):
    """Count of each ordered pair of items, by a double loop over a user's behaviours."""
    counts = Counter()
    for items in histories:
        for s in range(len(items)):
            for t in range(s + 1, min(s + window, len(items) - 1) + 1):
                if items[s] != items[t]:
                    counts[items[s], items[t]] += 1
                    counts[items[t], items[s]] += 1
    counts = {pair: count for pair, count in counts.items() if count >= min_count}
    if top_k is not None:
        kept = set()
        for item in {i for i, _ in counts}:
            heaviest = sorted((-count, j) for (i, j), count in counts.items() if i == item)[:top_k]
            kept |= {(item, j) for _, j in heaviest}
        counts = {(i, j): n for (i, j), n in counts.items() if (i, j) in kept or (j, i) in kept}
    return counts


def _check(graph, expected, num_items):
    assert graph.num_nodes == num_items
    assert graph.edge_index.dtype == graph.count.dtype == torch.long
    assert graph.edge_weight.dtype == torch.float32
    assert graph.edge_index.shape == (2, len(expected))
    assert graph.edge_index.is_contiguous()
    edges = list(map(tuple, graph.edge_index.T.tolist()))
    assert edges == sorted(expected)  # sorted and coalesced
    assert graph.edge_weight.tolist() == [expected[pair] for pair in edges]
    graph.validate()
    if expected:
        assert graph.is_coalesced()
        assert graph.is_undirected()
    assert not graph.has_self_loops()


@given(
    st.lists(st.lists(st.integers(0, 6), max_size=12), min_size=1, max_size=6),
    st.integers(1, 14),
    st.integers(1, 4),
    st.none() | st.integers(1, 4),
    st.integers(0, 2),
)
@example([[0, 0, 0]], 5, 1, None, 0)  # pairs, none of two items
@example([[0], [1], []], 5, 1, None, 0)  # no pairs
@settings(max_examples=150, deadline=None)
def test_graph_is_what_a_double_loop_counts(
    make_log, histories, window, min_count, top_k, unseen_items
):
    if not any(histories):
        return
    num_items = 7 + unseen_items
    log = make_log(histories, num_items)
    graph = covisit_graph(log, window=window, min_count=min_count, top_k=top_k)
    _check(graph, _naive(histories, window, min_count, top_k), num_items)
    counts = Counter(item for items in histories for item in items)
    assert graph.count.tolist() == [counts[item] for item in range(num_items)]


@pytest.mark.parametrize("window", [1, 2, 5, 100])
def test_graph_of_the_small_log(log, window):
    histories = [log.items[a:b].tolist() for a, b in pairwise(log.ptr)]
    _check(covisit_graph(log, window), _naive(histories, window), log.num_items)
    expected = _naive(histories, window, min_count=2, top_k=3)
    _check(covisit_graph(log, window, min_count=2, top_k=3), expected, log.num_items)


def test_default_window_is_five(log):
    one, other = covisit_graph(log), covisit_graph(log, window=5)
    assert torch.equal(one.edge_index, other.edge_index)
    assert torch.equal(one.edge_weight, other.edge_weight)


def test_items_of_a_cluster_are_joined_most(log):
    graph = covisit_graph(log)
    same = log.item_category[graph.edge_index[0]] == log.item_category[graph.edge_index[1]]
    # By chance a fifth of the weight would lie within the clusters.
    assert graph.edge_weight[same].sum() > 0.5 * graph.edge_weight.sum()


def test_only_positive_rows_of_a_labelled_log_count(labelled_log):
    graph, expected = covisit_graph(labelled_log), covisit_graph(labelled_log.positives())
    assert torch.equal(graph.edge_index, expected.edge_index)
    assert torch.equal(graph.edge_weight, expected.edge_weight)
    assert torch.equal(graph.count, expected.count)
    assert int(graph.count.sum()) == int(labelled_log.labels.sum())


def test_top_k_keeps_an_edge_that_either_end_keeps(make_log):
    # Item 0 meets 1 three times, 2 twice and 3 once; 3 has no other edge.
    log = make_log([[0, 1]] * 3 + [[0, 2]] * 2 + [[1, 2]] + [[0, 3]])
    graph = covisit_graph(log, top_k=1)
    dense = to_dense_adj(graph.edge_index, edge_attr=graph.edge_weight)[0]
    assert dense.tolist() == [[0, 3, 2, 1], [3, 0, 0, 0], [2, 0, 0, 0], [1, 0, 0, 0]]


def test_log_without_positives_gives_a_graph_without_edges(make_log):
    log = make_log([[0, 1, 2]], labels=[[0, 0, 0]])
    graph = covisit_graph(log, top_k=2)
    _check(graph, {}, 3)
    assert graph.count.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["window", "min_count", "top_k"])
def test_arguments_below_one_are_refused(log, name):
    with pytest.raises(InputError, match=f"{name} must be at least 1, not 0"):
        covisit_graph(log, **{name: 0})


def test_graph_of_beauty(shared_data):
    """Every pair within the window is there once, against a plain loop over 198,502 behaviours."""
    log = read_sequence_file(shared_data / "amazon" / "Beauty.txt")
    graph = covisit_graph(log, window=5)
    items, bounds = log.items.tolist(), log.ptr.tolist()
    pairs = Counter()
    for start, end in pairwise(bounds):
        for s in range(start, end):
            for t in range(s + 1, min(s + 6, end)):
                if items[s] != items[t]:
                    pairs[min(items[s], items[t]) * log.num_items + max(items[s], items[t])] += 1
    low, high = graph.edge_index
    upper = low < high
    keys = (low * log.num_items + high)[upper].tolist()
    assert dict(zip(keys, graph.edge_weight[upper].tolist(), strict=True)) == pairs
    assert graph.num_edges == 2 * len(pairs)
    assert int(graph.count.sum()) == 198_502


def test_memory_stays_within_six_times_the_pair_keys(make_log):
    """At its worst: hardly a pair comes twice. What PyTorch itself allocates is not traced."""
    size, rows, window = 4000, 60_000, 5
    items = torch.randint(size, (rows,), generator=torch.Generator().manual_seed(0))
    log = make_log([items.tolist()], size)
    tracemalloc.start()
    graph = covisit_graph(log, window=window)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    keys = 8 * window * rows
    assert graph.edge_index.numel() * 8 > 3.5 * keys  # the graph itself is most of it
    assert peak < 6.1 * keys


@pytest.mark.parametrize("log", [None, "log.csv", [[1, 2]]], ids=str)
def test_what_is_no_log_is_refused(log: object, tmp_path: Path) -> None:
    takers = [covisit_graph, lambda log: to_ogb(log, tmp_path / "ogb")]
    if log is not None:  # without a log, the whole graph
        takers.append(lambda log: from_ogb(tmp_path, log))
    for taker in takers:
        with pytest.raises(InputError, match=f"the log is of type {type(log).__name__}, not a Beh"):
            taker(log)
    assert not list(tmp_path.iterdir())
