"""ResEmbedding against a dense loop over its formula, and as a drop-in for an embedding table."""

import copy
import io
from typing import Any

import pytest
import torch
from dense_reference import ENCODERS, dense_weights, random_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GCNConv, SAGEConv
from torch_geometric.nn.models import GCN

from resemb_gnn import DIN, InputError, ResEmbedding, covisit_graph
from resemb_gnn.data import BehaviorLog
from resemb_gnn.graph import NodeFeatures

pytestmark = pytest.mark.usefixtures("segment_backend")

IDS = torch.tensor([[3, 0, 3, 8], [1, 7, 2, 2], [5, 6, 4, 3]])


def make_embedding(
    encoder: str | nn.Module = "gcn", num_centers: int | None = 3, seed: int = 0, **options: Any
) -> ResEmbedding:
    """On ``random_graph(0)``, with residuals large enough to be seen."""
    torch.manual_seed(seed)
    options.setdefault("graph", random_graph(0))
    options.setdefault("residual_std", 0.5)
    return ResEmbedding(embedding_dim=5, num_centers=num_centers, encoder=encoder, **options)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def loop_over_formula(
    emb: ResEmbedding, graph: Data, weights: Tensor, shrinkage: float | None
) -> Tensor:
    """``e_i = sum_k w_ik c_k + s_i r_i`` of all items, one number at a time."""
    rows = []
    for i in range(graph.num_nodes):
        scale = 1.0
        if shrinkage is not None:
            scale = int(graph.count[i]) / (int(graph.count[i]) + shrinkage)
        row = scale * emb.residual[i]
        for k in range(emb.centers.size(0)):
            row = row + weights[i, k] * emb.centers[k]
        rows.append(row)
    return torch.stack(rows)


@pytest.mark.parametrize(("encoder", "num_centers"), ENCODERS)
@pytest.mark.parametrize("shrinkage", [None, 3.0])
@pytest.mark.parametrize("temperature", [0.2, 1.0])
@pytest.mark.parametrize("ids", [IDS, IDS[0], torch.tensor([4])], ids=["2-D", "1-D", "one"])
def test_equals_a_loop_over_the_formula(
    encoder: str, num_centers: int | None, shrinkage: float | None, temperature: float, ids: Tensor
) -> None:
    graph = random_graph(1)
    emb = make_embedding(
        encoder, num_centers, graph=graph, shrinkage=shrinkage, temperature=temperature
    )
    if hasattr(emb.encoder, "bias"):
        nn.init.normal_(emb.encoder.bias)
    own = dict(emb.encoder.named_parameters())
    weights = dense_weights(encoder, num_centers, graph, own, temperature)
    expected = loop_over_formula(emb, graph, weights, shrinkage)[ids]
    out = emb(ids)
    assert_close(out, expected)
    assert_close(emb.center_weights(ids), weights[ids])
    assert_close(emb.center_part(ids), (weights @ emb.centers)[ids])
    assert_close(emb.residual_part(ids), expected - (weights @ emb.centers)[ids])

    probe = torch.randn_like(out)
    names, parameters = zip(*emb.named_parameters(), strict=True)
    assert {"centers", "residual"} < set(names) or num_centers is None
    actual = torch.autograd.grad((out * probe).sum(), parameters)
    wanted = torch.autograd.grad((expected * probe).sum(), parameters)
    for one, other in zip(actual, wanted, strict=True):
        assert_close(one, other)


@pytest.mark.parametrize(("encoder", "num_centers"), ENCODERS)
@settings(max_examples=20, deadline=None)
@given(shape=st.lists(st.integers(0, 3), max_size=3), seed=st.integers(0, 1000))
def test_shapes_follow_the_ids(
    encoder: str, num_centers: int | None, shape: list[int], seed: int
) -> None:
    emb = make_embedding(encoder, num_centers)
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(9, shape, generator=generator)
    out, weights = emb(ids), emb.center_weights(ids)
    assert out.shape == (*shape, 5)
    assert weights.shape == (*shape, emb.num_centers)
    assert_close(weights.sum(dim=-1), torch.ones(shape))
    assert_close(out, emb(torch.arange(9))[ids])
    assert_close(out, emb.center_part(ids) + emb.residual_part(ids))
    out.sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in emb.parameters())


@pytest.mark.parametrize(("encoder", "num_centers"), ENCODERS)
@pytest.mark.parametrize("bad", [-1, 9])
def test_ids_out_of_range_do_not_pass(encoder: str, num_centers: int | None, bad: int) -> None:
    emb = make_embedding(encoder, num_centers)
    with pytest.raises(IndexError):
        emb(torch.tensor([0, bad]))


def test_shrinkage_of_unseen_items() -> None:
    graph = random_graph(0)
    graph.count[:4] = torch.tensor([0, 1, 10, 1000])
    emb = make_embedding(graph=graph, shrinkage=10.0)
    ratio = emb.residual_part(torch.arange(4)) / emb.residual[:4]
    assert_close(ratio, torch.tensor([0, 1 / 11, 1 / 2, 1000 / 1010])[:, None].expand(4, 5))
    none = make_embedding(graph=graph, shrinkage=0)  # as for a very small shrinkage
    assert_close(
        none.residual_part(torch.arange(4)), none.residual[:4] * (graph.count[:4, None] > 0)
    )


def test_shrinkage_needs_the_counts() -> None:
    graph = random_graph(0)
    del graph.count
    with pytest.raises(InputError, match=r"graph\.count"):
        make_embedding(graph=graph)
    emb = make_embedding(graph=graph, shrinkage=None)
    assert torch.equal(emb.residual_part(IDS), emb.residual[IDS])


def test_own_features_are_used() -> None:
    graph = random_graph(0)
    emb = make_embedding(graph=graph, feature_dim=6)
    assert emb.encoder.weight.shape == (4, 3)  # the four columns of graph.x
    before = emb.center_weights(IDS)
    graph.x = -graph.x
    assert not torch.allclose(make_embedding(graph=graph).center_weights(IDS), before)


@pytest.mark.parametrize("encoder", ["average", "gcn", "gat"])
def test_spectral_features_are_made_where_there_are_none(encoder: str, log: BehaviorLog) -> None:
    graph = covisit_graph(log)
    ids = torch.arange(log.num_items)
    emb = make_embedding(encoder, graph=graph, feature_dim=6)
    assert graph.x is None  # the caller's graph stays as it was
    featured = NodeFeatures(6)(graph)
    assert torch.equal(emb(ids), make_embedding(encoder, graph=featured)(ids))


FOREIGN = {
    "GCNConv": (lambda: GCNConv(4, 3), True),
    "SAGEConv": (lambda: SAGEConv(4, 3), False),
    "GATConv": (lambda: GATConv(4, 3), False),
    "GCN": (lambda: GCN(4, hidden_channels=8, num_layers=2, out_channels=3), True),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_any_pyg_module_as_encoder(kind: str) -> None:
    make, takes_weight = FOREIGN[kind]
    graph = random_graph(2)
    module = make()
    emb = make_embedding(module, graph=graph, shrinkage=3.0, temperature=0.5)
    weight = {"edge_weight": graph.edge_weight} if takes_weight else {}
    weights = (module(graph.x, graph.edge_index, **weight) / 0.5).softmax(dim=1)
    expected = loop_over_formula(emb, graph, weights, 3.0)
    assert_close(emb(IDS), expected[IDS])
    assert emb(IDS[:0]).shape == (0, 4, 5)
    # Its parameters are learnt and saved with the embedding's.
    own = {f"encoder.module.{name}" for name, _ in module.named_parameters()}
    assert own < set(emb.state_dict())
    emb(IDS).square().sum().backward()
    assert all(float(p.grad.abs().sum()) > 0 for p in module.parameters() if p.dim() > 1)


def test_foreign_encoder_equals_the_built_in_one() -> None:
    emb, other = make_embedding("gcn"), make_embedding(GCNConv(4, 3))
    with torch.no_grad():
        other.encoder.module.lin.weight.copy_(emb.encoder.weight.t())
        other.centers.copy_(emb.centers)
        other.residual.copy_(emb.residual)
    assert_close(other(IDS), emb(IDS))


class NextItem(nn.Module):
    """A small model of somebody else's, written for ``torch.nn.Embedding``."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding
        self.gru = nn.GRU(embedding.embedding_dim, 8, batch_first=True)
        self.out = nn.Linear(8, embedding.num_embeddings)

    def forward(self, sequences: Tensor) -> Tensor:
        hidden, _ = self.gru(self.embedding(sequences))
        return self.out(hidden)


@pytest.mark.parametrize(("encoder", "num_centers"), ENCODERS)
def test_drop_in_for_an_embedding_table(encoder: str, num_centers: int | None) -> None:
    emb = make_embedding(encoder, num_centers)
    table = nn.Embedding(9, 5)
    assert (emb.num_embeddings, emb.embedding_dim) == (table.num_embeddings, table.embedding_dim)
    start = {name: value.clone() for name, value in emb.named_parameters()}
    model = NextItem(emb)
    assert model(IDS).shape == NextItem(table)(IDS).shape
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        logits = model(IDS[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), IDS[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    for name, value in emb.named_parameters():
        assert not torch.equal(value, start[name]), name
    served = copy.deepcopy(model)
    served.embedding = emb.materialize()
    assert_close(served(IDS), model(IDS))


@pytest.mark.parametrize(("encoder", "num_centers"), ENCODERS)
def test_materialize_holds_the_same_rows(encoder: str, num_centers: int | None) -> None:
    emb = make_embedding(encoder, num_centers, shrinkage=3.0)
    table = emb.materialize()
    assert type(table) is nn.Embedding
    assert table.weight.requires_grad
    assert_close(table.weight, emb(torch.arange(9)))
    before = emb(IDS)
    nn.init.zeros_(table.weight)  # a copy: the layer stays as it is
    assert torch.equal(emb(IDS), before)


def test_materialize_a_vocabulary_of_several_parts() -> None:
    size = 20_000
    ring = torch.stack([torch.arange(size), torch.arange(size).roll(1)])
    graph = Data(edge_index=ring, x=torch.randn(size, 2), num_nodes=size)
    emb = ResEmbedding(graph, 2, 3, "gat", shrinkage=None, residual_std=0.5)
    assert_close(emb.materialize().weight, emb(torch.arange(size)))


@pytest.mark.parametrize("ids", [IDS, IDS[1], IDS[1, :1]], ids=["2-D", "1-D", "one"])
def test_penalty_against_a_loop(ids: Tensor) -> None:
    emb = make_embedding(residual_penalty=0.7, shrinkage=3.0)
    penalty = emb.penalty(ids)
    flat = ids.flatten().tolist()
    squares = [sum(r**2 for r in emb.residual[i].tolist()) for i in flat]
    assert penalty.item() == pytest.approx(0.7 * sum(squares) / len(flat), rel=1e-5)

    (grad,) = torch.autograd.grad(penalty, emb.residual)
    expected = torch.zeros_like(grad)
    for i in flat:
        expected[i] += 0.7 * 2 * emb.residual[i].detach() / len(flat)
    assert_close(grad, expected)


def test_no_penalty() -> None:
    assert make_embedding(residual_penalty=0).penalty(IDS) is None


@pytest.mark.parametrize(("encoder", "num_centers"), ENCODERS)
def test_state_dict_round_trip(encoder: str, num_centers: int | None) -> None:
    emb = make_embedding(encoder, num_centers)
    other = make_embedding(encoder, num_centers, seed=1)
    assert not torch.allclose(other(IDS), emb(IDS))
    file = io.BytesIO()
    torch.save(emb.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(IDS), emb(IDS))


def test_state_dict_fits_the_same_graph_in_another_order_of_edges() -> None:
    emb, graph = make_embedding(), random_graph(0)
    order = torch.randperm(graph.num_edges)
    graph.edge_index, graph.edge_weight = graph.edge_index[:, order], graph.edge_weight[order]
    other = make_embedding(graph=graph, seed=1)
    other.load_state_dict(emb.state_dict())
    assert_close(other(IDS), emb(IDS))


def changed_graph(change: str) -> Data:
    graph = random_graph(0)
    if change == "edge removed":
        graph.edge_index, graph.edge_weight = graph.edge_index[:, 1:], graph.edge_weight[1:]
    elif change == "edge moved":
        graph.edge_index[1, 0] = (graph.edge_index[1, 0] + 1) % 8
    elif change == "edges turned":
        graph.edge_index = graph.edge_index.flip(0)
    elif change == "weight changed":
        graph.edge_weight[2] += 1
    else:
        graph.edge_index = torch.arange(9).roll(2)[graph.edge_index]
    return graph


CHANGES = ["edge removed", "edge moved", "edges turned", "weight changed", "nodes permuted"]


@pytest.mark.parametrize("change", CHANGES)
def test_weights_of_another_graph_are_refused(change: str) -> None:
    emb = make_embedding()
    other = make_embedding(graph=changed_graph(change), seed=1)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(InputError, match="belong to another graph"):
        other.load_state_dict(emb.state_dict())
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_weights_of_a_graph_of_another_size_are_refused() -> None:
    emb, graph = make_embedding(shrinkage=None), random_graph(0)
    bigger = Data(
        edge_index=graph.edge_index,
        edge_weight=graph.edge_weight,
        x=torch.cat([graph.x, graph.x[:1]]),
        num_nodes=10,
    )
    with pytest.raises(InputError, match="belong to another graph"):
        make_embedding(graph=bigger, shrinkage=None).load_state_dict(emb.state_dict())


def test_refusal_inside_a_model_and_in_a_copy() -> None:
    saved = DIN(make_embedding()).state_dict()
    other = DIN(make_embedding(graph=changed_graph("edge removed")))
    for model in (other, copy.deepcopy(other)):
        with pytest.raises(InputError, match="belong to another graph"):
            model.load_state_dict(saved)
    DIN(make_embedding(seed=1)).load_state_dict(saved)


@pytest.mark.parametrize(("encoder", "num_centers"), ENCODERS)
def test_reset_parameters_is_governed_by_the_seed(encoder: str, num_centers: int | None) -> None:
    emb = make_embedding(encoder, num_centers)

    def drawn(seed: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        emb.reset_parameters()
        return {name: value.detach().clone() for name, value in emb.named_parameters()}

    first, other, again = drawn(0), drawn(1), drawn(0)
    for name, value in first.items():
        assert torch.equal(again[name], value), name
        assert name == "encoder.bias" or not torch.equal(other[name], value), name
    built, twice = (make_embedding(encoder, num_centers, seed=4) for _ in range(2))
    assert torch.equal(built(IDS), twice(IDS))


def test_standard_deviations_at_the_start() -> None:
    torch.manual_seed(0)
    graph = random_graph(0, num_nodes=100)
    emb = ResEmbedding(graph, 64, 100, center_std=0.4, residual_std=0.02)
    assert emb.centers.std().item() == pytest.approx(0.4, rel=0.05)
    assert emb.residual.std().item() == pytest.approx(0.02, rel=0.05)
    assert abs(emb.centers.mean().item()) < 0.05


def test_defaults_and_repr() -> None:
    emb = ResEmbedding(random_graph(0))
    settings = "9, 32, num_centers=64, shrinkage=1000.0, residual_penalty=1.0"
    assert str(emb).startswith(f"ResEmbedding(\n  {settings}\n  (encoder): SIGNEncoder(")
    torch.manual_seed(1)
    relu = ResEmbedding(random_graph(0), encoder="sign", normalization="relu")
    emb.load_state_dict(relu.state_dict())
    assert torch.equal(emb(torch.arange(9)), relu(torch.arange(9)))
    assert emb.center_std == relu.center_std
    assert "num_centers=9" in str(make_embedding("average", None))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("embedding_dim", 0),
        ("num_centers", 0),
        ("num_centers", -3),
        ("feature_dim", 0),
        ("temperature", 0),
        ("temperature", -0.2),
        ("temperature", float("nan")),
        ("center_std", -0.1),
        ("residual_std", -0.1),
        ("residual_std", float("nan")),
        ("shrinkage", -1),
        ("residual_penalty", -1),
        ("residual_penalty", float("nan")),
    ],
)
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"{name} must be .*{value}"):
        ResEmbedding(random_graph(0), **{name: value})


def test_unknown_encoder() -> None:
    with pytest.raises(
        InputError, match="encoder='sage' is unknown; choose from average, gcn, gat"
    ):
        make_embedding("sage")


@pytest.mark.parametrize("encoder", ["gcn", "gat", GCNConv(4, 3)])
def test_one_centre_an_item_goes_with_average_only(encoder: str | nn.Module) -> None:
    with pytest.raises(InputError, match="num_centers=None"):
        make_embedding(encoder, None)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("edge_index", None, "no edge_index"),
        ("edge_index", torch.tensor([[0, 9], [1, 2]]), r"outside 0\.\.8"),
        ("edge_weight", torch.ones(3), r"edge_weight has shape \[3\]"),
        ("edge_weight", -torch.ones(25), r"edge_weight\[0\] is -1"),
        ("x", torch.ones(8, 4), r"graph\.x has shape \[8, 4\], not \[9, num_features\]"),
        ("x", torch.full((9, 4), torch.nan), r"graph\.x"),
        ("count", torch.ones(10), r"graph\.count has shape \[10\], not \[9\]"),
    ],
)
def test_unusable_graphs(part: str, value: Tensor | None, message: str) -> None:
    graph = random_graph(0, num_edges=23)
    graph.edge_index, graph.edge_weight = graph.edge_index[:, :25], graph.edge_weight[:25]
    graph[part] = value
    if part == "edge_index":
        graph.edge_weight = None
    with pytest.raises(InputError, match=message):
        make_embedding(graph=graph)
