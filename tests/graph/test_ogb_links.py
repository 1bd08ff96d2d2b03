import copy
import gzip
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

import resemb_gnn as rg
from resemb_gnn import InputError

HISTORIES = [[0, 1, 2, 1, 3], [2, 1, 4, 0], [5, 0, 3], [1, 1, 6, 2, 5, 0]]
TIMES = [[0, 1, 10, 11, 20], [3, 4, 12, 21], [2, 13, 22], [1, 2, 3, 14, 15, 25]]
NUM_ITEMS = 12  # five of them in no behaviour: negatives for everyone


@pytest.fixture
def small(make_log):
    return make_log(HISTORIES, NUM_ITEMS, times=TIMES)


def _load(meta):
    from ogb.linkproppred import PygLinkPropPredDataset

    with rg.ogb_globals():
        dataset = PygLinkPropPredDataset("ogbl-covisit", meta_dict=meta)
        return dataset[0], dataset.get_edge_split()


def _parts(log, by, valid_from=None, test_from=None):
    """Part of each behaviour by user: 0, 1 or 2."""
    out = []
    for start, end in pairwise(log.ptr.tolist()):
        rows = range(start, end)
        if by == "time":
            times = [float(log.times[row]) for row in rows]
            out.append([int(time >= valid_from) + int(time >= test_from) for time in times])
        else:
            size = end - start
            out.append([0] * (size - 2) + [1, 2] if size >= 3 else [0] * size)
    return out


def _naive(log, parts, window, min_count=1):
    """For each part, the pairs (both ways round) that a double loop finds new in it, with their
    counts up to its end.
    """
    positive = torch.ones(log.num_behaviors) if log.labels is None else log.labels
    upto = [Counter(), Counter(), Counter()]
    for (start, end), part in zip(pairwise(log.ptr.tolist()), parts, strict=True):
        rows = [row for row in range(start, end) if positive[row] > 0]
        for s in range(len(rows)):
            for t in range(s + 1, min(s + window, len(rows) - 1) + 1):
                i, j = int(log.items[rows[s]]), int(log.items[rows[t]])
                if i != j:
                    for later in range(part[rows[t] - start], 3):
                        upto[later][i, j] += 1
                        upto[later][j, i] += 1
    upto = [{pair: n for pair, n in counts.items() if n >= min_count} for counts in upto]
    new = [upto[0]] + [
        {pair: n for pair, n in upto[part].items() if pair not in upto[part - 1]} for part in (1, 2)
    ]
    return new, upto[2]


def _as_dict(part):
    pairs = list(zip(part["source_node"].tolist(), part["target_node"].tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    return dict(zip(pairs, part["weight"].tolist(), strict=True))


def _check(log, meta, parts, window, min_count, num_negatives):
    new, every = _naive(log, parts, window, min_count)
    graph, split = _load(meta)
    assert split.keys() == {"train", "valid", "test"}
    for name, expected in zip(("train", "valid", "test"), new, strict=True):
        assert _as_dict(split[name]) == expected
    edges = list(map(tuple, graph.edge_index.T.tolist()))
    assert dict(zip(edges, graph.edge_weight.tolist(), strict=True)) == new[0]
    assert edges == sorted(new[0])
    assert graph.num_nodes == log.num_items
    for name in ("valid", "test"):
        negatives = split[name]["target_node_neg"]
        assert negatives.dtype == torch.long
        assert negatives.shape == (len(split[name]["source_node"]), num_negatives)
        assert 0 <= int(negatives.min()) <= int(negatives.max()) < log.num_items
        for source, row in zip(
            split[name]["source_node"].tolist(), negatives.tolist(), strict=True
        ):
            assert source not in row
            assert not any((source, negative) in every for negative in row)
    return graph, split


@pytest.mark.parametrize("window", [1, 5])
@pytest.mark.parametrize("min_count", [1, 2])
def test_edges_weights_and_splits_by_time_are_what_a_double_loop_counts(
    small, tmp_path, window, min_count
):
    if min_count == 2:
        small = _repeated(small)
    meta = rg.to_ogb(
        small,
        tmp_path / "set",
        valid_from=10,
        test_from=20,
        window=window,
        min_count=min_count,
        num_negatives=7,
    )
    parts = _parts(small, "time", 10, 20)
    graph, _ = _check(small, meta, parts, window, min_count, 7)
    seen = Counter()
    for items, part in zip(_histories(small), parts, strict=True):
        seen.update(item for item, p in zip(items, part, strict=True) if p == 0)
    assert graph.node_count.tolist() == [seen[item] for item in range(NUM_ITEMS)]


def _histories(log):
    return [log.items[a:b].tolist() for a, b in pairwise(log.ptr.tolist())]


def _repeated(log):
    """Each user twice."""
    counts = log.ptr.diff().repeat_interleave(2)
    rows = torch.cat([torch.arange(a, b) for a, b in pairwise(log.ptr.tolist()) for _ in range(2)])
    return rg.BehaviorLog(
        items=log.items[rows],
        ptr=torch.nn.functional.pad(counts.cumsum(0), (1, 0)),
        times=log.times[rows],
        user_ids=log.user_ids.append(log.user_ids + "b").sort(),
        item_ids=log.item_ids,
    )


def test_split_by_last_and_labels(log, labelled_log, tmp_path):
    for number, data in enumerate((log, labelled_log)):
        meta = rg.to_ogb(data, tmp_path / str(number), "last", window=2, num_negatives=3)
        _check(data, meta, _parts(data, "last"), 2, 1, 3)


def test_training_graph_is_the_graph_of_the_split_history(labelled_log, tmp_path):
    graph, _ = _load(rg.to_ogb(labelled_log, tmp_path / "set", window=1))
    expected = rg.covisit_graph(labelled_log.split(by="time").history, window=1)
    assert torch.equal(graph.edge_index, expected.edge_index)
    assert torch.equal(graph.edge_weight, expected.edge_weight)
    assert torch.equal(graph.node_count, expected.count)


def test_pairs_kept_are_some_of_all_with_the_same_weights(small, tmp_path):
    times = {"valid_from": 10, "test_from": 20}
    _, every = _load(rg.to_ogb(small, tmp_path / "all", **times))
    _, some = _load(rg.to_ogb(small, tmp_path / "some", max_pairs=2, **times))
    _, other = _load(rg.to_ogb(small, tmp_path / "other", max_pairs=2, seed=5, **times))
    for name in ("valid", "test"):
        kept = _as_dict(some[name])
        assert len(kept) == 4
        assert kept.items() <= _as_dict(every[name]).items()
        assert {(j, i) for i, j in kept} == kept.keys()
    assert any(_as_dict(some[name]) != _as_dict(other[name]) for name in ("valid", "test"))


def test_negatives_follow_the_law_asked_for(log, tmp_path):
    shares = {}
    for negatives in ("uniform", "popularity"):
        meta = rg.to_ogb(
            log, tmp_path / negatives, "last", window=1, negatives=negatives, num_negatives=400
        )
        graph, split = _load(meta)
        test = split["test"]
        weight = graph.node_count.double() if negatives == "popularity" else torch.ones(40).double()
        every = rg.covisit_graph(log, window=1)
        allowed = torch.ones(40, 40).double().fill_diagonal_(0)
        allowed[every.edge_index[0], every.edge_index[1]] = 0
        law = allowed * weight
        law /= law.sum(dim=1, keepdim=True)
        expected = law[test["source_node"]].mean(dim=0)
        drawn = test["target_node_neg"].flatten().bincount(minlength=40).double()
        shares[negatives] = drawn / drawn.sum()
        spread = (expected / drawn.sum()).sqrt()
        assert ((shares[negatives] - expected).abs() < 5 * spread + 1e-9).all()
    assert (shares["uniform"] - shares["popularity"]).abs().max() > 0.01


def test_readme_says_how_the_set_was_made(small, tmp_path):
    settings = {"valid_from": 10.0, "test_from": 20.0, "window": 2, "min_count": 1}
    settings |= {"negatives": "uniform", "num_negatives": 3, "max_pairs": 4, "seed": 5}
    rg.to_ogb(small, tmp_path / "set", "time", **settings)
    text = (tmp_path / "set" / "mapping" / "README.md").read_text()
    said = dict(line[2:].split(": ") for line in text.splitlines() if line.startswith("- "))
    assert said == {"by": "time"} | {name: str(value) for name, value in settings.items()}
    assert "nodeidx2itemid.csv.gz" in text


def test_same_seed_same_data_set(small, tmp_path):
    splits = [
        _load(rg.to_ogb(small, tmp_path / name, valid_from=10, test_from=20, seed=seed))[1]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    first, same, other = (split["test"]["target_node_neg"] for split in splits)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_meta_dict_says_what_ogbs_own_saver_says(small, tmp_path):
    """Except where the saver is wrong: it does not name the additional files."""
    from ogb.io import DatasetSaver

    meta = rg.to_ogb(small, tmp_path / "set", valid_from=10, test_from=20)
    with np.load(tmp_path / "set" / "raw" / "data.npz") as stored:
        ours = dict(stored)
    graph, split = _load(meta)
    saver = DatasetSaver("ogbl-covisit", False, 1, root=str(tmp_path / "saver"))
    saver.save_graph_list(
        [
            {
                "edge_index": graph.edge_index.numpy(),
                "edge_weight": graph.edge_weight.numpy(),
                "node_count": graph.node_count.numpy(),
                "num_nodes": graph.num_nodes,
            }
        ]
    )
    saver.save_split({name: _to_numpy(part) for name, part in split.items()}, "time")
    (tmp_path / "mapping").mkdir()
    (tmp_path / "mapping" / "README.md").write_text("none")
    saver.copy_mapping_dir(str(tmp_path / "mapping"))
    saver.save_task_info("link prediction", "mrr")
    theirs = saver.get_meta_dict()
    with np.load(f"{theirs['dir_path']}/raw/data.npz") as stored:
        assert set(stored.files) == ours.keys()
        for name, values in stored.items():
            assert values.dtype == ours[name].dtype
            assert np.array_equal(values, ours[name])
    differ = {name for name in theirs | meta if theirs.get(name) != meta.get(name)}
    assert differ == {"dir_path", "url", "additional node files", "additional edge files"}
    files = {str(path.relative_to(tmp_path / "set")) for path in (tmp_path / "set").rglob("*.*")}
    assert "RELEASE_v1.txt" in files
    assert torch.load(tmp_path / "set" / "meta_dict.pt") == meta


def _to_numpy(part):
    return {name: values.numpy() for name, values in part.items()}


def test_mapping_holds_the_item_ids(log, tmp_path):
    rg.to_ogb(log, tmp_path / "set", "last", window=1)
    with gzip.open(tmp_path / "set" / "mapping" / "nodeidx2itemid.csv.gz", "rt") as file:
        lines = file.read().splitlines()
    assert lines == ["node idx,item id"] + [f"{i},{item}" for i, item in enumerate(log.item_ids)]


def test_a_moved_folder_loads_with_its_new_path(small, tmp_path):
    meta = rg.to_ogb(small, tmp_path / "deep" / "set", valid_from=10, test_from=20)
    first, _ = _load(meta)
    os.rename(tmp_path / "deep" / "set", tmp_path / "moved")
    again, _ = _load(copy.copy(meta) | {"dir_path": str(tmp_path / "moved")})
    assert torch.equal(first.edge_weight, again.edge_weight)


def test_folder_in_use_is_refused_and_left_alone(small, tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on standard input"))
    used = tmp_path / "used"
    used.mkdir()
    (used / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="used exists and is not an empty folder"):
        rg.to_ogb(small, used, valid_from=10, test_from=20)
    with pytest.raises(InputError, match=r"thesis.txt exists and is not an empty folder"):
        rg.to_ogb(small, used / "thesis.txt", valid_from=10, test_from=20)
    assert [path.name for path in tmp_path.rglob("*")] == ["used", "thesis.txt"]
    assert (used / "thesis.txt").read_text() == "mine"
    empty = tmp_path / "empty"
    empty.mkdir()
    _load(rg.to_ogb(small, empty, valid_from=10, test_from=20))


def test_nothing_is_left_of_a_write_that_failed(small, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("resemb_gnn.graph.ogb_links.torch.save", fail)
    with pytest.raises(InputError, match="set cannot be written: disk full"):
        rg.to_ogb(small, tmp_path / "set", valid_from=10, test_from=20)
    assert not list(tmp_path.iterdir())


def test_the_place_is_looked_at_first(small, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "resemb_gnn.graph.ogb_links.split_parts", lambda *_: pytest.fail("too late")
    )
    (tmp_path / "file").touch()
    for root in (tmp_path / "file" / "set", tmp_path / ("n" * 256)):
        with pytest.raises(InputError, match="cannot be written"):
            rg.to_ogb(small, root, valid_from=10, test_from=20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "random"}, "split by='random' is unknown"),
        ({"negatives": "hard"}, "negatives='hard' is unknown"),
        ({"num_negatives": 0}, "num_negatives must be at least 1, not 0"),
        ({"max_pairs": 0}, "max_pairs must be at least 1, not 0"),
        ({"window": 0}, "window must be at least 1, not 0"),
        ({"valid_from": 20, "test_from": 10}, "valid_from=20.* must come before"),
        ({"valid_from": 0, "test_from": 20}, "no co-visit in the train part"),
        ({"valid_from": 10, "test_from": 99}, "no co-visit in the test part"),
    ],
)
def test_bad_arguments_are_refused(small, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        rg.to_ogb(small, tmp_path / "set", **options)
    assert not list(tmp_path.iterdir())


def test_item_joined_to_every_other_has_no_negative(make_log, tmp_path):
    small = make_log([[0, 1, 2, 3], [3, 0, 2]])
    with pytest.raises(InputError, match="no negative is left for item 0"):
        rg.to_ogb(small, tmp_path / "set", "last")


def test_writing_needs_no_ogb_and_importing_the_package_does_not_import_it(tmp_path):
    """Importing ogb starts a thread that asks PyPI for its newest version."""
    program = (
        "import sys, resemb_gnn as rg, polars as pl\n"
        "assert 'ogb' not in sys.modules, 'imported with the package'\n"
        "rows = [(u, (u * s) % 13, s) for u in range(9) for s in range(4)]\n"
        "frame = pl.DataFrame(rows, schema=['u', 'i', 't'], orient='row')\n"
        "log = rg.BehaviorLog.from_frame(frame, 'u', 'i', 't')\n"
        "rg.to_ogb(log, sys.argv[1], 'last', window=1)\n"
        "assert 'ogb' not in sys.modules, 'imported to write'\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "set")]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "set" / "raw" / "data.npz").exists()
