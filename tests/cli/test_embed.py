"""``--embed`` from the command line to the saved model, the export and the comparison."""

import json
from pathlib import Path

import polars as pl
import pytest

import resemb_gnn as rg
from resemb_gnn import cli
from tests.shop import add_makers, shop_flags, write_shop

SMALL = ["--epochs", "1", "--folds", "2", "--embedding-dim", "4", "--quiet"]
EMBED = ["--embed", "maker=gcn:held", "brand=plain"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three tables and the ``model``."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    add_makers(folder)
    flags = [*shop_flags(folder), *EMBED, *SMALL]
    assert cli.main(["fit", *flags, "--out", str(folder / "model")]) == 0
    return folder


def test_the_model_is_used_as_any(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = ["--model", str(place / "model"), "--quiet"]
    trained = rg.load(place / "model")
    assert trained.settings.embed == ("maker=gcn", "brand=plain")
    assert isinstance(trained.model.feature_embeddings["maker"], rg.ResEmbedding)
    capsys.readouterr()
    assert cli.main(["evaluate", *model, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["test"] == trained.facts["figures"]["test"]
    out = str(place / "scores.csv")
    asked = ["--data", str(place / "log.csv"), "--out", out]
    assert cli.main(["predict", *model, *asked]) == 0
    assert pl.read_csv(out)["score"].is_between(0, 1).all()
    assert cli.main(["similar", "A-3", *model]) == 0
    exported = ["export", *model, "--out", str(place / "out"), "--no-index", "--no-onnx"]
    assert cli.main(exported) == 0
    assert (place / "out" / "scorer.pt2").exists()


@pytest.mark.usefixtures("no_pictures")
def test_compare_has_it_in_every_arm(place: Path, tmp_path: Path) -> None:
    arms = ["--embeddings", "plain", "gcn", "--seeds", "1", "--out", str(tmp_path / "runs")]
    flags = ["compare", *shop_flags(place), *EMBED, *SMALL, *arms]
    assert cli.main(flags) == 0
    results = json.loads((tmp_path / "runs" / "results.json").read_text())
    assert results["settings"]["embed"] == ["maker=gcn", "brand=plain"]
    assert "--embed maker=gcn brand=plain" in results["command"]
    items = {"plain": 30 * 4, "gcn": 30 * 4 + 64 * 4 + 32 * 64 + 64}
    numbers = {run["embedding"]: run["num_parameters"] for run in results["runs"]}
    assert numbers["gcn"] - numbers["plain"] == items["gcn"] - items["plain"]
    other = [flag.replace("brand=plain", "brand=gcn") for flag in flags]
    assert cli.main([*other, "--resume"]) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--embed", "makr=gcn"], "no feature 'makr'"),
        (["--embed", "tags=gcn"], "'tags' is a feature of kind 'list'"),
        (["--embed", "maker=gcn", "--no-use-features"], "use_features"),
        (["--embed", "maker=gnc"], "'gnc' is unknown"),
        (["--embed", "maker=category"], "the values of a feature have no categories"),
        (["--embed", "maker"], "not of the form NAME=EMBEDDING"),
        (["--embed", "maker=gcn", "maker=plain"], "'maker' comes twice: as gcn and as plain"),
        (["--embedding", "plain", "--embed", "maker=plain", "--num-centers", "5"], "not read by"),
    ],
)
def test_what_is_refused(
    place: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = place / "refused"
    try:
        code = cli.main(["fit", *shop_flags(place), *SMALL, *flags, "--out", str(out)])
    except SystemExit as exit_:  # a flag whose value is none
        code = exit_.code
    assert code == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
