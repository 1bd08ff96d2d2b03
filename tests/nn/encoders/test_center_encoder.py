"""The centre encoders against PyG's layers and dense matrices."""

from itertools import pairwise

import pytest
import torch
from dense_reference import ENCODERS, dense_weights, mean_matrix, random_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GCNConv, SAGEConv, Sequential
from torch_geometric.nn.models import GCN

from resemb_gnn import InputError, ResEmbedding
from resemb_gnn.nn import (
    AverageEncoder,
    CenterEncoder,
    FullGraphEncoder,
    GATEncoder,
    GCNEncoder,
    ItemAverageEncoder,
)
from resemb_gnn.nn.encoders import average

pytestmark = pytest.mark.usefixtures("segment_backend")

FEW = torch.tensor([4, 8])  # fewer entries than the graph has nodes
MANY = torch.tensor([3, 0, 3, 8, 1, 7, 2, 2, 5, 6, 4, 3])


def make_encoder(name: str, num_centers: int | None, graph: Data, t: float = 1.0) -> CenterEncoder:
    if num_centers is None:
        return ItemAverageEncoder(graph)
    kinds = {"average": AverageEncoder, "gcn": GCNEncoder, "gat": GATEncoder}
    encoder = kinds[name](graph, num_centers, temperature=t)
    if name != "average":
        nn.init.normal_(encoder.bias)
    return encoder


def without_weights(graph: Data) -> Data:
    graph.edge_weight = None
    return graph


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("ids", [FEW, MANY], ids=["few", "many"])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_gcn_equals_pyg_on_the_full_graph(ids: Tensor, weighted: bool, seed: int) -> None:
    torch.manual_seed(seed)
    graph = random_graph(seed) if weighted else without_weights(random_graph(seed))
    encoder = GCNEncoder(graph, num_centers=5)
    nn.init.normal_(encoder.bias)
    conv = GCNConv(4, 5)
    with torch.no_grad():
        conv.lin.weight.copy_(encoder.weight.t())
        conv.bias.copy_(encoder.bias)

    weights = encoder(ids)
    expected = conv(graph.x, graph.edge_index, graph.edge_weight)[ids].log_softmax(dim=1)
    assert_close(weights.log(), expected)

    probe = torch.randn_like(weights)
    (weights * probe).sum().backward()
    (expected.exp() * probe).sum().backward()
    assert_close(encoder.weight.grad, conv.lin.weight.grad.t())
    assert_close(encoder.bias.grad, conv.bias.grad)


@pytest.mark.parametrize("ids", [FEW, MANY], ids=["few", "many"])
@pytest.mark.parametrize("negative_slope", [0.2, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_gat_equals_pyg_on_the_full_graph(ids: Tensor, negative_slope: float, seed: int) -> None:
    torch.manual_seed(seed)
    graph = random_graph(seed)
    encoder = GATEncoder(graph, num_centers=5, negative_slope=negative_slope)
    nn.init.normal_(encoder.bias)
    conv = GATConv(4, 5, negative_slope=negative_slope)
    with torch.no_grad():
        conv.lin.weight.copy_(encoder.lin.t())
        conv.att_src.copy_(encoder.att_source[None])
        conv.att_dst.copy_(encoder.att_target[None])
        conv.bias.copy_(encoder.bias)

    weights = encoder(ids)
    expected = conv(graph.x, graph.edge_index)[ids].log_softmax(dim=1)
    assert_close(weights.log(), expected)

    probe = torch.randn_like(weights)
    (weights * probe).sum().backward()
    (expected.exp() * probe).sum().backward()
    assert_close(encoder.lin.grad, conv.lin.weight.grad.t())
    assert_close(encoder.att_source.grad, conv.att_src.grad[0])
    assert_close(encoder.att_target.grad, conv.att_dst.grad[0])
    assert_close(encoder.bias.grad, conv.bias.grad)


@pytest.mark.parametrize("weighted", [True, False])
def test_item_average_is_a_row_of_the_normalised_matrix(weighted: bool) -> None:
    graph = random_graph(0) if weighted else without_weights(random_graph(0))
    encoder = ItemAverageEncoder(graph)
    assert encoder.num_centers == 9
    assert not list(encoder.parameters())
    assert_close(encoder(MANY), mean_matrix(graph)[MANY])


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("row_cost", [0, 1000], ids=["batch's rows", "all rows"])
def test_item_average_mixes_as_dense_matrices(
    sparse: bool, row_cost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(average, "_ROW_COST", row_cost)
    graph = random_graph(0)
    encoder = ItemAverageEncoder(graph)
    centers = torch.randn(9, 3, requires_grad=True)
    reference = centers.detach().clone().requires_grad_()
    mixed = encoder.mix(MANY, centers, sparse=sparse)
    expected = (mean_matrix(graph) @ reference)[MANY]
    assert_close(mixed, expected)
    probe = torch.randn_like(mixed)
    (mixed * probe).sum().backward()
    (expected * probe).sum().backward()
    assert_close(centers.grad.to_dense(), reference.grad)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_average_equals_dense_matrices(weighted: bool, temperature: float) -> None:
    torch.manual_seed(0)
    graph = random_graph(1) if weighted else without_weights(random_graph(1))
    encoder = AverageEncoder(graph, 3, temperature)
    weights = encoder(MANY)
    own = (graph.x @ encoder.assignment / temperature).softmax(dim=1)
    expected = (mean_matrix(graph) @ own)[MANY]
    assert_close(weights, expected)

    probe = torch.randn_like(weights)
    actual = torch.autograd.grad((weights * probe).sum(), encoder.assignment)
    assert_close(actual[0], torch.autograd.grad((expected * probe).sum(), encoder.assignment)[0])


@pytest.mark.parametrize(("name", "num_centers"), ENCODERS)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    num_edges=st.integers(0, 40),
    ids=st.lists(st.integers(0, 8), max_size=12),
    temperature=st.sampled_from([0.2, 1.0]),
)
def test_every_row_equals_the_formula(
    name: str,
    num_centers: int | None,
    seed: int,
    num_edges: int,
    ids: list[int],
    temperature: float,
) -> None:
    torch.manual_seed(seed)
    graph = random_graph(seed, num_edges=num_edges)
    encoder = make_encoder(name, num_centers, graph, temperature)
    weights = encoder(torch.tensor(ids, dtype=torch.long))
    assert weights.shape == (len(ids), num_centers or 9)
    assert bool((weights >= 0).all())
    assert_close(weights.sum(dim=1), torch.ones(len(ids)))
    expected = dense_weights(
        name, num_centers, graph, dict(encoder.named_parameters()), temperature
    )
    torch.testing.assert_close(weights, expected[ids], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "num_centers"), ENCODERS)
@pytest.mark.parametrize("ids", [FEW, MANY, FEW[:0]], ids=["few", "many", "none"])
def test_mix_is_the_weighted_sum_of_the_centres(
    name: str, num_centers: int | None, ids: Tensor
) -> None:
    torch.manual_seed(0)
    encoder = make_encoder(name, num_centers, random_graph(2))
    centers = torch.randn(encoder.num_centers, 6, requires_grad=True)
    inputs = [centers, *encoder.parameters()]
    mixed, expected = encoder.mix(ids, centers), encoder(ids) @ centers
    assert_close(mixed, expected)
    probe = torch.randn_like(mixed)
    actual = torch.autograd.grad((mixed * probe).sum(), inputs)
    wanted = torch.autograd.grad((expected * probe).sum(), inputs)
    for one, other in zip(actual, wanted, strict=True):
        assert_close(one, other)


@pytest.mark.parametrize(("name", "num_centers"), ENCODERS[1:])
def test_gradients_against_finite_differences(name: str, num_centers: int) -> None:
    torch.manual_seed(0)
    encoder = make_encoder(name, num_centers, random_graph(3)).double()
    names = [name for name, _ in encoder.named_parameters()]

    def weights(*values: Tensor) -> Tensor:
        return torch.func.functional_call(encoder, dict(zip(names, values, strict=True)), (MANY,))

    assert torch.autograd.gradcheck(weights, tuple(encoder.parameters()))


@pytest.mark.parametrize(("name", "num_centers"), ENCODERS)
def test_graph_without_edges(name: str, num_centers: int | None) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 2)
    graph = Data(edge_index=torch.empty(2, 0, dtype=torch.long), x=x, num_nodes=4)
    encoder = make_encoder(name, num_centers, graph)
    expected = dense_weights(name, num_centers, graph, dict(encoder.named_parameters()), 1.0)
    assert_close(encoder(torch.arange(4)), expected)


@pytest.mark.parametrize(("name", "num_centers"), ENCODERS)
def test_features_and_weights_of_other_types(name: str, num_centers: int | None) -> None:
    graph = random_graph(0)
    torch.manual_seed(0)
    expected = make_encoder(name, num_centers, graph)(MANY)
    graph.x, graph.edge_weight = graph.x.double(), graph.edge_weight.double()
    torch.manual_seed(0)
    assert_close(make_encoder(name, num_centers, graph)(MANY), expected)


@pytest.mark.parametrize(("name", "num_centers"), ENCODERS)
def test_the_graph_is_not_saved(name: str, num_centers: int | None) -> None:
    encoder = make_encoder(name, num_centers, random_graph(0))
    assert set(encoder.state_dict()) == {name for name, _ in encoder.named_parameters()}


@pytest.mark.parametrize(("name", "num_centers"), ENCODERS[1:])
def test_reset_parameters_is_governed_by_the_seed(name: str, num_centers: int) -> None:
    encoder = make_encoder(name, num_centers, random_graph(0))

    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        encoder.reset_parameters()
        return encoder(MANY).detach()

    first = drawn(0)
    assert not torch.allclose(drawn(1), first)
    assert torch.equal(drawn(0), first)


@pytest.mark.parametrize(("name", "num_centers"), ENCODERS)
def test_repr(name: str, num_centers: int | None) -> None:
    encoder = make_encoder(name, num_centers, random_graph(0))
    assert str(encoder).startswith(f"{type(encoder).__name__}(")
    assert f"num_centers={num_centers or 9}" in str(encoder)


class OwnModule(nn.Module):
    """Knows the edge weights, has no reset_parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(4, 3)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        message = self.lin(x)[edge_index[0]] * edge_weight[:, None]
        return torch.zeros(x.size(0), 3).index_add(0, edge_index[1], message)


FOREIGN = {
    "GCNConv": lambda: GCNConv(4, 3),
    "SAGEConv": lambda: SAGEConv(4, 3),
    "GCN": lambda: GCN(4, hidden_channels=8, num_layers=2, out_channels=3),
    "own": OwnModule,
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("ids", [MANY, FEW[:0]], ids=["many", "none"])
def test_any_pyg_module_is_an_encoder(kind: str, ids: Tensor) -> None:
    torch.manual_seed(0)
    graph = random_graph(4)
    module = FOREIGN[kind]()
    encoder = FullGraphEncoder(graph, module, num_centers=3, temperature=0.5)
    weights = encoder(ids)
    if kind == "SAGEConv":  # takes no edge weight
        logits = module(graph.x, graph.edge_index)
    else:
        logits = module(graph.x, graph.edge_index, graph.edge_weight)
    expected = (logits / 0.5).softmax(dim=1)[ids]
    assert weights.shape == (ids.numel(), 3)
    assert_close(weights, expected)
    probe = torch.randn_like(weights)
    actual = torch.autograd.grad((weights * probe).sum(), list(encoder.parameters()))
    wanted = torch.autograd.grad((expected * probe).sum(), list(module.parameters()))
    for one, other in zip(actual, wanted, strict=True):
        assert_close(one, other)


def test_foreign_module_sees_the_edge_weights() -> None:
    graph, conv = random_graph(4), GCNConv(4, 3)
    weighted = FullGraphEncoder(graph, conv, num_centers=3)(MANY)
    plain = FullGraphEncoder(without_weights(graph), conv, num_centers=3)(MANY)
    assert not torch.allclose(plain, weighted)


@pytest.mark.parametrize("header", ["x, edge_index, edge_weight", "x, edge_index"])
def test_header_of_a_sequential_says_whether_it_takes_weights(header: str) -> None:
    graph, conv = random_graph(4), GCNConv(4, 3)
    module = Sequential(header, [(conv, f"{header} -> x")])
    inputs = (graph.x, graph.edge_index, graph.edge_weight)[: len(header.split(", "))]
    expected = conv(*inputs).softmax(dim=1)[MANY]
    assert_close(FullGraphEncoder(graph, module, num_centers=3)(MANY), expected)


def test_foreign_module_is_reset_if_it_can_be() -> None:
    graph = random_graph(0)
    encoder = FullGraphEncoder(graph, GCNConv(4, 3), num_centers=3)
    before = encoder(MANY)
    encoder.reset_parameters()
    assert not torch.allclose(encoder(MANY), before)
    own = FullGraphEncoder(graph, OwnModule(), num_centers=3)
    before = own(MANY)
    own.reset_parameters()
    assert torch.equal(own(MANY), before)


def test_foreign_module_of_another_width_is_refused() -> None:
    encoder = FullGraphEncoder(random_graph(0), GCNConv(4, 5), num_centers=3)
    with pytest.raises(InputError, match=r"GCNConv returned shape \[9, 5\].* \[9, 3\]"):
        encoder(FEW)


def test_foreign_module_with_features_and_weights_of_other_types() -> None:
    graph = random_graph(0)
    graph.x, graph.edge_weight = graph.x.double(), torch.arange(graph.num_edges)
    encoder = FullGraphEncoder(graph, GCNConv(4, 3), num_centers=3)
    assert encoder(FEW).dtype == torch.float32


@pytest.mark.parametrize("ids", [FEW, MANY], ids=["few", "many"])
@pytest.mark.parametrize("hidden", [(6,), (6, 3)])
def test_deep_gcn_equals_a_stack_of_pyg_layers(ids: Tensor, hidden: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    graph = random_graph(1)
    encoder = GCNEncoder(graph, num_centers=5, temperature=0.5, hidden=hidden)
    for layer in encoder.hidden:
        nn.init.normal_(layer.bias)
    nn.init.normal_(encoder.bias)
    widths = [4, *hidden, 5]
    convs = [GCNConv(*pair) for pair in pairwise(widths)]
    parameters = [(layer.weight, layer.bias) for layer in encoder.hidden]
    parameters.append((encoder.weight.t(), encoder.bias))
    with torch.no_grad():
        for conv, (weight, bias) in zip(convs, parameters, strict=True):
            conv.lin.weight.copy_(weight)
            conv.bias.copy_(bias)

    x = graph.x
    for conv in convs[:-1]:
        x = conv(x, graph.edge_index, graph.edge_weight).relu()
    logits = convs[-1](x, graph.edge_index, graph.edge_weight)[ids]
    weights = encoder(ids)
    assert_close(weights, (logits / 0.5).softmax(dim=1))

    probe = torch.randn_like(weights)
    (weights * probe).sum().backward()
    ((logits / 0.5).softmax(dim=1) * probe).sum().backward()
    for conv, (weight, bias) in zip(convs[:-1], parameters, strict=False):
        assert_close(weight.grad, conv.lin.weight.grad)
        assert_close(bias.grad, conv.bias.grad)
    assert_close(encoder.weight.grad, convs[-1].lin.weight.grad.t())


def test_hidden_layers_go_with_gcn_only() -> None:
    with pytest.raises(InputError, match=r"hidden=\(6,\) goes with encoder='gcn' only"):
        ResEmbedding(random_graph(0), encoder="gat", hidden=(6,))
    assert len(ResEmbedding(random_graph(0), encoder="gcn", hidden=(6, 4)).encoder.hidden) == 2
