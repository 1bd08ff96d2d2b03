"""The command line: flags, messages and exit codes."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from resemb_gnn import cli
from resemb_gnn.cli import compare, synonyms
from resemb_gnn.cli.commands import COMMANDS
from resemb_gnn.cli.flags import flag_name
from resemb_gnn.settings import CompareSettings


@pytest.fixture
def sequence_file(tmp_path: Path) -> Path:
    lines = [f"{u} " + " ".join(str((u + k) % 12) for k in range(3 + u % 4)) for u in range(30)]
    path = tmp_path / "small.txt"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.usefixtures("no_pictures")
def test_compare_prints_the_table(
    sequence_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code = cli.main(
        ["compare", "--data", str(sequence_file), "--embeddings", "plain", "average", "--seeds",
         "1", "--epochs", "1", "--out", str(out), "--quiet"]
    )  # fmt: skip
    assert code == 0
    printed = capsys.readouterr().out
    runs = json.loads((out / "results.json").read_text())["runs"]
    assert [run["embedding"] for run in runs] == ["plain", "average"]
    for run in runs:
        assert f"{run['test']['auc']:.4f}"[1:5] in printed
    assert "report.html" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere.txt"], "neither a known data set (complete-journey; amazon,"),
        (["--data", "log.csv"], "neither a known data set"),
        (
            ["--data", "x", "--embeddings", "plain", "--num-centers", "64"],
            "num_centers is not read by plain",
        ),
    ],
)
def test_bad_input_ends_with_a_message_and_status_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compare", *arguments]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--embeddings", "gnc"], "--embeddings: the embedding 'gnc' is unknown; choose from"),
        (["--embedings", "gcn"], "arguments: --embedings gcn; did you mean --embeddings?"),
        (["--learning-rate", "1"], "arguments: --learning-rate 1; did you mean --lr?"),
        (["--features", "page"], "arguments: --features page; did you mean --context?"),
        (["log.csv"], "unrecognized arguments: log.csv; did you mean --data log.csv?"),
        (["--data=log.csv", "user"], "unrecognized arguments: user\n"),
        (["--epochz=3"], "unrecognized arguments: --epochz=3; did you mean --epochs?"),
        (["--epoch", "3"], "unrecognized arguments: --epoch 3; did you mean --epochs?"),
        (["--epochs", "0"], "epochs must be above 0, not 0"),
        (["--negatives", "hard"], "negatives='hard' is unknown; choose from uniform, popularity"),
        (["--seeds", "three"], "--seeds: seeds must be a whole number, not 'three'"),
    ],
)
def test_unknown_flags_and_choices(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", *arguments])
    assert stop.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 2  # a line of usage, and the message


def test_columns_of_a_sequence_file_are_refused(
    sequence_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compare", "--data", str(sequence_file), "--user", "u"]) == 2
    assert "is a table since columns are named, else a sequence file" in capsys.readouterr().err
    other = sequence_file.rename(sequence_file.with_suffix(".seq"))
    assert cli.main(["compare", "--data", str(other), "--user", "u"]) == 2
    assert "--user name columns of a table" in capsys.readouterr().err


def test_table_without_named_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.csv"
    path.write_text("u,i,t\n1,2,3\n")
    assert cli.main(["compare", "--data", str(path), "--user", "u"]) == 2
    assert "name its columns by --item, --time" in capsys.readouterr().err


def helped(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_what_most_people_need(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    listed = re.findall(r"(?m)^  (--[\w-]+)", helped([name, "--help"], capsys))
    every = re.findall(r"(?m)^  (--[\w-]+)", helped([name, "--help-all"], capsys))
    specs = fields(COMMANDS[name].settings)
    flags = {flag_name(spec.name) for spec in specs if spec.name != COMMANDS[name].positional}
    common = {flag_name(spec.name) for spec in specs if not spec.metadata["rare"]} & flags
    assert sorted(every) == sorted({"--help-all", "--config"} | flags)
    assert sorted(listed) == sorted({"--help-all", "--config"} | common)
    assert len(listed) <= 22


def test_help_explains_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert "(default: 0)" in helped(["fit", "--help"], capsys)  # of --seed
    text = " ".join(helped(["compare", "--help-all"], capsys).split())
    for spec in fields(CompareSettings):
        assert "--" + spec.name.replace("_", "-") in text
        assert " ".join(spec.metadata["help"].split())[:20] in text


def test_flags_reach_the_settings(sequence_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sequence_file.parent)
    seen = []

    def keep(settings: CompareSettings, log: object) -> dict[str, object]:
        seen.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "compare", keep)
    flags = ["--data", "small.txt", "--split", "time", "--negatives", "popularity", "--lr", "0.01"]
    flags += ["--graph", "permuted", "--compile", "--no-use-category", "--embeddings", "gat", "gat"]
    assert cli.main(["compare", *flags]) == 130
    assert seen == [
        CompareSettings(
            data="small.txt", split="time", negatives="popularity", graph="permuted", lr=0.01,
            use_category=False, compile=True, embeddings=("gat",),
        )
    ]  # fmt: skip


def test_flags_go_before_the_settings_file(
    sequence_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(compare, "compare", lambda settings, log: seen.append(settings) or {})
    monkeypatch.setattr("resemb_gnn.experiment.report.text.text_table", lambda results: "")
    path = tmp_path / "settings.yaml"
    path.write_text(
        "data: small.txt\nlr: 1e-2\nwindow: 7\nembeddings: [gat, plain]\ncompile: true\n"
    )
    flags = ["--config", str(path), "--lr", "0.5", "--no-compile"]
    assert cli.main(["compare", *flags]) == 0
    assert seen == [
        CompareSettings(data="small.txt", lr=0.5, window=7, embeddings=("gat", "plain"))
    ]


@pytest.mark.parametrize("command", ["fit", "compare", "graph"])
def test_nobody_trains_on_the_demo_unawares(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "--user", "u", "--out", str(tmp_path / "x.csv")]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("resemb-gnn: --data is missing: name your log, as in --data log.csv")
    assert "the embedded demo by --data complete-journey" in errors
    assert not list(tmp_path.iterdir())


def test_synonyms_stand_for_what_there_is() -> None:
    known = {spec.name for command in COMMANDS.values() for spec in fields(command.settings)}
    assert synonyms.SETTINGS.keys() <= known | {"config"}
    assert synonyms.COMMANDS.keys() == COMMANDS.keys()
    for ours, words in {**synonyms.SETTINGS, **synonyms.COMMANDS}.items():
        assert ours.replace("_", "-") not in words.split()
    # One that is a setting of this command is no synonym of another: context, of recommend alone.
    assert synonyms.nearest_setting("--context", ["--context-values"]) == (
        "; did you mean --context-values?"
    )
    assert synonyms.nearest_setting("learning_rate", ["lr", "l2"]) == "; did you mean lr?"
    assert synonyms.nearest_command("train", COMMANDS) == "; did you mean fit?"
