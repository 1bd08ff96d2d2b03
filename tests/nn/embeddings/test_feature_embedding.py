"""Embeddings of features against loops, NumPy and scikit-learn."""

import copy
import pickle

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import SplineTransformer
from torch import Tensor, nn

from resemb_gnn import InputError
from resemb_gnn.data import FeatureTable
from resemb_gnn.data.features import MISSING, UNKNOWN, read_features
from resemb_gnn.nn import TableEmbedding, width_of
from resemb_gnn.nn.embeddings.feature_numbers import BINS, quantile_places
from tests.dense_features import dense_rows, part_of, vector_of

FRAME = pl.DataFrame(
    {
        "brand": ["x", "y", None, "z", "y", "x"],
        "tags": [["a"], [], None, ["b", "a", "c"], ["c", "c"], ["b"]],
        "price": [1.5, None, 3.25, 10.0, float("nan"), 2.0],
        "vector": pl.Series(
            [[1.0, 2], [3, 4], None, [0, 1], [5, 5], [2, 9]], dtype=pl.Array(float, 2)
        ),
    }
)
KEYS = torch.arange(len(FRAME))


def make(frame: pl.DataFrame = FRAME, **options: object) -> tuple[FeatureTable, TableEmbedding]:
    torch.manual_seed(0)
    table = read_features(frame, frame.columns)
    made = TableEmbedding(table, **options).double()
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    return table, made


def parts(embedding: TableEmbedding, out: Tensor) -> dict[str, Tensor]:
    return {name: out[:, place] for name, place in embedding.columns.items()}


def test_each_kind_equals_a_loop_over_its_values() -> None:
    table, embedding = make()
    embedding.eval()
    found = parts(embedding, embedding(table, KEYS))
    vector, _ = part_of(embedding, "vector")
    words = {"x": 2, "y": 3, "z": 4, None: MISSING}
    for row, word in enumerate(FRAME["brand"]):
        assert torch.equal(found["brand"][row], vector_of(embedding, "brand", words[word]))
    letters = {"a": 2, "b": 3, "c": 4}
    for row, those in enumerate(FRAME["tags"].to_list()):
        codes = [letters[letter] for letter in those or []] or [MISSING]
        mean = torch.stack([vector_of(embedding, "tags", code) for code in codes]).mean(dim=0)
        torch.testing.assert_close(found["tags"][row], mean)
    numbers = FRAME["vector"].drop_nulls().to_numpy()
    scaled = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0, ddof=1)
    there = FRAME["vector"].is_not_null().to_torch()
    wanted = vector.linear(torch.from_numpy(scaled))
    torch.testing.assert_close(found["vector"][there], wanted, atol=1e-5, rtol=1e-5)
    assert torch.equal(found["vector"][~there], vector.missing.expand(1, -1))


def test_numbers_are_linear_between_the_quantiles() -> None:
    numbers = np.random.default_rng(0).lognormal(0, 2, 1000).astype(np.float32)
    _, embedding = make(pl.DataFrame({"price": numbers}))
    (price,) = embedding.eval().parts
    edges = np.quantile(numbers, np.linspace(0, 1, 17), method="nearest").astype(float)
    np.testing.assert_allclose(np.sort(price.edges[0].numpy()), price.edges[0].numpy())
    assert (
        np.mean(
            np.abs(
                np.searchsorted(np.sort(numbers), price.edges[0])
                - np.searchsorted(np.sort(numbers), edges)
            )
            <= 1
        )
        == 1
    )
    # A sum of ramps is the linear spline through its values at the edges.
    x = np.concatenate([numbers, [-5, 1e6]])
    knots = price.edges[0].numpy()
    at = read_features(pl.DataFrame({"price": x}), ["price"])
    found = embedding(at, torch.arange(len(x))).detach().numpy()
    values = price.weight[0].detach().numpy().cumsum(axis=0) + price.bias[0].detach().numpy()
    spline = SplineTransformer(
        degree=1, knots=knots[:, None], extrapolation="constant", include_bias=True
    ).fit(knots[:, None])
    basis = spline.transform(np.asarray(at.features["price"].values, dtype=float)[:, None])
    np.testing.assert_allclose(found, basis @ values, atol=1e-6)


@given(st.integers(1, 2**40))
def test_edges_stand_at_even_places_of_any_number_of_rows(size: int) -> None:
    place = quantile_places(size).tolist()
    assert (place[0], place[-1]) == (0, size - 1)
    for number, at in enumerate(place):
        assert abs(2 * BINS * at - 2 * number * (size - 1)) <= BINS  # to the nearest


@settings(max_examples=20, deadline=None)
@given(
    rows=st.integers(1, 12),
    numbers=st.integers(0, 3),
    categories=st.integers(0, 4),
    lists=st.integers(0, 2),
    widths=st.lists(st.integers(1, 3), min_size=9, max_size=9),
    seed=st.integers(0, 1000),
)
def test_many_features_equal_a_loop_over_each(
    rows: int, numbers: int, categories: int, lists: int, widths: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)

    def some(values: list[object]) -> list[object]:
        return [value if rng.random() < 0.7 else None for value in values]

    frame = {
        f"n{n}": pl.Series(some(rng.integers(4, size=rows) / 4), dtype=pl.Float64)
        for n in range(numbers)
    }
    frame |= {
        f"c{n}": pl.Series(some(rng.integers(5, size=rows)), dtype=pl.Int64)
        for n in range(categories)
    }
    frame |= {
        f"l{n}": pl.Series(
            some([rng.integers(4, size=rng.integers(4)).tolist() for _ in range(rows)]),
            dtype=pl.List(pl.Int64),
        )
        for n in range(lists)
    }
    names = rng.permutation(sorted(frame)).tolist()
    if not names:
        return
    table = read_features(pl.DataFrame(frame), names)
    torch.manual_seed(seed)
    embedding = TableEmbedding(table, dict(zip(names, widths, strict=False))).double()
    for parameter in embedding.parameters():
        nn.init.normal_(parameter)
    embedding.adapt(table[torch.from_numpy(rng.integers(rows, size=rows))])
    found, wanted = embedding.eval()(table, torch.arange(rows)), dense_rows(embedding, table)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-6)
    # Encoded once, and rows taken from that.
    ids = torch.from_numpy(rng.integers(rows, size=2 * rows))
    picked = embedding.embed(embedding.select(embedding.encode(table), ids), ids)
    torch.testing.assert_close(picked, wanted[ids], atol=1e-6, rtol=1e-6)
    if categories:
        codes = embedding.selected_codes(embedding.encode(table), ids)
        assert torch.equal(codes, embedding.codes(table)[ids])
        assert (codes < torch.tensor(embedding.num_codes)).all()
    probe = torch.randn_like(found)
    parameters = list(embedding.parameters())
    one, other = (
        torch.autograd.grad((out * probe).sum(), parameters, materialize_grads=True)
        for out in (found, wanted)
    )
    torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


def test_an_outlier_or_a_constant_column_stays_finite() -> None:
    frame = pl.DataFrame({"one": [2.5] * 4, "far": [0.5, 1.5, 1e30, float("inf")]})
    frame = frame.with_columns(same=pl.Series([[1.0, 1.0]] * 4, dtype=pl.Array(float, 2)))
    ends = [[-3e38], [3e38], [-3e38], [3e38]]
    frame = frame.with_columns(ends=pl.Series(ends, dtype=pl.Array(float, 1)))
    frame = frame.with_columns(end=pl.col("ends").arr.first())
    table, embedding = make(frame)
    assert bool(embedding.float()(table, torch.arange(4)).isfinite().all())


def test_numbers_and_vectors_are_embedded_alike_in_any_unit() -> None:
    outs = []
    for unit in (1.0, 2.0**-40, 2.0**40):
        vectors = pl.Series((FRAME["vector"].to_numpy() * unit), dtype=pl.Array(float, 2))
        frame = pl.DataFrame({"price": FRAME["price"] * unit, "vector": vectors})
        table, embedding = make(frame)
        outs.append(embedding.eval()(table, KEYS))
    assert torch.equal(outs[1], outs[0])
    assert torch.equal(outs[2], outs[0])


def test_gradients() -> None:
    table, embedding = make(widths=2)
    embedding.eval()
    parameters = dict(embedding.named_parameters())

    def of(*values: Tensor) -> Tensor:
        both = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(embedding, both, (table, KEYS))

    assert torch.autograd.gradcheck(of, tuple(parameters.values()))


def test_values_unseen_in_training_are_unknown() -> None:
    table, embedding = make()
    embedding.eval().adapt(table[torch.tensor([0, 1, 2])])
    found = parts(embedding, embedding(table, KEYS))
    unknown = vector_of(embedding, "brand", UNKNOWN)
    assert torch.equal(found["brand"][3], unknown)  # z
    wanted = [vector_of(embedding, "tags", code) for code in (UNKNOWN, 2, UNKNOWN)]  # b, a, c
    torch.testing.assert_close(found["tags"][3], torch.stack(wanted).mean(dim=0))
    assert torch.equal(found["brand"][5], vector_of(embedding, "brand", 2))
    other = table.encode(FRAME.with_columns(brand=pl.lit("never")))
    never = parts(embedding, embedding(other, KEYS))["brand"]
    assert torch.equal(never, unknown.expand(6, -1))


def test_scales_are_learnt_from_the_rows_of_training_alone() -> None:
    train = torch.tensor([0, 2, 3])
    one, embedding = make()
    changed = FRAME.with_columns(
        price=pl.when(pl.int_range(6).is_in(train.tolist())).then("price").otherwise(99.5),
        vector=pl.when(pl.int_range(6).is_in(train.tolist()))
        .then("vector")
        .otherwise(pl.lit([7.0, 7.0], dtype=pl.Array(float, 2))),
    )
    other, again = make(changed)
    assert not torch.equal(again.parts[2].edges, embedding.parts[2].edges)
    embedding.adapt(one[train])
    again.adapt(other[train])
    for (name, buffer), value in zip(embedding.named_buffers(), again.buffers(), strict=True):
        assert torch.equal(buffer, value), name
    # Not even where training has no number at all.
    empty = torch.tensor([], dtype=torch.long)
    (one, embedding), (other, again) = make(), make(changed)
    for table, made in ((one, embedding), (other, again)):
        made.adapt(table[empty])
    assert torch.equal(again.parts[2].edges, embedding.parts[2].edges)
    assert torch.equal(again.parts[3].mean, embedding.parts[3].mean)


def test_what_was_trained_keeps_its_scales() -> None:
    table, embedding = make()
    embedding.train()(table, KEYS)
    before = copy.deepcopy(embedding.state_dict())
    embedding.adapt(table[torch.tensor([0])])
    assert all(torch.equal(before[name], value) for name, value in embedding.state_dict().items())


@settings(max_examples=15, deadline=None)
@given(cut=st.integers(0, 300), step=st.integers(0, 50), seed=st.integers(0, 100))
def test_what_is_dropped_depends_on_key_and_step_alone(cut: int, step: int, seed: int) -> None:
    frame = pl.DataFrame({"a": ["x"] * 300, "b": [1.5] * 300})
    table, embedding = make(frame, drop=0.3)
    key = torch.randperm(10_000, generator=torch.Generator().manual_seed(seed))[:300]
    rows = torch.arange(300)

    def at(index: Tensor) -> Tensor:
        embedding.steps.fill_(step)
        return embedding(table[index], key[index])

    whole = at(rows)
    assert torch.equal(torch.cat([at(rows[:cut]), at(rows[cut:])]), whole)
    order = torch.randperm(300)
    assert torch.equal(at(order), whole[order])
    step += 1
    assert not torch.equal(at(rows), whole)


def test_the_share_that_is_dropped() -> None:
    size = 40_000
    frame = pl.DataFrame({"a": ["x"] * size, "b": [1.5] * size, "c": [["y", "z"]] * size})
    table, embedding = make(frame, drop=0.1)
    found = parts(embedding, embedding(table, torch.arange(size)))
    for name in ("a", "c"):
        for code in (0, 1):  # no value is missing: half of what is dropped is, and half is unknown
            own = vector_of(embedding, name, code)
            share = torch.eq(found[name], own).all(dim=1).double().mean()
            assert share == pytest.approx(0.05, abs=0.006)
    number, _ = part_of(embedding, "b")
    dropped = {"b": torch.eq(found["b"], number.bias[0]).all(dim=1)}
    dropped["a"] = torch.ne(found["a"], vector_of(embedding, "a", 2)).any(dim=1)
    assert dropped["b"].double().mean() == pytest.approx(0.1, abs=0.008)
    both = (dropped["a"] & dropped["b"]).double().mean()  # features are dropped independently
    assert both == pytest.approx(0.01, abs=0.004)
    embedding.eval()
    for name, part in parts(embedding, embedding(table, torch.arange(size))).items():
        assert bool((part == part[0]).all()), name


def test_missing_and_unknown_values_are_trained() -> None:
    frame = pl.DataFrame({"a": ["x", "y"] * 50, "b": [1.5] * 100, "c": [["y"]] * 100})
    table, embedding = make(frame, drop=0.2)
    embedding(table, torch.arange(100)).sum().backward()
    for name in ("a", "c"):
        part, _ = part_of(embedding, name)
        assert bool((part.table.weight.grad[[MISSING, UNKNOWN]] != 0).all())
    assert bool((part_of(embedding, "b")[0].bias.grad != 0).all())
    table, embedding = make(frame.with_columns(a=pl.Series([None, "y"] * 50)), drop=0.2)
    out = parts(embedding, embedding(table, torch.arange(100)))["a"]
    assert bool(
        (out[1::2] != vector_of(embedding, "a", MISSING)).any(dim=1).all()
    )  # trained as it is


def test_widths() -> None:
    def width(size: int) -> int:
        frame = pl.DataFrame({"a": pl.Series(range(size)).cast(pl.String)})
        return width_of(read_features(frame, ["a"]).features["a"])

    assert [width(size) for size in (1, 1022, 1023, 16382, 16383)] == [4, 4, 8, 8, 16]
    _, embedding = make(widths={"tags": 5})
    assert embedding.widths == (4, 5, 4, 2)
    assert embedding.dim == 15
    with pytest.raises(InputError, match="there is no feature 'tag'"):
        make(widths={"tag": 5})
    with pytest.raises(InputError, match="width of the feature 'tags' must be above 0, not 0"):
        make(widths={"tags": 0})
    with pytest.raises(InputError, match="drop must be at least 0 and below 1, not 1"):
        make(drop=1)


def test_state_dict_copies_and_other_tables() -> None:
    table, embedding = make()
    _, other = make()
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(embedding.state_dict())
    for again in (other, copy.deepcopy(embedding), pickle.loads(pickle.dumps(embedding))):
        assert torch.equal(again.eval()(table, KEYS), embedding.eval()(table, KEYS))
    for frame in (FRAME.rename({"brand": "make"}), FRAME.with_columns(brand=pl.lit("q"))):
        with pytest.raises(InputError, match="features of other names, kinds or values"):
            make(frame)[1].load_state_dict(embedding.state_dict())
