"""The centre encoders once more, as plain loops over an edge list: slow and easy to check."""

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

# The encoders by name, and the number of centres they get in the tests.
ENCODERS = [("average", None), ("average", 3), ("gcn", 3), ("gat", 3)]


def random_graph(seed: int, num_nodes: int = 9, num_edges: int = 20, num_features: int = 4) -> Data:
    """A directed graph with repeated edges, some self-loops and nodes without any edge."""
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(num_nodes - 1, (2, num_edges), generator=generator)
    edge_index = edge_index[:, edge_index[0] != edge_index[1]]
    loops = torch.randperm(num_nodes - 1, generator=generator)[:2].expand(2, -1)
    edge_index = torch.cat([edge_index, edge_index[:, :3], loops], dim=1)
    return Data(
        edge_index=edge_index,
        edge_weight=0.5 + 3 * torch.rand(edge_index.size(1), generator=generator),
        x=torch.randn(num_nodes, num_features, generator=generator),
        count=torch.randint(6, (num_nodes,), generator=generator),
        num_nodes=num_nodes,
    )


def edges_with_loops(graph: Data) -> list[tuple[int, int, float]]:
    """``(source, target, weight)`` of the edges and of the self-loops (weight 1) that they lack."""
    weight = graph.edge_weight
    weights = [1.0] * graph.num_edges if weight is None else weight.tolist()
    edges = list(zip(*graph.edge_index.tolist(), weights, strict=True))
    looped = {source for source, target, _ in edges if source == target}
    return edges + [(i, i, 1.0) for i in range(graph.num_nodes) if i not in looped]


def mean_matrix(graph: Data) -> Tensor:
    """The dense row-normalised ``D^-1 (A + I)``; row i holds what reaches node i."""
    matrix = torch.zeros(graph.num_nodes, graph.num_nodes)
    for source, target, weight in edges_with_loops(graph):
        matrix[target, source] += weight
    return matrix / matrix.sum(dim=1, keepdim=True)


def symmetric_matrix(graph: Data) -> Tensor:
    """The dense ``D^-1/2 (A + I) D^-1/2``."""
    matrix = torch.zeros(graph.num_nodes, graph.num_nodes)
    for source, target, weight in edges_with_loops(graph):
        matrix[target, source] += weight
    scale = matrix.sum(dim=1).rsqrt()
    return scale[:, None] * matrix * scale


def hop_rows(graph: Data) -> Tensor:
    """The features at 0, 1 and 2 hops side by side."""
    matrix = symmetric_matrix(graph)
    return torch.cat([graph.x, matrix @ graph.x, matrix @ matrix @ graph.x], dim=1)


def dense_weights(
    encoder: str, num_centers: int | None, graph: Data, parameters: dict[str, Tensor], t: float
) -> Tensor:
    """Centre weights of all nodes by the encoder's formula, ``[num_nodes, num_centers]``."""
    if encoder == "average":
        mean = mean_matrix(graph)
        if num_centers is None:
            return mean
        return mean @ (graph.x @ parameters["assignment"] / t).softmax(dim=1)
    if encoder == "gcn":
        logits = symmetric_matrix(graph) @ graph.x @ parameters["weight"] + parameters["bias"]
        return (logits / t).softmax(dim=1)
    hidden = graph.x @ parameters["lin"]
    rows = []
    for i in range(graph.num_nodes):
        sources = [source for source, target, _ in edges_with_loops(graph) if target == i]
        to = (hidden[i] * parameters["att_target"]).sum()
        scores = [(hidden[j] * parameters["att_source"]).sum() + to for j in sources]
        attention = nn.functional.leaky_relu(torch.stack(scores), 0.2).softmax(dim=0)
        logits = sum(a * hidden[j] for a, j in zip(attention, sources, strict=True))
        rows.append(((logits + parameters["bias"]) / t).softmax(dim=0))
    return torch.stack(rows)
