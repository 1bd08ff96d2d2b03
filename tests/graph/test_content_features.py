"""Features of items as node features, against scikit-learn's dense encoders and ridge."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.preprocessing import MultiLabelBinarizer, OneHotEncoder, StandardScaler
from torch_geometric.data import Data

from resemb_gnn import BehaviorLog, ContentFeatures, CountFeature, InputError, covisit_graph
from resemb_gnn.data import FeatureTable, read_features
from resemb_gnn.graph import (
    Adjacency,
    ContentEncoder,
    ContentRegression,
    FeatureExtension,
    NodeFeatures,
    SpectralFeatures,
    content_encoder,
)

KNOWN = torch.arange(40) % 5 != 3


def frame(size: int = 40) -> pl.DataFrame:
    """A column of each kind, some with missing values, of ``size`` items."""
    rng = np.random.default_rng(0)
    price = rng.lognormal(3, 1, size).round(2)
    return pl.DataFrame(
        {
            "brand": [f"b{one}" for one in rng.integers(4, size=size)],
            "price": [None if one % 7 == 1 else price[one] for one in range(size)],
            "year": 2000.0 + rng.integers(9, size=size),
            "tags": [rng.choice(4, one % 4, replace=False).tolist() for one in range(size)],
            "text": rng.normal(size=(size, 3)).astype(np.float32),
            "name": [f"n{one % 36}" for one in range(size)],
        },
        schema_overrides={"tags": pl.List(pl.Int64), "text": pl.Array(pl.Float32, 3)},
    )


def table_of(*names: str) -> FeatureTable:
    return read_features(frame(), names)


def scaled(columns: np.ndarray, known: torch.Tensor = KNOWN) -> np.ndarray:
    """Centred, with as mean square norm the number of columns over the known items."""
    columns = columns - columns[known.numpy()].mean(axis=0)
    norm = np.square(columns[known.numpy()]).sum(axis=1).mean()
    return columns * np.sqrt(columns.shape[1] / norm)


def assert_columns(names: list[str], expected: np.ndarray) -> None:
    table = table_of(*names)
    found = ContentEncoder(table, KNOWN)(table)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_numbers_are_standardised_and_clipped() -> None:
    year = frame()["year"].to_numpy()[:, None]
    low, high = np.quantile(year[KNOWN.numpy()], [0.01, 0.99])
    year = year.clip(low, high)
    assert_columns(["year"], StandardScaler().fit(year[KNOWN.numpy()]).transform(year))


def test_missing_numbers_are_the_mean_and_are_marked() -> None:
    price = frame()["price"].to_numpy()[:, None]
    low, high = np.nanquantile(price[KNOWN.numpy()], [0.01, 0.99])
    found = (
        StandardScaler().fit(price[KNOWN.numpy()].clip(low, high)).transform(price.clip(low, high))
    )
    both = np.hstack([np.nan_to_num(found), np.isnan(price)])
    assert_columns(["price"], scaled(both))


def test_vectors_number_by_number() -> None:
    text = frame()["text"].to_numpy().astype(float)
    known = text[KNOWN.numpy()]
    low, high = np.quantile(known, [0.01, 0.99], axis=0)
    found = StandardScaler().fit(known.clip(low, high)).transform(text.clip(low, high))
    assert_columns(["text"], found)


def test_categories_are_one_hot() -> None:
    brand = frame()["brand"].to_numpy()[:, None]
    encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    assert_columns(["brand"], scaled(encoder.fit(brand[KNOWN.numpy()]).transform(brand)))


def test_lists_are_multi_hot_of_length_one() -> None:
    found = MultiLabelBinarizer().fit_transform(frame()["tags"].to_list()).astype(float)
    found /= np.sqrt(found.sum(axis=1, keepdims=True).clip(min=1))
    assert_columns(["tags"], scaled(found))


def test_many_values_keep_their_products_in_32_columns() -> None:
    table = read_features(pl.DataFrame({"name": [f"n{one // 2}" for one in range(400)]}), ["name"])
    encoder = ContentEncoder(table)
    found = encoder(table).double()
    assert found.shape == (400, 32)
    assert torch.equal(found[::2], found[1::2])
    products = torch.nn.functional.normalize(found[::2], dim=1)
    products = products @ products.T
    assert float((products - torch.eye(200)).abs().mean()) < 0.2  # as random signs have it
    assert torch.equal(ContentEncoder(table)(table).double(), found)


def test_the_most_frequent_values_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many over all features, of which each has a share."""
    monkeypatch.setattr(content_encoder, "MOST_VALUES", 4)
    rows = pl.DataFrame({"one": list("aaabbbccd"), "two": list("xyzzyyxww"), "n": [0.5] * 9})
    table = read_features(rows, rows.columns)
    found = ContentEncoder(table).matrix(table).toarray()
    expected = [rows["one"] == "a", rows["one"] == "b", rows["two"] == "w", rows["two"] == "y"]
    np.testing.assert_array_equal(found[:, [0, 1, 3]], np.array(expected)[[0, 1, 3]].T)
    assert found.shape == (9, 5)


def test_features_stand_side_by_side() -> None:
    names = ["brand", "price", "text"]
    table = table_of(*names)
    encoder = ContentEncoder(table, KNOWN)
    parts = [ContentEncoder(table_of(name), KNOWN)(table_of(name)) for name in names]
    assert torch.equal(encoder(table), torch.cat(parts, dim=1))
    assert encoder.width == 4 + 2 + 3
    assert str(encoder) == "ContentEncoder(brand, price, text)"


def test_only_known_items_are_learnt_from() -> None:
    rows = frame()
    other = rows.with_columns(
        pl.when(pl.Series(KNOWN.numpy())).then("year").otherwise(1e9).alias("year"),
        pl.when(pl.Series(KNOWN.numpy())).then("brand").otherwise(pl.lit("new")).alias("brand"),
    )
    for name in ("year", "brand"):
        one, two = (ContentEncoder(read_features(part, [name]), KNOWN) for part in (rows, other))
        known = KNOWN.nonzero().flatten()
        assert torch.equal(one(one.table[known]), two(two.table[known]))
    # A brand of unknown items alone is none.
    matrix = two.matrix(two.table).toarray()
    assert not matrix[~KNOWN.numpy()].any()


@settings(max_examples=30, deadline=None)
@given(
    numbers=st.lists(
        st.none() | st.floats(allow_nan=True, width=32, allow_infinity=True), min_size=1, max_size=8
    ),
    known=st.booleans(),
)
def test_columns_are_finite(numbers: list[float | None], known: bool) -> None:
    table = read_features(pl.DataFrame({"n": pl.Series(numbers, dtype=pl.Float32)}), ["n"])
    mask = torch.arange(len(numbers)) > 0 if known else None
    encoder = ContentEncoder(table, mask)
    assert bool(encoder(table).isfinite().all())
    assert np.isfinite(encoder.matrix(table).toarray()).all()


def test_what_was_learnt_can_be_kept() -> None:
    table = read_features(frame(), frame().columns)
    encoder = ContentEncoder(table, KNOWN)
    state = {name: part.clone() for name, part in encoder.state().items()}
    again = ContentEncoder(table, state=state)
    assert torch.equal(again(table), encoder(table))
    np.testing.assert_array_equal(again.matrix(table).toarray(), encoder.matrix(table).toarray())
    for name, value, message in (
        ("1.low", torch.zeros(2), "what was learnt of 'price' does not fit"),
        ("0.column", torch.zeros(3, dtype=torch.long), "of 'brand' does not fit"),
        ("3.mean", torch.zeros(9), "of 'tags' does not fit"),
        ("2.scale", torch.tensor(float("nan")), "scale of the feature 'year' is missing or not"),
    ):
        with pytest.raises(InputError, match=message):
            ContentEncoder(table, state=state | {name: value})
    del state["4.high"]
    with pytest.raises(InputError, match="high of the feature 'text' is missing"):
        ContentEncoder(table, state=state)


def test_new_items_are_read_by_the_known_values() -> None:
    encoder = ContentEncoder(table_of("brand", "price", "text"), KNOWN)
    rows = frame()[[5, 2, 9]]
    expected = encoder(encoder.table[torch.tensor([5, 2, 9])])
    assert torch.equal(encoder(encoder.read(rows)), expected)
    assert torch.equal(encoder(encoder.read(rows.to_pandas())), expected)
    own = read_features(rows, ["text", "brand", "price"])  # other codes, another order
    assert torch.equal(encoder(encoder.read(own)), expected)
    for bad, message in (
        (rows.drop("price"), "the column 'price' is missing"),
        (rows.with_columns(price=pl.lit("much")), r"column 'price', row 0 .*'much' is no number"),
        (rows.with_columns(text=pl.lit([1.0])), "no vector of 3 numbers"),
    ):
        with pytest.raises(InputError, match=message):
            encoder.read(bad)


# --- the transform


def lonely_graph(log: BehaviorLog, folds: int | None = None) -> Data:
    """A graph whose items 36 to 39 have no co-visits."""
    return covisit_graph(log.select(log.items < 36), folds=folds)


def dense_gcn(graph: Data) -> torch.Tensor:
    """The normalised adjacency matrix, dense."""
    dense = torch.eye(40, dtype=torch.double)
    dense[graph.edge_index[1], graph.edge_index[0]] += graph.edge_weight.double()
    scale = dense.sum(dim=1).rsqrt()
    return scale[:, None] * dense * scale


def test_columns_are_appended_in_each_fold(log: BehaviorLog) -> None:
    table = read_features(frame(), ["brand", "price"])
    graph = NodeFeatures(6)(covisit_graph(log, folds=2))
    made = ContentFeatures(table)(graph)
    columns = ContentEncoder(table, graph.count > 0)(table)
    assert torch.equal(made.x, torch.cat([graph.x, columns], dim=1))
    for part, before in zip(made.fold_graphs, graph.fold_graphs, strict=True):
        joined = before.edge_index.unique()
        assert torch.equal(part.x[joined, 6:], columns[joined])
        assert before.x.size(1) == 6  # the input keeps its own
    assert graph.x.size(1) == 6
    assert made.content.table is table
    assert str(ContentFeatures(table)) == "ContentFeatures(brand, price)"


def test_lonely_items_get_what_their_features_say(log: BehaviorLog) -> None:
    table = read_features(frame(), ["brand", "price", "text"])
    graph = NodeFeatures(6)(lonely_graph(log, folds=2))
    made = ContentFeatures(table)(graph)
    for before, after in zip([graph, *graph.fold_graphs], [made, *made.fold_graphs], strict=True):
        lonely = torch.ones(40, dtype=torch.bool)
        lonely[before.edge_index.flatten()] = False
        assert lonely[36:].all()
        columns = torch.cat([before.x, made.content(table)], dim=1)
        matrix = made.content.matrix(table).toarray()
        known = (~lonely).numpy()
        weight = before.count.double().sqrt().numpy()[known]
        target = dense_gcn(before) @ columns.double()
        ridge = Ridge(1.0, solver="svd").fit(matrix[known], target.numpy()[known], weight)
        expected = ridge.predict(matrix[~known])
        expected[:, 5] = before.x[lonely, 5]  # the count is known
        np.testing.assert_allclose(after.x[lonely], expected, atol=1e-4)
        assert torch.equal(after.x[~lonely], columns[~lonely])
        assert bool(after.x[36:, :5].any(dim=1).all())


def test_content_alone_and_without_counts(log: BehaviorLog) -> None:
    table = read_features(frame(), ["brand"])
    graph = covisit_graph(log)
    del graph.count
    assert torch.equal(ContentFeatures(table)(graph).x, ContentEncoder(table)(table))
    empty = Data(edge_index=torch.empty(2, 0, dtype=torch.long), x=torch.ones(40, 2), num_nodes=40)
    made = ContentFeatures(table)(empty)  # no neighbourhood to learn from
    assert torch.equal(made.x, torch.cat([empty.x, ContentEncoder(table)(table)], dim=1))


def test_unusable_features(log: BehaviorLog) -> None:
    graph = covisit_graph(log)
    table = read_features(frame(), ["brand"])
    with pytest.raises(InputError, match="of 3 items, but the graph has 40 nodes"):
        ContentFeatures(table[torch.arange(3)])(graph)
    with pytest.raises(InputError, match="the table of items has no features"):
        ContentEncoder(FeatureTable({}))
    with pytest.raises(InputError, match=r"known has shape \[2\], not \[40\]"):
        ContentEncoder(table, torch.ones(2, dtype=torch.bool))


# --- new items


@pytest.mark.parametrize("count_last", [True, False])
def test_new_items_by_co_visits_and_features(log: BehaviorLog, count_last: bool) -> None:
    table = read_features(frame(), ["brand", "price", "text"])
    graph = SpectralFeatures(5)(lonely_graph(log))
    steps = [ContentFeatures(table), CountFeature()]
    for step in steps if count_last else reversed(steps):
        graph = step(graph)
    extension = FeatureExtension(graph)
    assert extension.spectral[:5].all()
    assert extension.counts.sum() == 1
    rows = Adjacency(torch.tensor([0, 2, 2]), torch.tensor([3, 8]), torch.tensor([1.0, 9.0]))
    new = frame(60)[[50, 51]]
    read = extension.read(new)
    x = extension(rows, torch.tensor([4, 0]), read)
    by_edges = extension(rows, torch.tensor([4, 0]))
    said = ContentRegression(graph.content, graph)(read).float()
    share = torch.tensor([[10 / 40], [0.0]])
    mixed = by_edges.clone()
    mixed[:, extension.content] = graph.content(read)
    mixed = share * mixed + (1 - share) * said
    mixed[:, extension.counts] = by_edges[:, extension.counts]
    torch.testing.assert_close(x, mixed, atol=1e-5, rtol=1e-4)


def test_an_old_item_as_a_new_one(log: BehaviorLog) -> None:
    """Without co-visits, the same row as the transform gives an item that has none."""
    table = read_features(frame(), ["brand", "price", "tags"])
    graph = ContentFeatures(table)(SpectralFeatures(5)(lonely_graph(log)))
    extension = FeatureExtension(graph)
    none = Adjacency(torch.zeros(5, dtype=torch.long), torch.zeros(0).long(), torch.zeros(0))
    x = extension(none, features=extension.read(frame()[36:40]))
    torch.testing.assert_close(x, graph.x[36:])


def test_features_of_new_items_need_those_of_the_graph(log: BehaviorLog) -> None:
    graph = SpectralFeatures(5)(covisit_graph(log))
    with pytest.raises(InputError, match="the graph was made without ContentFeatures"):
        FeatureExtension(graph).read(frame())


def test_nothing_appended(log: BehaviorLog) -> None:
    """The same rows of lonely and of new items, without the columns."""
    table = read_features(frame(), ["brand", "price"])
    graph = NodeFeatures(6)(lonely_graph(log, folds=2))
    with_columns, without = (ContentFeatures(table, append=a)(graph) for a in (True, False))
    for one, two in zip(
        [with_columns, *with_columns.fold_graphs], [without, *without.fold_graphs], strict=True
    ):
        torch.testing.assert_close(one.x[:, :6], two.x)
    none = Adjacency(torch.zeros(3, dtype=torch.long), torch.zeros(0).long(), torch.zeros(0))
    new = frame(60)[[50, 51]]
    x = [
        FeatureExtension(one)(none, features=one.content.read(new))
        for one in (with_columns, without)
    ]
    torch.testing.assert_close(x[0][:, :6], x[1])
    with pytest.raises(InputError, match="append=False leaves the graph without node features"):
        ContentFeatures(table, append=False)(covisit_graph(log))
