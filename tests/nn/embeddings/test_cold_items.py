"""Items that came later, against PyG's layers on the graph that holds them."""

import copy
from typing import Any

import polars as pl
import pytest
import torch
from dense_reference import ENCODERS, dense_weights, random_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GCNConv, SAGEConv
from torch_geometric.nn.models import GCN

from resemb_gnn import BehaviorLog, ContentFeatures, InputError, ResEmbedding, covisit_graph
from resemb_gnn.data import FeatureTable, extend_vocabulary, read_features
from resemb_gnn.graph import ContentRegression, NodeFeatures
from resemb_gnn.nn import HardEncoder

VALUES, PTR = torch.tensor([3, 0, 8, 1, 1]), torch.tensor([0, 2, 2, 5])  # the second has none
WEIGHTS = torch.tensor([2.0, 0.5, 1.0, 3.0, 1.5])
X = torch.arange(12.0).view(3, 4).sin()


def make(
    encoder: str | nn.Module, num_centers: int | None = 3, graph: Data | None = None, **options: Any
) -> ResEmbedding:
    torch.manual_seed(0)
    graph = random_graph(0) if graph is None else graph
    options = {"residual_std": 0.5, "shrinkage": 2.0} | options
    emb = ResEmbedding(graph, 5, num_centers, encoder, **options)
    if hasattr(emb.encoder, "bias"):
        nn.init.normal_(emb.encoder.bias)
    return emb


def attached(graph: Data, x: Tensor = X, weights: Tensor = WEIGHTS) -> Data:
    """The graph with the new items, joined by edges to them."""
    new = torch.tensor([9, 9, 11, 11, 11])
    return Data(
        x=torch.cat([graph.x, x]),
        edge_index=torch.cat([graph.edge_index, torch.stack([VALUES, new])], dim=1),
        edge_weight=torch.cat([graph.edge_weight, weights]),
        num_nodes=12,
    )


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def in_a_list(values: Tensor) -> list[Tensor]:
    return list(values.tensor_split(PTR[1:-1]))


@pytest.mark.parametrize("jagged", [True, False])
def test_gcn_equals_pyg_on_the_graph_with_the_item(jagged: bool) -> None:
    emb, graph = make("gcn", temperature=0.5), attached(random_graph(0))
    conv = GCNConv(4, 3)
    with torch.no_grad():
        conv.lin.weight.copy_(emb.encoder.weight.t())
        conv.bias.copy_(emb.encoder.bias)
    weights = (conv(graph.x, graph.edge_index, graph.edge_weight)[9:] / 0.5).softmax(dim=1)
    neighbors = (VALUES, PTR) if jagged else in_a_list(VALUES)
    edge_weights = WEIGHTS if jagged else in_a_list(WEIGHTS)
    assert_close(emb.embed_new(X, neighbors=neighbors, weights=edge_weights), weights @ emb.centers)


def test_deep_gcn_equals_pyg() -> None:
    emb, graph = make("gcn", hidden=(6,)), attached(random_graph(0))
    net = GCN(4, 6, 2, 3)
    with torch.no_grad():
        net.convs[0].lin.weight.copy_(emb.encoder.hidden[0].weight)
        net.convs[0].bias.copy_(emb.encoder.hidden[0].bias)
        net.convs[1].lin.weight.copy_(emb.encoder.weight.t())
        net.convs[1].bias.copy_(emb.encoder.bias)
    weights = net(graph.x, graph.edge_index, graph.edge_weight)[9:].softmax(dim=1)
    actual = emb.embed_new(X, neighbors=(VALUES, PTR), weights=WEIGHTS)
    assert_close(actual, weights @ emb.centers)


def test_gat_equals_pyg_on_the_graph_with_the_item() -> None:
    emb, graph = make("gat"), attached(random_graph(0))
    conv = GATConv(4, 3)
    with torch.no_grad():
        conv.lin.weight.copy_(emb.encoder.lin.t())
        conv.att_src.copy_(emb.encoder.att_source[None])
        conv.att_dst.copy_(emb.encoder.att_target[None])
        conv.bias.copy_(emb.encoder.bias)
    weights = conv(graph.x, graph.edge_index)[9:].softmax(dim=1)
    actual = emb.embed_new(X, neighbors=(VALUES, PTR), weights=WEIGHTS)
    assert_close(actual, weights @ emb.centers)


def test_average_equals_the_dense_formula() -> None:
    emb, graph = make("average"), attached(random_graph(0))
    own = dict(emb.encoder.named_parameters())
    weights = dense_weights("average", 3, graph, own, 1.0)[9:]
    actual = emb.embed_new(X, neighbors=(VALUES, PTR), weights=WEIGHTS)
    assert_close(actual, weights @ emb.centers)


def test_one_centre_an_item_gives_the_mean_of_the_neighbours_centres() -> None:
    emb = make("average", None)
    actual = emb.embed_new(neighbors=(VALUES, PTR), weights=WEIGHTS)
    c = emb.centers
    rows = [(2 * c[3] + 0.5 * c[0]) / 2.5, torch.zeros(5), (c[8] + 4.5 * c[1]) / 5.5]
    assert_close(actual, torch.stack(rows))


@pytest.mark.parametrize("encoder", [SAGEConv(4, 3), "sign"])
def test_other_encoders_on_the_graph_with_the_item(encoder: str | nn.Module) -> None:
    emb, graph = make(encoder), attached(random_graph(0))
    actual = emb.embed_new(X, neighbors=(VALUES, PTR), weights=WEIGHTS)
    graph.count = torch.ones(12)
    whole = make(encoder, graph=graph)
    whole.encoder.load_state_dict(emb.encoder.state_dict())
    assert_close(actual, whole.center_weights(torch.arange(9, 12)) @ emb.centers)


def test_hard_centres_are_voted_for() -> None:
    center = torch.tensor([0, 1, 0, 1, 1, 2, 1, 2, 0])
    emb = make(HardEncoder(random_graph(0), center), None)
    lists = [[0, 1, 2], [5], [], [0, 5]]
    weights = [torch.ones(3), torch.ones(1), torch.ones(0), torch.tensor([1.0, 2.0])]
    neighbors = [torch.tensor(part, dtype=torch.long) for part in lists]
    actual = emb.embed_new(neighbors=neighbors, weights=weights)
    assert_close(actual, emb.centers[[0, 2, 1, 2]])


@pytest.mark.parametrize(("encoder", "num_centers"), ENCODERS)
def test_nothing_else_moves_and_gradients_flow(encoder: str, num_centers: int | None) -> None:
    emb = make(encoder, num_centers)
    before, state = emb(torch.arange(9)), copy.deepcopy(emb.state_dict())
    emb.embed_new(neighbors=[torch.tensor([1, 2]), torch.tensor([4])]).sum().backward()
    assert emb.centers.grad.abs().sum() > 0
    assert emb.residual.grad is None
    assert torch.equal(emb(torch.arange(9)), before)
    assert all(torch.equal(value, state[name]) for name, value in emb.state_dict().items())


@settings(max_examples=15, deadline=None)
@given(
    lists=st.lists(st.lists(st.integers(0, 8), max_size=4), max_size=4),
    encoder=st.sampled_from(ENCODERS),
)
def test_items_do_not_see_each_other(
    lists: list[list[int]], encoder: tuple[str, int | None]
) -> None:
    emb = make(*encoder)
    neighbors = [torch.tensor(part, dtype=torch.long) for part in lists]
    together = emb.embed_new(neighbors=neighbors)
    assert together.shape == (len(lists), 5)
    assert bool(together.isfinite().all())
    for row, part in zip(together, neighbors, strict=True):
        assert_close(emb.embed_new(neighbors=[part])[0], row)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"neighbors": [torch.tensor([3, 9])]}, "neighbour 9 is not in the table of 9 items"),
        ({"neighbors": [torch.tensor([-1])]}, "neighbour -1 is not in the table"),
        ({"neighbors": [torch.tensor([0.5])]}, "must be item numbers"),
        ({"neighbors": (VALUES > 3, PTR)}, "must be item numbers"),
        ({"neighbors": (VALUES, PTR[:-1])}, "ptr does not cut 5 neighbours"),
        ({"neighbors": (VALUES, torch.tensor([0, 3, 2, 5]))}, "ptr does not cut"),
        ({"neighbors": (VALUES, torch.tensor([1, 5]))}, "ptr does not cut"),
        ({"neighbors": (VALUES, PTR), "weights": WEIGHTS[:4]}, r"weights have shape \[4\], not"),
        ({"neighbors": (VALUES, PTR), "weights": -WEIGHTS}, r"weights\[0\] is -2"),
        ({"neighbors": (VALUES, PTR), "x": X[:2]}, r"x has shape \[2, 4\], not \[3, 4\]"),
        ({"neighbors": (VALUES, PTR), "x": X / 0}, "x holds a value that is not finite"),
    ],
)
def test_bad_new_items(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make("gcn").embed_new(**arguments)


def test_features_in_whole_numbers(log: BehaviorLog) -> None:
    graph = covisit_graph(log)
    graph.x = torch.randint(-3, 4, (log.num_items, 4))
    whole = make("gcn", graph=graph)
    graph.x = graph.x.float()
    neighbors = [torch.tensor([1, 2, 7]), torch.tensor([4])]
    expected = make("gcn", graph=graph).embed_new(neighbors=neighbors)
    assert torch.equal(whole.embed_new(neighbors=neighbors), expected)


@pytest.mark.parametrize(("encoder", "num_centers"), ENCODERS)
def test_neighbors_in_32_bits(encoder: str, num_centers: int | None) -> None:
    emb = make(encoder, num_centers)
    wide, narrow = (VALUES, PTR), (VALUES.int(), PTR.int())
    expected = emb.embed_new(neighbors=wide)
    assert torch.equal(emb.embed_new(neighbors=narrow), expected)
    lists = [part.int() for part in VALUES.split(PTR.diff().tolist())]
    assert torch.equal(emb.embed_new(neighbors=lists), expected)


def test_features_where_there_are_none() -> None:
    graph = random_graph(0)
    del graph.x
    with pytest.raises(InputError, match="no node features"):
        make("average", None, graph=graph).embed_new(X, neighbors=(VALUES, PTR))


# --- features of new items


def content(size: int = 40) -> pl.DataFrame:
    """Features of ``size`` items."""
    price = [None if one % 7 == 0 else one + 0.5 for one in range(size)]
    return pl.DataFrame({"brand": [f"b{one % 5}" for one in range(size)], "price": price})


def with_content(graph: Data) -> Data:
    table = read_features(content(int(graph.num_nodes or 0)), ["brand", "price"])
    return ContentFeatures(table)(NodeFeatures(6)(graph))


def by_regression(emb: ResEmbedding, table: FeatureTable) -> Tensor:
    graph = emb.encoder.graph
    return ContentRegression(graph.content, graph)(table).float()


WITH_FEATURES = [one for one in ENCODERS if one[1] is not None]


@pytest.mark.parametrize(("encoder", "num_centers"), WITH_FEATURES)
def test_features_place_an_item_without_co_visits(
    log: BehaviorLog, encoder: str, num_centers: int
) -> None:
    lonely = log.select(log.items < 36)
    emb = make(encoder, num_centers, graph=with_content(covisit_graph(lonely)))
    new = emb.embed_new(features=content()[36:])
    # The graph has seen these items as lonely ones: only their count is not known here.
    known = emb.encoder.graph.x[36:].clone()
    counts = emb.embed_new(known)
    assert new.shape == (4, 5)
    known[:, 5] = by_regression(emb, emb.encoder.graph.content.table)[36:, 5]
    assert_close(new, emb.embed_new(known))
    assert not torch.allclose(new, counts)
    assert (new[0] - new[1]).norm() > 1e-3
    assert_close(emb.embed_new(features=content()[36:], neighbors=[torch.empty(0).long()] * 4), new)


def test_features_and_co_visits(log: BehaviorLog) -> None:
    emb = make("gcn", graph=with_content(covisit_graph(log)))
    both = {"neighbors": [torch.tensor([1, 2])], "weights": [torch.tensor([3.0, 1.0])]}
    one, two = (emb.embed_new(features=content()[row : row + 1], **both) for row in (1, 2))
    assert (one - two).norm() > 1e-4
    assert (one - emb.embed_new(**both)).norm() > 1e-4
    assert (one - emb.embed_new(features=content()[1:2])).norm() > 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give the new items' neighbors, or their features or x alone"),
        ({"x": X, "weights": WEIGHTS}, "give the new items' neighbors"),
        ({"x": X, "features": content()}, "leave out x or features"),
        ({"features": content().drop("price")}, "the new items, the column 'price' is missing"),
        (
            {"features": content().with_columns(price=pl.lit("much"))},
            "the new items, column 'price', row 0 .*'much' is no number",
        ),
        (
            {"features": content(2), "neighbors": (VALUES, PTR)},
            "features of 2 new items, but there are 3",
        ),
    ],
)
def test_bad_features_of_new_items(
    log: BehaviorLog, arguments: dict[str, Any], message: str
) -> None:
    emb = make("gcn", graph=with_content(covisit_graph(log)))
    with pytest.raises(InputError, match=message):
        emb.embed_new(**arguments)


def test_features_that_the_graph_does_not_have(log: BehaviorLog) -> None:
    with pytest.raises(InputError, match="the graph was made without ContentFeatures"):
        make("gcn").embed_new(features=content())
    graph = covisit_graph(log)
    with pytest.raises(InputError, match="this encoder has no node features"):
        make("average", None, graph=graph).embed_new(features=content())
    graph = with_content(covisit_graph(log))  # it has some, but these encoders do not look at them
    for encoder in ("average", HardEncoder(graph, torch.arange(40) % 3)):
        with pytest.raises(InputError, match="this encoder has no node features"):
            make(encoder, None, graph=graph).embed_new(features=content())


@pytest.mark.parametrize(("encoder", "num_centers"), WITH_FEATURES)
def test_update_by_features(log: BehaviorLog, encoder: str, num_centers: int) -> None:
    old_log, new_log = two_logs(log)
    emb = make(encoder, num_centers, graph=with_content(covisit_graph(old_log)))
    # The items from 35 on come without any behaviour.
    log_of_some = new_log.select(new_log.items < 35)
    grown = emb.update(log_of_some, features=content()[30:])
    x = grown.encoder.graph.x
    assert torch.equal(x[:30], emb.encoder.graph.x)
    table = emb.encoder.graph.content.read(content()[30:])
    ids = torch.arange(35, 40)
    expected = by_regression(emb, table)[5:]
    assert_close(x[35:, :5], expected[:, :5])
    assert_close(x[35:, 6:], expected[:, 6:])
    count = emb.encoder.graph.count.double().log1p()
    zero = ((0 - count.mean()) / count.std(correction=0)).float()  # no behaviour, as they have none
    assert_close(x[35:, 5], zero.expand(5))
    assert_close(grown(ids), emb.embed_new(x[35:]))
    # The grown embedding takes features, too.
    later = grown.embed_new(features=content()[30:])
    assert_close(later, emb.embed_new(features=content()[30:]))
    assert (emb.update(log_of_some)(ids) - grown(ids)).norm() > 1e-3


def test_update_by_features_of_other_items(log: BehaviorLog) -> None:
    old_log, new_log = two_logs(log)
    emb = make("gcn", graph=with_content(covisit_graph(old_log)))
    with pytest.raises(InputError, match="features of 40 new items, but there are 10"):
        emb.update(new_log, features=content())


# --- update


def two_logs(log: BehaviorLog) -> tuple[BehaviorLog, BehaviorLog]:
    """The log's first half, over the 30 smallest ids alone, and its second half over all."""
    half = torch.arange(log.num_behaviors) % 2 == 0
    numbers = torch.arange(log.num_items)
    first = log.select(half & (numbers[log.items] < 30))
    small = BehaviorLog(first.items, first.ptr, first.times, first.user_ids, log.item_ids[:30])
    return small, log.select(~half)


def dense_counts(graph: Data, size: int) -> Tensor:
    dense = torch.zeros(size, size)
    return dense.index_put(tuple(graph.edge_index), graph.edge_weight, accumulate=True)


@pytest.mark.parametrize(("encoder", "num_centers"), ENCODERS)
def test_update(log: BehaviorLog, encoder: str, num_centers: int | None) -> None:
    old_log, new_log = two_logs(log)
    graph = covisit_graph(old_log)
    emb = make(encoder, num_centers, graph=graph, feature_dim=4)
    state = copy.deepcopy(emb.state_dict())
    grown = emb.update(new_log)

    size = log.num_items
    now = grown.encoder.graph
    more = covisit_graph(new_log)
    expected = dense_counts(graph, size) + dense_counts(more, size)
    assert_close(dense_counts(now, size), expected)
    assert torch.equal(now.count, more.count + nn.functional.pad(graph.count, (0, size - 30)))
    # Old parameters as they were, and nothing in the new rows.
    for name, value in emb.state_dict().items():
        assert torch.equal(value, state[name])
        if name not in ("graph_hash", "residual", "centers"):
            assert torch.equal(grown.state_dict()[name], value)
    assert torch.equal(grown.residual[:30], emb.residual)
    assert not grown.residual[30:].any()
    assert torch.equal(grown.centers[: emb.num_centers], emb.centers)
    if num_centers is None:  # a new item starts at the mean centre of its old neighbours
        joined = expected[30:, :30]
        mean = joined @ emb.centers / joined.sum(dim=1, keepdim=True).clamp(min=1)
        assert_close(grown.centers[30:], mean)
    # The rows are those of the formula on the new graph.
    own = dict(grown.encoder.named_parameters())
    weights = dense_weights(encoder, num_centers, now, own, 1.0)
    scale = now.count / (now.count + 2.0)
    rows = weights @ grown.centers + scale[:, None] * grown.residual
    assert_close(grown(torch.arange(size)), rows)
    if num_centers is not None:
        assert torch.equal(now.x[:30], emb.encoder.graph.x)
        assert now.x[30:].abs().sum() > 0
    # An embedding like any other, independent of the old one.
    grown(torch.arange(size)).sum().backward()
    assert emb.centers.grad is None
    again = grown.update(new_log)
    assert again.num_embeddings == size
    assert_close(dense_counts(again.encoder.graph, size), expected + dense_counts(more, size))


def test_update_of_given_centres_keeps_them_and_gives_new_items_means(log: BehaviorLog) -> None:
    old_log, new_log = two_logs(log)
    given = torch.randn(30, 5, generator=torch.Generator().manual_seed(1))
    emb = make("average", None, graph=covisit_graph(old_log), fixed_centers=given)
    grown = emb.update(new_log)
    assert torch.equal(grown.centers[:30], given)
    assert torch.equal(grown.fixed_centers, grown.centers)
    assert not grown.centers.requires_grad
    free = make("average", None, graph=covisit_graph(old_log))
    free.centers.data.copy_(given)
    assert torch.equal(grown.centers, free.update(new_log).centers)


def test_update_by_nothing_changes_nothing(log: BehaviorLog) -> None:
    emb = make("gcn", graph=covisit_graph(log), feature_dim=4)
    emb.residual.requires_grad_(False)
    same = emb.eval().update(log.select(torch.zeros(log.num_behaviors, dtype=torch.bool)))
    ids = torch.arange(log.num_items)
    assert_close(same(ids), emb(ids))
    assert not same.training
    assert not same.residual.requires_grad
    same.load_state_dict(emb.state_dict())  # still the same graph


def test_update_agrees_with_embed_new(log: BehaviorLog) -> None:
    """An item that only one old item leads to: the same features, and nearly the same place."""
    size = log.num_items
    emb = make("gcn", graph=covisit_graph(log), feature_dim=4)
    later = BehaviorLog(
        items=torch.tensor([7, size]),
        ptr=torch.tensor([0, 2]),
        times=torch.tensor([0, 1]),
        user_ids=pl.Series(["u"]),
        item_ids=pl.concat([log.item_ids, pl.Series([999])]),
    )
    grown = emb.update(later)
    new = emb.embed_new(x=grown.encoder.graph.x[size:], neighbors=[torch.tensor([7])])
    # The old item's own degree has grown by one in the updated graph: its part shrinks a little.
    distance = (grown.center_part(torch.tensor([size])) - new).norm()
    assert distance < 0.05 * new.norm()


def test_update_needs_the_embeddings_items(log: BehaviorLog) -> None:
    old_log, _ = two_logs(log)
    emb = make("gcn", graph=covisit_graph(log), feature_dim=4)
    with pytest.raises(InputError, match="the log has 30 items, but the embedding 40"):
        emb.update(old_log)


def test_update_needs_a_log(log: BehaviorLog) -> None:
    with pytest.raises(InputError, match="the log is of type Data, not a BehaviorLog"):
        make("gcn").update(covisit_graph(log))  # type: ignore[arg-type]


def test_extend_vocabulary(log: BehaviorLog) -> None:
    known = pl.Series([900, 105, 103])
    extended = extend_vocabulary(log, known)
    assert extended.item_ids[:3].to_list() == [900, 105, 103]
    assert sorted(extended.item_ids) == sorted([900, *log.item_ids])
    assert extended.item_ids[extended.items.numpy()].equals(log.item_ids[log.items.numpy()])
    assert torch.equal(extended.ptr, log.ptr)
    with pytest.raises(InputError, match="the known item ids are String"):
        extend_vocabulary(log, pl.Series(["a"]))
    with pytest.raises(InputError, match="item id 5 comes twice"):
        extend_vocabulary(log, pl.Series([5, 5]))
