import json

import numpy as np
import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import LightGCN
from torch_geometric.utils import to_undirected

from benchmarks.accuracy import link_prediction
from benchmarks.accuracy.link_ranking import judge, rank, similarities
from resemb_gnn import InputError


def test_ranks_are_those_of_the_formula():
    """One over the rank; a tie counts half."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randint(0, 12, (9, 15), generator=generator).float()  # many ties
    part = {
        "source_node": torch.randint(0, 9, (50,), generator=generator),
        "target_node": torch.randint(0, 15, (50,), generator=generator),
        "target_node_neg": torch.randint(0, 15, (50, 11), generator=generator),
    }
    ranks = []
    for source, target, negatives in zip(
        *(values.tolist() for values in part.values()), strict=True
    ):
        own = table[source, target]
        above = sum(float(table[source, item] > own) for item in negatives)
        equal = sum(float(table[source, item] == own) for item in negatives)
        ranks.append(1 + above + equal / 2)
    found = rank(lambda source: table[source], part, batch_size=7)
    assert found["mrr"] == pytest.approx(np.mean([1 / rank for rank in ranks]), abs=1e-6)
    for k in (1, 3, 10):
        assert found[f"hits@{k}"] == pytest.approx(np.mean([rank <= k for rank in ranks]))
    assert 0 < found["hits@1"] < found["hits@10"] < 1


def test_similarity_is_chosen_on_validation_alone():
    queries = {}
    for name, target in (("valid", 1), ("test", 2)):
        queries[name] = {
            "source_node": torch.tensor([0]),
            "target_node": torch.tensor([target]),
            "target_node_neg": torch.tensor([[3 - target]]),
        }
    # By dot product item 2 is nearer to item 0, by cosine item 1.
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [5.0, 5.0]])
    out = judge(similarities(vectors), {"uniform": queries})["uniform"]
    assert out["similarity"] == "cosine"
    assert out["valid"]["mrr"] == 1
    assert out["test"]["mrr"] == 0.5  # what dot would have put first


def test_lightgcn_is_pygs_own():
    generator = torch.Generator().manual_seed(0)
    edges = to_undirected(torch.randint(30, (2, 60), generator=generator))
    weight = torch.rand(30, 30, generator=generator)
    weight = (weight + weight.T)[edges[0], edges[1]]
    model, adjacency = link_prediction.lightgcn(
        Data(edge_index=edges, edge_weight=weight, num_nodes=30), 8, 3
    )
    own = LightGCN(30, 8, 3)
    own.load_state_dict(model.state_dict())
    out, expected = model.get_embedding(adjacency), own.get_embedding(edges, weight)
    assert torch.allclose(out, expected, atol=1e-6)
    towards = torch.randn(30, 8, generator=generator)
    out.backward(towards)
    expected.backward(towards)
    assert torch.allclose(model.embedding.weight.grad, own.embedding.weight.grad, atol=1e-6)


def test_runs_from_file_to_report_and_resumes(sequences, tmp_path, monkeypatch):
    call = ["--data", str(sequences), "--max-pairs", "20", "--negatives", "9", "--epochs", "1"]
    call += ["--steps", "3", "--seeds", "2", "--out", str(tmp_path / "out")]
    link_prediction.main([*call, "--arms", "popularity", "lightgcn"])
    link_prediction.main(call)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    found = {(run["arm"], run["seed"]) for run in results["runs"]}
    once = {("popularity", 0), ("spectral", 0)}
    assert found == once | {(arm, s) for arm in link_prediction.ARMS[2:] for s in (0, 1)}
    assert len(results["runs"]) == len(found)
    for run in results["runs"]:
        for negatives in ("uniform", "popularity"):
            for part in ("valid", "test"):
                metrics = run[negatives][part]
                assert 0.1 <= metrics["mrr"] <= 1
                assert metrics["hits@1"] <= metrics["hits@3"] <= metrics["hits@10"] == 1
    report = (tmp_path / "out" / "README.md").read_text()
    mrr = [run["uniform"]["test"]["mrr"] for run in results["runs"] if run["arm"] == "gcn"]
    row = next(line for line in report.splitlines() if line.startswith("| gcn | 2 |"))
    assert f"{np.mean(mrr):.4f} ± {np.std(mrr, ddof=1):.4f}" in row
    assert str(tmp_path) not in report + json.dumps(results)

    for name in ("run_arm", "make_task"):
        monkeypatch.setattr(link_prediction, name, lambda *_: pytest.fail("ran again"))
    link_prediction.main(call)
    with pytest.raises(InputError, match="epochs was 1 and is 2"):
        link_prediction.main([*call, "--epochs", "2"])
