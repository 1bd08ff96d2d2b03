import numpy as np
import pytest
import torch
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCNConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import to_dense_adj

from resemb_gnn import InputError, covisit_graph
from resemb_gnn.graph import (
    Adjacency,
    check_graph,
    gcn_adjacency,
    mean_adjacency,
    plain_adjacency,
)


def _directed(weighted=True):
    """Weighted one-way edges in no order, a node with a self-loop, and an isolated node."""
    return Data(
        edge_index=torch.tensor([[3, 0, 4, 1, 2, 0], [1, 2, 0, 1, 0, 1]]),
        edge_weight=torch.tensor([2.0, 0.5, 3.0, 4.0, 1.0, 0.25]) if weighted else None,
        num_nodes=6,
    )


GRAPHS = ["covisit", "directed", "unweighted"]


@pytest.fixture(params=GRAPHS)
def graph(request, log):
    if request.param == "covisit":
        return covisit_graph(log)
    return _directed(weighted=request.param == "directed")


def _with_loops(graph):
    """Dense ``A + I`` with receivers as rows; a self-loop that is there stays as it is."""
    size = graph.num_nodes
    dense = np.zeros((size, size))
    weight = torch.ones(graph.num_edges) if graph.edge_weight is None else graph.edge_weight
    for (source, target), value in zip(graph.edge_index.T.tolist(), weight.tolist(), strict=True):
        dense[target, source] += value
    for node in range(size):
        if dense[node, node] == 0:
            dense[node, node] = 1
    return dense


def _dense(adjacency):
    size = adjacency.ptr.numel() - 1
    out = np.zeros((size, size))
    for row in range(size):
        for entry in range(int(adjacency.ptr[row]), int(adjacency.ptr[row + 1])):
            out[row, int(adjacency.index[entry])] += float(adjacency.weight[entry])
    return out


def test_gcn_adjacency(graph):
    dense = _with_loops(graph)
    scale = 1 / np.sqrt(dense.sum(1))
    adjacency = gcn_adjacency(graph)
    assert adjacency.weight.dtype == torch.float32
    np.testing.assert_allclose(_dense(adjacency), scale[:, None] * dense * scale, rtol=1e-5)
    edge_index, weight = gcn_norm(graph.edge_index, graph.edge_weight, graph.num_nodes)
    of_pyg = to_dense_adj(edge_index, edge_attr=weight, max_num_nodes=graph.num_nodes)[0].T
    np.testing.assert_allclose(_dense(adjacency), of_pyg.numpy(), rtol=1e-6)


def test_gcn_adjacency_propagates_as_gcn_conv_does(graph):
    x = torch.randn(graph.num_nodes, 4)
    conv = GCNConv(4, 4, bias=False)
    torch.nn.init.eye_(conv.lin.weight)
    expected = conv(x, graph.edge_index, graph.edge_weight)
    torch.testing.assert_close(gcn_adjacency(graph).matmul(x), expected)


def test_mean_adjacency(graph):
    dense = _with_loops(graph)
    ours = _dense(mean_adjacency(graph))
    np.testing.assert_allclose(ours, dense / dense.sum(1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(ours.sum(1), 1, rtol=1e-6)


def test_plain_adjacency(graph):
    np.testing.assert_array_equal(_dense(plain_adjacency(graph)), _with_loops(graph))


@pytest.mark.parametrize("make", [gcn_adjacency, mean_adjacency, plain_adjacency])
def test_order_of_the_edges_does_not_matter(graph, make):
    expected = _dense(make(graph))
    order = torch.randperm(graph.num_edges, generator=torch.Generator().manual_seed(0))
    graph.edge_index = graph.edge_index[:, order]
    if graph.edge_weight is not None:
        graph.edge_weight = graph.edge_weight[order]
    np.testing.assert_allclose(_dense(make(graph)), expected, rtol=1e-6)


def test_graph_without_edges():
    graph = Data(edge_index=torch.empty(2, 0, dtype=torch.long), num_nodes=3)
    for make in (gcn_adjacency, mean_adjacency, plain_adjacency):
        np.testing.assert_array_equal(_dense(make(graph)), np.eye(3))


def _matrix_with_empty_rows():
    return Adjacency(
        ptr=torch.tensor([0, 0, 3, 3, 4, 4]),
        index=torch.tensor([4, 0, 4, 2]),  # column 4 twice in a row
        weight=torch.tensor([0.5, -2.0, 1.5, 3.0]),
    )


@pytest.mark.parametrize("ids", [[0, 1, 2, 3, 4], [3, 1, 1, 0], [2], [4, 3], []])
def test_rows(ids):
    matrix = _matrix_with_empty_rows()
    x = torch.randn(5, 3)
    part = matrix.rows(torch.tensor(ids, dtype=torch.long))
    assert part.ptr.numel() == len(ids) + 1
    expected = torch.from_numpy(_dense(matrix)[ids]).float() @ x
    torch.testing.assert_close(part.matmul(x), expected.reshape(len(ids), 3))


def test_rows_of_a_graph(graph):
    adjacency = gcn_adjacency(graph)
    ids = torch.randint(graph.num_nodes, (50,), generator=torch.Generator().manual_seed(0))
    x = torch.randn(graph.num_nodes, 4)
    torch.testing.assert_close(adjacency.rows(ids).matmul(x), adjacency.matmul(x)[ids])


def test_matmul_is_differentiable_in_both_factors():
    matrix = _matrix_with_empty_rows()
    x = torch.randn(5, 3, dtype=torch.double, requires_grad=True)
    weight = matrix.weight.double().requires_grad_()

    def product(x, weight):
        return Adjacency(matrix.ptr, matrix.index, weight).matmul(x)

    expected = torch.from_numpy(_dense(matrix)) @ x
    torch.testing.assert_close(product(x, weight), expected)
    assert torch.autograd.gradcheck(product, (x, weight))


def _good(**changes):
    parts = {
        "edge_index": torch.tensor([[0, 1], [1, 0]]),
        "edge_weight": torch.tensor([1.0, 0.0]),
        "x": torch.zeros(3, 2),
        "count": torch.zeros(3, dtype=torch.long),
        "num_nodes": 3,
    }
    return Data(**{**parts, **changes})


def test_check_graph_accepts(graph):
    check_graph(graph)
    check_graph(_good())
    check_graph(_good(edge_weight=torch.tensor([1, 2])))
    check_graph(Data(edge_index=torch.empty(2, 0, dtype=torch.long), num_nodes=1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edge_index": None}, "no edge_index of shape"),
        ({"edge_index": torch.tensor([0, 1])}, "no edge_index of shape"),
        ({"edge_index": torch.zeros(3, 2, dtype=torch.long)}, "no edge_index of shape"),
        ({"num_nodes": 0, "x": None, "count": None}, "the graph has no nodes"),
        ({"edge_index": torch.tensor([[0, 3], [1, 0]])}, r"names nodes outside 0\.\.2"),
        ({"edge_index": torch.tensor([[0, 1], [1, -1]])}, r"names nodes outside 0\.\.2"),
        ({"edge_weight": torch.ones(3)}, r"edge_weight has shape \[3\], not \[2\]"),
        ({"edge_weight": torch.ones(2, 1)}, r"edge_weight has shape \[2, 1\], not \[2\]"),
        ({"edge_weight": torch.tensor([1.0, -0.5])}, r"edge_weight\[1\] is -0.5"),
        ({"edge_weight": torch.tensor([float("nan"), -1.0])}, r"edge_weight\[0\] is nan"),
        ({"edge_weight": torch.tensor([1.0, float("inf")])}, r"edge_weight\[1\] is inf"),
        ({"x": torch.zeros(2, 2)}, r"graph\.x has shape \[2, 2\], not \[3, num_features\]"),
        ({"x": torch.zeros(3)}, r"graph\.x has shape \[3\], not \[3, num_features\]"),
        ({"x": torch.zeros(3, 0)}, r"graph\.x has shape \[3, 0\], not \[3, num_features\]"),
        ({"x": torch.zeros(3, 2, 1)}, r"graph\.x has shape \[3, 2, 1\], not"),
        ({"x": torch.tensor(1.0), "num_nodes": None}, r"graph\.x has shape \[\], not"),
        ({"x": torch.eye(3).to_sparse()}, r"graph\.x is sparse \(torch.sparse_coo\)"),
        ({"x": np.zeros((3, 2))}, r"graph\.x is no tensor of real numbers: array"),
        ({"count": torch.zeros(4)}, r"graph\.count has shape \[4\], not \[3\]"),
        ({"count": torch.zeros(3, 1)}, r"graph\.count has shape \[3, 1\], not \[3\]"),
        ({"count": torch.ones(3).to_sparse()}, r"graph\.count is sparse"),
        ({"edge_weight": torch.ones(2).to_sparse()}, r"graph\.edge_weight is sparse"),
        ({"num_nodes": 3.0}, r"graph\.num_nodes is no whole number: 3\.0"),
        ({"num_nodes": -3, "x": None, "count": None}, "the graph has no nodes"),
        ({"edge_index": [[0, 1], [1, 0]]}, "graph.edge_index is no tensor"),
        ({"edge_index": torch.tensor([[0.0, 1.0], [1.0, 0.0]])}, "edge_index holds torch.float32"),
        ({"edge_weight": torch.ones(2, dtype=torch.cfloat)}, "graph.edge_weight is no tensor of"),
        ({"count": torch.tensor(3)}, r"graph\.count has shape \[\], not \[3\]"),
        ({"count": torch.tensor([1, -1, 0])}, "graph.count holds a value that is negative"),
        ({"x": torch.full((3, 2), float("nan"))}, "graph.x holds a value that is not finite"),
    ],
)
def test_check_graph_refuses(changes, message):
    with pytest.raises(InputError, match=message):
        check_graph(_good(**changes))


def _folds(user_fold=(0, 1, 1), **changes):
    parts = [_good(), _good(**changes)]
    return _good(user_fold=torch.tensor(user_fold), fold_graphs=parts)


def test_check_graph_accepts_folds():
    check_graph(_folds())
    check_graph(_folds(x=None, count=None, edge_weight=None))
    check_graph(_good(fold_graphs=[_good()]))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (_folds(count=torch.zeros(3, 1)), r"fold graph 1: graph\.count has shape \[3, 1\]"),
        (_folds(x=torch.zeros(3, 3)), "fold graph 1 has 3 features, the graph 2"),
        (_folds(x=torch.zeros(3)), r"fold graph 1: graph\.x has shape \[3\]"),
        (_folds(num_nodes=4, x=None, count=None), "fold graph 1 has 4 nodes, the graph 3"),
        (_folds(edge_index=None), "fold graph 1: the graph has no edge_index"),
        (_good(fold_graphs=[None]), "fold graph 0: the graph is of type NoneType"),
        (_good(fold_graphs=_good()), "fold_graphs is no list of graphs: Data"),
        (_good(fold_graphs=torch.zeros(2)), "fold_graphs is no list of graphs: tensor"),
        (_folds([[0], [1], [1]]), r"user_fold holds torch\.int64 of shape \[3, 1\]"),
        (_folds([0.0, 1.0, 1.0]), r"user_fold holds torch\.float32 of shape \[3\]"),
        (_folds([False, True, True]), r"user_fold holds torch\.bool"),
        (_folds([0, 2, 1]), "user_fold names fold 2, but there are 2 fold_graphs"),
        (_folds([0, -1, 1]), "user_fold names fold -1, but"),
        (_good(user_fold=torch.tensor([0])), "user_fold names fold 0, but there are 0 fold_graphs"),
    ],
)
def test_check_graph_refuses_folds(graph, message):
    with pytest.raises(InputError, match=message):
        check_graph(graph)


@pytest.mark.parametrize("graph", [None, HeteroData(), "graph", torch.eye(3), {"x": 1}])
def test_check_graph_refuses_what_is_no_graph(graph):
    with pytest.raises(InputError, match=f"the graph is of type {type(graph).__name__}, not a"):
        check_graph(graph)


def test_only_the_parts_that_are_used_are_checked():
    graph = _good(x="text", count=torch.zeros(3, 1))
    check_graph(graph, ("edge_index", "edge_weight"))
    with pytest.raises(InputError, match=r"graph\.x"):
        check_graph(graph, ("x",))
    with pytest.raises(InputError, match=r"graph\.count"):
        check_graph(graph, ("count",))


@pytest.mark.parametrize("ids", [[-1], [5], [0, 1, -5, 2]])
def test_rows_out_of_range_are_refused(ids):
    with pytest.raises(IndexError):
        _matrix_with_empty_rows().rows(torch.tensor(ids))


def test_second_derivatives_of_matmul():
    matrix = _matrix_with_empty_rows()
    x = torch.randn(5, 3, dtype=torch.double, requires_grad=True)
    weight = matrix.weight.double().requires_grad_()

    def product(x, weight):
        return Adjacency(matrix.ptr, matrix.index, weight).matmul(x)

    assert torch.autograd.gradgradcheck(product, (x, weight))
    assert torch.autograd.gradgradcheck(lambda x: product(x, weight.detach()) ** 2, (x,))


@pytest.mark.parametrize("sparse", [False, True])
def test_matmul_in_a_narrower_type_of_one_factor(sparse):
    matrix, x = _matrix_with_empty_rows(), torch.randn(5, 3)
    narrow = x.bfloat16().requires_grad_()
    out = matrix.matmul(narrow, sparse)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, matrix.matmul(x), atol=0.05, rtol=0.02)
    out.sum().backward()
    assert narrow.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("make", [gcn_adjacency, mean_adjacency, plain_adjacency])
def test_numbers_of_the_default_type(graph, make):
    expected = make(graph).weight
    for dtype in (torch.float64, torch.bfloat16):
        torch.set_default_dtype(dtype)
        try:
            weight = make(graph).weight
        finally:
            torch.set_default_dtype(torch.float32)
        assert weight.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        torch.testing.assert_close(weight.float(), expected)


def test_self_loop_of_weight_zero_is_refused() -> None:
    graph = Data(
        edge_index=torch.tensor([[0, 1, 2], [1, 0, 2]]),
        edge_weight=torch.tensor([1.0, 1.0, 0.0]),
        num_nodes=3,
    )
    with pytest.raises(InputError, match="self-loop of node 2 has weight 0"):
        check_graph(graph)


def test_transpose():
    matrix = _matrix_with_empty_rows()
    np.testing.assert_array_equal(_dense(matrix.transpose()), _dense(matrix).T)


@pytest.mark.parametrize("weighted", [False, True])
def test_gcn_adjacency_without_loops_is_that_of_a_copy_with_loops(weighted: bool) -> None:
    """To the bit, repeated edges and nodes without edges included."""
    generator = torch.Generator().manual_seed(0)
    edge_index = torch.randint(20, (2, 200), generator=generator)
    edge_index = edge_index[:, edge_index[0] != edge_index[1]]
    weight = torch.rand(edge_index.size(1), generator=generator) if weighted else None
    graph = Data(edge_index=edge_index, edge_weight=weight, num_nodes=22)
    loops = torch.arange(22).expand(2, -1)
    every = torch.ones(edge_index.size(1)) if weight is None else weight
    with_loops = Data(
        edge_index=torch.cat([edge_index, loops], dim=1),
        edge_weight=torch.cat([every, torch.ones(22)]),
        num_nodes=22,
    )
    found, expected = gcn_adjacency(graph), gcn_adjacency(with_loops)
    for name in ("ptr", "index", "weight"):
        assert torch.equal(getattr(found, name), getattr(expected, name))
