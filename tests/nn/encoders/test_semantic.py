"""Semantic ids against scikit-learn's k-means, level by level, and a plain loop."""

import pytest
import torch
from dense_reference import hop_rows, random_graph
from sklearn.cluster import KMeans
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn import BehaviorLog, InputError, ResEmbedding, covisit_graph
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.nn import SemanticEncoder
from resemb_gnn.nn.encoders.semantic import _numbers


@pytest.fixture(scope="module")
def graph(log: BehaviorLog) -> Data:
    return NodeFeatures(6)(covisit_graph(log, folds=2))


def codes_of(encoder: SemanticEncoder, size: int, fold: int | None = None) -> Tensor:
    """The codes as the weights show them, ``[num_items, levels]``."""
    weights = encoder(torch.arange(size), fold).view(size, -1, encoder.codebooks.size(1))
    assert torch.equal(weights.sort(dim=2).values[..., -2:], torch.tensor([0.0, 1.0]).expand(
        size, weights.size(1), 2))  # fmt: skip
    return weights.argmax(dim=2)


def test_the_first_level_is_scikit_learns_on_every_fold(graph: Data) -> None:
    encoder, size = SemanticEncoder(graph, 5, levels=2, seed=1), int(graph.num_nodes)
    found = KMeans(5, n_init=1, random_state=1).fit(hop_rows(graph).numpy())
    assert codes_of(encoder, size)[:, 0].tolist() == found.labels_.tolist()
    for fold, part in enumerate(graph.fold_graphs):
        nearest = found.predict(hop_rows(part).numpy())
        assert codes_of(encoder, size, fold)[:, 0].tolist() == nearest.tolist()
        assert not torch.equal(codes_of(encoder, size, fold), codes_of(encoder, size))


def test_a_level_codes_what_those_before_leave() -> None:
    graph = random_graph(0, num_nodes=30, num_edges=90)
    encoder = SemanticEncoder(graph, 4, levels=3)
    emb = ResEmbedding(graph, 5, encoder=encoder, shrinkage=None, residual_std=0.5)
    left, before = hop_rows(graph).double(), torch.inf
    expected = emb.residual.clone()
    for level, book in enumerate(encoder.codebooks.double()):
        for item in range(30):
            distances = [(left[item] - each).square().sum() for each in book]
            code = int(torch.stack(distances).argmin())
            assert code == codes_of(encoder, 30)[item, level]
            left[item] -= book[code]
            expected[item] += emb.centers[4 * level + code]
        now = float(left.square().sum())
        assert now < before
        before = now
    torch.testing.assert_close(emb(torch.arange(30)), expected)
    part = emb.center_weights(torch.arange(30)) @ emb.centers
    torch.testing.assert_close(emb.center_part(torch.arange(30)), part)

    probe = torch.randn(30, 5)
    actual = torch.autograd.grad((emb(torch.arange(30)) * probe).sum(), emb.centers)
    wanted = torch.autograd.grad((expected * probe).sum(), emb.centers)
    torch.testing.assert_close(actual, wanted)


@pytest.mark.parametrize("bits", [3, 4, 16])
def test_a_centre_a_prefix(bits: int) -> None:
    """By dictionaries: an embedding is the sum over its prefixes, known by their codes in full."""
    graph = random_graph(0, num_nodes=30, num_edges=90)
    codes = codes_of(SemanticEncoder(graph, 4, levels=3), 30).tolist()
    encoder = SemanticEncoder(graph, 4, levels=3, prefix_bits=bits)
    sizes = [min(4**level, 2**bits) for level in (1, 2, 3)]
    assert encoder.num_centers == sum(sizes)
    emb = ResEmbedding(graph, 5, encoder=encoder, shrinkage=None, residual_std=0.0)
    ids, weights = torch.arange(30), emb.center_weights(torch.arange(30))
    torch.testing.assert_close(emb(ids), weights @ emb.centers)
    for level, (part, size) in enumerate(zip(weights.split(sizes, dim=1), sizes, strict=True)):
        assert torch.equal(part.sum(dim=1), torch.ones(30))
        place: dict[tuple[int, ...], int] = {}
        for item, number in enumerate(part.argmax(dim=1).tolist()):
            prefix = tuple(codes[item][: level + 1])
            assert place.setdefault(prefix, number) == number
            if 4 ** (level + 1) == size:  # not hashed
                assert number == sum(code * 4**at for at, code in enumerate(reversed(prefix)))
        assert len(set(place.values())) > min(len(place), size) / 2


def test_prefixes_beyond_64_bits() -> None:
    """Sixteen codes of thousands each have more prefixes than 64 bits can number."""
    codes = [torch.tensor([3, 3, 1]), *[torch.tensor([5, 5, 5])] * 14, torch.tensor([0, 1, 0])]
    found = _numbers(codes, 5000, bits=20)
    first = torch.tensor([0, 5000, *range(5000 + 2**20, 5000 + 15 * 2**20, 2**20)])
    assert ((found >= first) & (found < first + 2**20)).all()
    assert torch.equal(found[0, :-1], found[1, :-1])
    assert (found[:, -1].unique().numel(), (found[0] == found[2]).sum().item()) == (3, 0)


def test_saved_codebooks_count_and_not_those_of_the_loader(graph: Data) -> None:
    whole = graph.clone()
    del whole.fold_graphs, whole.user_fold
    saved, size = SemanticEncoder(whole, 5, levels=2, seed=1), int(graph.num_nodes)
    other = SemanticEncoder(whole, 5, levels=2, seed=2)
    assert not torch.equal(codes_of(other, size), codes_of(saved, size))
    other.load_state_dict(saved.state_dict())
    assert torch.equal(codes_of(other, size), codes_of(saved, size))
    assert torch.equal(codes_of(other.on(whole), size), codes_of(saved, size))
    with pytest.raises(InputError, match=r"shape \[2, 5, 18\], not \[3, 5, 18\]"):
        SemanticEncoder(whole, 5, levels=3).load_state_dict(saved.state_dict())
    folded = SemanticEncoder(graph, 5, levels=2, seed=2)
    with pytest.raises(InputError, match="others than those of this graph with folds"):
        folded.load_state_dict(saved.state_dict())
    SemanticEncoder(graph, 5, levels=2, seed=1).load_state_dict(saved.state_dict())


def test_a_new_item_gets_the_codes_of_its_features(graph: Data) -> None:
    emb = ResEmbedding(graph, 4, encoder=SemanticEncoder(graph, 5, levels=2))
    x = torch.cat([graph.x[3:4], graph.x[7:8]])
    new = emb.embed_new(x)
    alone = torch.cat([x, x, x], dim=1).double()  # without neighbours, it propagates to itself
    expected = torch.zeros(2, 4)
    for level, book in enumerate(emb.encoder.codebooks.double()):
        code = torch.cdist(alone, book).argmin(dim=1)
        alone = alone - book[code]
        expected += emb.centers[code + 5 * level]
    torch.testing.assert_close(new, expected)


def test_many_items_are_fitted_by_some(graph: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resemb_gnn.nn.encoders.semantic._FITTED", 20)
    some = SemanticEncoder(graph, 5, levels=1)
    rows = torch.randperm(int(graph.num_nodes), generator=torch.Generator().manual_seed(0))[:20]
    found = KMeans(5, n_init=1, random_state=0).fit(hop_rows(graph)[rows].numpy())
    means = torch.from_numpy(found.cluster_centers_)
    torch.testing.assert_close(some.codebooks[0], means, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_codes": 4, "prefix_bits": 31}, "prefix_bits must lie between 1 and 30, not 31"),
        ({"num_codes": 10}, "10 codes a level are more than 9 items"),
        ({"num_codes": 0}, "num_codes must be at least 1, not 0"),
        ({"num_codes": 4, "levels": 0}, "levels must be at least 1, not 0"),
    ],
)
def test_refusals(options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SemanticEncoder(random_graph(0), **options)


def test_fewer_items_than_codes_in_sight_are_no_fault() -> None:
    graph = random_graph(0)
    graph.x = torch.ones(9, 2)
    graph.edge_weight = None
    encoder = SemanticEncoder(graph, 9, levels=2)  # not so many distinct rows
    assert codes_of(encoder, 9).shape == (9, 2)
