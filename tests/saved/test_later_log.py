"""A later log: every row is scored, by what was known of its user when it came."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import resemb_gnn as rg
from resemb_gnn import InputError, cli
from resemb_gnn.data import Examples
from resemb_gnn.saved.histories import Histories
from resemb_gnn.saved.new_log import LaterLog
from tests.shop import COLUMNS, CONTEXT


def read(path: Path, **more: object) -> rg.BehaviorLog:
    options = {"context": CONTEXT, "list_separator": "|"}
    return rg.BehaviorLog.from_frame(path, **COLUMNS, **options | more)


def history(trained: rg.TrainedModel, examples: Examples, at: int) -> list[str]:
    own = examples.items[int(examples.start[at]) : int(examples.end[at])]
    return trained.item_ids.gather(own.numpy()).to_list()


def test_histories_by_a_loop(later_shop: Path, shop_model: rg.TrainedModel) -> None:
    later = LaterLog.of(shop_model, read(later_shop / "later.csv"))
    rows = pl.read_csv(later_shop / "later.csv").filter(pl.col("article") != "B-1")
    assert (later.num_rows, later.num_scored) == (200, len(rows))
    past = pl.read_csv(later_shop / "log.csv").filter(click=1).sort("ts")
    # In the log's order, which is by user, then time.
    table = pl.read_csv(later_shop / "later.csv")[read(later_shop / "later.csv").rows.numpy()]
    table = table.filter(pl.col("article") != "B-1")
    for at, (user, item, time, click) in enumerate(
        table.select("shopper", "article", "ts", "click").rows()
    ):
        before = rows.filter((pl.col("ts") < time) & (pl.col("click") == 1), shopper=user)
        expected = past.filter(shopper=user)["article"].to_list()[-50:]
        expected += before.sort("ts", "article")["article"].to_list()
        found = history(shop_model, later.examples, at)
        at_once = len(expected) - len(before)
        assert found[:at_once] == expected[:at_once]
        assert sorted(found[at_once:]) == sorted(expected[at_once:])
        assert shop_model.item_ids[int(later.examples.target[at])] == item
        assert later.examples.label[at] == click
        assert bool(later.new_user[at]) == user.startswith("new")


def test_it_scores_what_the_model_does_row_by_row(
    later_shop: Path, shop_model: rg.TrainedModel
) -> None:
    """A row of a known user without earlier rows is what predict is asked for."""
    table = pl.read_csv(later_shop / "later.csv").filter(
        ~pl.col("shopper").str.starts_with("new"), pl.col("article") != "B-1"
    )
    first = table.sort("ts", maintain_order=True).unique("shopper", maintain_order=True)
    first.write_csv(later_shop / "first.csv")
    log = read(later_shop / "first.csv")
    later = LaterLog.of(shop_model, log)
    assert (later.num_of_new_users, later.num_early) == (0, 0)
    logit = rg.predict(later.trained.model, later.examples)
    rows = first[log.rows.numpy()]
    expected = shop_model.predict(rows["shopper"], rows["article"], context=rows)
    np.testing.assert_allclose(logit.sigmoid(), expected, rtol=1e-6)
    found = later.metrics()
    assert list(found) == ["all"]
    assert found["all"].auc == rg.training.metrics.auc(expected.to_torch(), later.examples.label)


def test_values_that_were_read_as_numbers_are_refused(
    later_shop: Path, shop_model: rg.TrainedModel
) -> None:
    """Else each of them would be an unknown value, and nothing would say so."""
    items = pl.read_csv(later_shop / "items.csv").with_columns(brand=pl.lit(1.5))
    new = items[:1].with_columns(article=pl.lit("B-1"))
    log = read(later_shop / "later.csv", items=pl.concat([items, new]))
    with pytest.raises(InputError, match="the table of items, column 'brand' was read as numeric"):
        LaterLog.of(shop_model, log)
    rows = pl.read_csv(later_shop / "later.csv").with_columns(position=pl.lit(1.5))
    log = rg.BehaviorLog.from_frame(rows, **COLUMNS, context=CONTEXT, list_separator="|")
    with pytest.raises(InputError, match=r"column 'position' was read as numeric, .* a category"):
        LaterLog.of(shop_model, log)


def test_what_is_printed(later_shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "evaluate",
        "--model",
        str(later_shop / "model"),
        "--data",
        str(later_shop / "later.csv"),
    ]
    assert cli.main([*words, "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    table = pl.read_csv(later_shop / "later.csv")
    known = table.filter(pl.col("article") != "B-1")
    new = known.filter(pl.col("shopper").str.starts_with("new"))
    counts = [found[name] for name in ("rows", "scored_rows", "rows_of_new_users", "examples")]
    assert counts == [len(table), len(known), len(new), len(known)]
    assert found["rows_not_later"] == 0
    assert found["split"]["negatives"] == "logged"
    assert len({found[name]["auc"] for name in ("test", "known_users", "new_users")}) == 3
    assert cli.main([*words, "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"scored {len(known)} of 200 rows; left out {200 - len(known)} of items unknown to the"
        f" model; {len(new)} rows of unknown users, by their earlier rows."
    )


def test_negatives_are_drawn_as_in_training(
    train_on: Callable[..., rg.TrainedModel], csv: Path, tmp_path: Path
) -> None:
    rows = pl.read_csv(csv)
    early = rows.filter(pl.col("user_id") < "u50")
    early.write_csv(tmp_path / "log.csv")
    trained = train_on(data=str(tmp_path / "log.csv"), negatives="popularity")
    names = {"user": "user_id", "item": "item_id", "time": "ts"}
    log = rg.BehaviorLog.from_frame(csv, **names)
    later = LaterLog.of(trained, log)
    assert later.num_early > 0
    examples = later.examples
    assert examples.label.tolist() == [1.0, 0.0] * later.num_scored
    for at in range(1, len(examples), 2):
        assert examples.target[at] != examples.target[at - 1]
        window = examples.items[int(examples.start[at]) : int(examples.end[at])]
        assert examples.target[at] not in window
    drawn = examples.target[1::2]
    again, other = LaterLog.of(trained, log), LaterLog.of(trained, log, negatives="uniform")
    assert torch.equal(drawn, again.examples.target[1::2])
    count = trained.graph.count.float()  # by which what is popular is drawn more often
    assert count[drawn].mean() > 1.2 * count[other.examples.target[1::2]].mean()
    with pytest.raises(InputError, match="negatives='some' is unknown"):
        LaterLog.of(trained, log, negatives="some")


BEHAVIORS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 4)), min_size=1)


@settings(deadline=None, max_examples=30)
@given(known=st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=4), rows=BEHAVIORS)
def test_continued_histories_by_a_loop(
    known: list[list[int]], rows: list[tuple[int, int, int]]
) -> None:
    """User 0 to 3 are known; behaviours at an asked time do not count."""
    ptr = torch.tensor([0, *(len(one) for one in known)]).cumsum(0)
    flat = torch.tensor([item for one in known for item in one], dtype=torch.long)
    before = Histories(pl.Series(range(len(known)), dtype=pl.Int64), flat, ptr)
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    log = rg.BehaviorLog.from_frame(frame, "user", "item", "time")
    numbers = torch.from_numpy(log.item_ids.to_numpy().copy())
    log = rg.BehaviorLog(numbers[log.items], log.ptr, log.times, log.user_ids, pl.Series(range(4)))
    found, number = before.continued(log)
    assert found.user_ids.gather(number.numpy()).to_list() == log.user_ids.to_list()
    assert found.user_ids[: len(known)].to_list() == list(range(len(known)))
    for user, name in enumerate(found.user_ids):
        own = known[name] if name < len(known) else []
        for time in range(6):
            (end,) = found.ends(torch.tensor([user]), torch.tensor([time])).tolist()
            later = sorted((t, i) for u, i, t in rows if u == name and t < time)
            window = slice(int(found.ptr[user]), end)
            assert found.items[window][: len(own)].tolist() == own
            behind = list(zip(found.times[window], found.items[window], strict=True))[len(own) :]
            times = [int(t) for t, _ in behind]
            assert times == sorted(times)
            assert sorted((int(t), int(i)) for t, i in behind) == later
