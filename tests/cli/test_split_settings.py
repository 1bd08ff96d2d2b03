"""How the commands split a log: the points of time, the default of impressions, and what is said
where a metric is undefined.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest

import resemb_gnn as rg
from resemb_gnn import cli
from resemb_gnn.cli.command_settings import EvaluateSettings
from resemb_gnn.cli.evaluate import data_settings
from resemb_gnn.datasets import load_source
from tests.shop import COLUMNS, write_shop

FLAGS = [word for name, column in COLUMNS.items() for word in (f"--{name}", column)]
SMALL = ["--embedding", "plain", "--embedding-dim", "4", "--epochs", "1", "--quiet"]
WHY = "GAUC is undefined where no user has both a positive and a negative example."


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop's log, of 700 times from 1000 on, and of a ``model`` that was tested on
    the last row of each user.
    """
    folder = tmp_path_factory.mktemp("splits")
    write_shop(folder)
    data = ["--data", str(folder / "log.csv"), *FLAGS]
    assert cli.main(["fit", *data, *SMALL, "--split", "last", "--out", str(folder / "model")]) == 0
    return folder


def test_a_labelled_table_is_split_by_time_unless_asked_otherwise(place: Path) -> None:
    source = load_source(place / "log.csv", **COLUMNS)
    times = source.log.times
    split = source.make_split()
    assert split.settings["by"] == "time"
    assert times[split.train.row].max() < times[split.test.row].min()
    assert source.make_split("last").settings["by"] == "last"
    unlabelled = {name: column for name, column in COLUMNS.items() if name != "label"}
    assert load_source(place / "log.csv", **unlabelled).make_split().settings["by"] == "last"


def test_points_of_time(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = load_source(place / "log.csv", **COLUMNS)
    split = source.make_split(valid_from="1300", test_from="1500")
    for part, low, high in ((split.train, 1000, 1300), (split.valid, 1300, 1500)):
        assert sorted(source.log.times[part.row].tolist()) == list(range(low, high))
    assert len(split.test) == 200
    words = ["graph", "--data", str(place / "log.csv"), *FLAGS, "--quiet"]
    points = ["--valid-from", "1300", "--test-from", "1500"]
    assert cli.main([*words, *points]) == 0
    assert f"the {split.history.num_behaviors} training behaviours" in capsys.readouterr().out
    assert cli.main([*words, *points, "--split", "last"]) == 2
    assert "go with split by='time'" in capsys.readouterr().err
    assert cli.main([*words, "--test-from", "1500"]) == 2
    assert "give both valid_from and test_from" in capsys.readouterr().err


def test_published_examples_have_points_of_their_own(place: Path) -> None:
    source = load_source(place / "log.csv", **COLUMNS)
    published = replace(source, published=source.make_split())
    with pytest.raises(rg.InputError, match="its own examples: leave out --test-from 1500"):
        published.make_split(test_from="1500")


def test_where_gauc_is_undefined_the_reason_is_printed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", "--model", str(place / "model"), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"log.csv +\d+ +0\.\d+ +undefined +\d\.\d+\n", printed)
    assert printed.splitlines()[-1] == WHY
    card = (place / "model" / "README.md").read_text()
    assert "undefined |" in card
    assert WHY in card


def test_a_model_is_evaluated_on_the_split_that_it_was_trained_with(place: Path) -> None:
    """Also one that was trained before labels had a default of their own."""
    trained = rg.load(place / "model")
    old = replace(trained, settings=replace(trained.settings, split=None))
    assert data_settings(EvaluateSettings(model="model"), old).split == "last"
