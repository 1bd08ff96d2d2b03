import math

import networkx
import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.utils import to_undirected

from resemb_gnn.datasets.interest_delay import InterestDelayModel
from resemb_gnn.errors import InputError
from resemb_gnn.graph import covisit_graph
from resemb_gnn.theory import agreement, graph_communities


def clique_edges(sizes: tuple[int, ...]) -> torch.Tensor:
    edges, start = [], 0
    for size in sizes:
        edges.append(torch.combinations(torch.arange(start, start + size)).t())
        start += size
    return torch.cat(edges, dim=1)


def test_cliques_come_out_by_size():
    bridge = torch.tensor([[0], [5]])
    edges = to_undirected(torch.cat([clique_edges((4, 6)), bridge], dim=1))
    community = graph_communities(Data(edge_index=edges, num_nodes=12))
    # The larger clique first; items 10 and 11 have no edge.
    assert community.tolist() == [1] * 4 + [0] * 6 + [2, 3]


def test_weights_decide():
    # A ring of four: heavy edges 0-1 and 2-3, or heavy edges 1-2 and 3-0.
    edges = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
    for weight, same in (([9.0, 1, 9, 1], (0, 1)), ([1.0, 9, 1, 9], (1, 2))):
        both, weights = to_undirected(edges, torch.tensor(weight))
        community = graph_communities(Data(edge_index=both, edge_weight=weights, num_nodes=4))
        assert community[same[0]] == community[same[1]]
        assert community.unique().numel() == 2


@pytest.mark.parametrize("one_way", [(9.0, 0.1), (0.1, 9.0)])
def test_both_directions_count(one_way):
    # 0-1 and 2-3 are heavy one way alone; 1-2 and 3-0 weigh more than their other way.
    edges = torch.tensor([[0, 1, 2, 3, 1, 2, 3, 0], [1, 0, 3, 2, 2, 1, 0, 3]])
    weight = torch.tensor([*one_way, *one_way, 1.5, 1.5, 1.5, 1.5])
    community = graph_communities(Data(edge_index=edges, edge_weight=weight, num_nodes=4))
    assert community.tolist() == [0, 0, 1, 1]


def test_modularity_equals_that_of_networkx_on_its_own_graph():
    world = InterestDelayModel(num_users=300, num_items=60, num_interests=4, dwell=0.95)
    graph = covisit_graph(world.sample())
    community = graph_communities(graph, seed=5)
    own = networkx.Graph()
    own.add_nodes_from(range(60))
    for (i, j), w in zip(graph.edge_index.t().tolist(), graph.edge_weight.tolist(), strict=True):
        own.add_edge(i, j, weight=w)
    groups = [set((community == k).nonzero().flatten().tolist()) for k in community.unique()]
    theirs = networkx.community.louvain_communities(own, seed=5)
    got = networkx.community.modularity(own, groups)
    assert got == pytest.approx(networkx.community.modularity(own, theirs), abs=1e-9)
    assert torch.equal(community, graph_communities(graph, seed=5))


def test_communities_find_planted_interests():
    world = InterestDelayModel(num_users=1500, num_items=120, num_interests=5, match_rate=0.7)
    community = graph_communities(covisit_graph(world.sample()))
    assert agreement(community, world.item_interests).nmi > 0.9


def test_resolution_sets_the_size():
    edges = to_undirected(torch.cat([clique_edges((5,) * 6), torch.tensor([[0, 5], [10, 15]])], 1))
    data = Data(edge_index=edges, num_nodes=30)
    assert graph_communities(data, resolution=0.01).max() < graph_communities(data).max()
    assert graph_communities(data, resolution=20.0).max() > graph_communities(data).max()


def test_loops_and_directions_change_nothing():
    edges = torch.cat([clique_edges((4, 6)), torch.tensor([[0], [5]])], dim=1)
    one_way = Data(edge_index=edges, num_nodes=10)
    both, loops = to_undirected(edges), torch.arange(10).repeat(2, 1)
    weight = torch.cat([torch.ones(both.size(1)), torch.full((10,), 100.0)])
    looped = Data(edge_index=torch.cat([both, loops], dim=1), edge_weight=weight, num_nodes=10)
    want = [1] * 4 + [0] * 6
    assert graph_communities(one_way).tolist() == want
    assert graph_communities(looped).tolist() == want


@pytest.mark.parametrize("resolution", [0.0, -1.0, math.nan, math.inf])
def test_bad_resolution_is_refused(resolution):
    with pytest.raises(InputError, match="resolution"):
        graph_communities(Data(edge_index=clique_edges((3,)), num_nodes=3), resolution)


def test_bad_graph_is_refused():
    with pytest.raises(InputError, match="outside"):
        graph_communities(Data(edge_index=torch.tensor([[0], [7]]), num_nodes=3))
