"""``~`` is expanded in every public function that takes a path, and for all files of a call."""

import importlib
import inspect
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from torch import nn

import resemb_gnn as rg
from resemb_gnn import datasets
from resemb_gnn.datasets.source import load_source
from resemb_gnn.experiment import CompareSettings, compare
from resemb_gnn.experiment.geometry import ItemGeometry, item_geometry
from resemb_gnn.io.data_places import read_places
from resemb_gnn.serving import ItemIndex, export_embeddings, export_scorer

PACKAGES = (
    *("", ".cli", ".data", ".datasets", ".experiment", ".graph", ".models", ".nn", ".saved"),
    *(".serving", ".theory", ".training"),
)
SMALL: dict[str, Any] = {
    "epochs": 1, "quiet": True, "embedding_dim": 4, "num_centers": 4, "folds": 1, "user": "user",
    "item": "item", "time": "time",
}  # fmt: skip


class Raw(datasets.BehaviorDataset):
    """A data set of one file."""

    raw_file_names = ("log.csv",)

    def read(self) -> rg.BehaviorLog:
        return rg.BehaviorLog.from_frame(self.raw_files["log.csv"], "user", "item", "time")


class World:
    """Something of each kind, all of it below the home folder."""

    def __init__(self, home: Path, log: rg.BehaviorLog) -> None:
        self.home, self.log = home, log
        columns = {name: getattr(log, name + "s").numpy() for name in ("user", "item", "time")}
        frame = pl.DataFrame(columns)
        frame.write_csv(home / "log.csv")
        (home / "parts").mkdir()
        frame.write_parquet(home / "parts" / "log.parquet")
        (home / "lines.txt").write_text("1 2 3\n4 3 2\n")
        (home / "attributes.json").write_text('{"1": [7], "2": [8], "3": [8]}')
        (home / "set" / "raw").mkdir(parents=True)
        frame.write_csv(home / "set" / "raw" / "log.csv")
        log.save(home / "log")
        self.embedding = nn.Embedding(log.num_items, 4)
        export_embeddings(self.embedding, log.item_ids, home / "vectors", index=False)
        self.trained = rg.train(data=str(home / "log.csv"), embedding="gcn", **SMALL)
        self.trained.save(home / "model")
        assert isinstance(self.trained.embedding, rg.ResEmbedding)
        self.geometry = item_geometry(self.trained.embedding)
        self.geometry.save(home / "geometry.npz")

    def fit(self, **options: Any) -> rg.FitResult:
        model = rg.DIN(self.embedding)
        return rg.fit(model, self.log.split(), epochs=1, progress=False, **options)

    def covisits(self, log: str = "~/parts", out: str = "~/new", **options: Any) -> None:
        pytest.importorskip("ibis", reason="needs ibis")
        rg.write_covisit_graph(log, out, "user", "item", "time", threads=1, **options)

    def read_covisits(self) -> None:
        self.covisits(out="~/graph")
        rg.read_covisit_graph("~/graph")


def refused(make: Callable[[], Any]) -> Callable[[World], None]:
    """A data set that is not there: the message says where it was looked for."""

    def call(world: World) -> None:
        with pytest.raises(rg.InputError) as caught:
            make()
        assert str(world.home) in str(caught.value)

    return call


# By function and parameter.
READING: dict[tuple[str, str], Callable[[World], object]] = {
    ("BehaviorLog.from_frame", "frame"): lambda world: rg.BehaviorLog.from_frame(
        "~/log.csv", "user", "item", "time"
    ),
    ("BehaviorLog.load", "folder"): lambda world: rg.BehaviorLog.load("~/log"),
    ("ItemIndex.load", "folder"): lambda world: ItemIndex.load("~/vectors"),
    ("load", "folder"): lambda world: rg.load("~/model"),
    ("from_ogb", "root"): refused(lambda: rg.from_ogb("~/ogb")),
    ("read_covisit_graph", "folder"): lambda world: world.read_covisits(),
    ("load_source", "data"): lambda world: load_source(
        "~/log.csv", user="user", item="item", time="time"
    ),
    ("read_sequence_file", "path"): lambda world: datasets.read_sequence_file("~/lines.txt"),
    ("read_sequence_file", "attributes"): lambda world: datasets.read_sequence_file(
        "~/lines.txt", "~/attributes.json"
    ),
    ("BehaviorDataset.__init__", "root"): lambda world: Raw("~/set").log,
    ("AmazonElectronicsX1.__init__", "root"): refused(lambda: datasets.AmazonElectronicsX1("~/x")),
    ("AmazonReviews.__init__", "root"): refused(lambda: datasets.AmazonReviews("~/x", "Beauty")),
    ("KuaiRandPure.__init__", "root"): refused(lambda: datasets.KuaiRandPure("~/x")),
    ("KuaiRandPureTrimmed.__init__", "root"): refused(lambda: datasets.KuaiRandPureTrimmed("~/x")),
    ("S3Rec.__init__", "root"): refused(lambda: datasets.S3Rec("~/x", "Beauty")),
    ("read_movielens", "root"): refused(lambda: datasets.read_movielens("~/x")),
    ("read_taobao", "root"): refused(lambda: datasets.read_taobao("~/x")),
}
WRITING: dict[tuple[str, str], Callable[[World], object]] = {  # all of them "~/new"
    ("BehaviorLog.save", "folder"): lambda world: world.log.save("~/new"),
    ("TrainedModel.save", "folder"): lambda world: world.trained.save("~/new"),
    ("save", "folder"): lambda world: rg.save(world.trained, "~/new"),
    ("export_embeddings", "folder"): lambda world: export_embeddings(
        world.embedding, world.log.item_ids, "~/new", index=False
    ),
    ("export_scorer", "folder"): lambda world: export_scorer(
        world.trained.model, "~/new", onnx=False
    ),
    ("fit", "checkpoints"): lambda world: world.fit(checkpoints="~/new"),
    ("train", "checkpoints"): lambda world: rg.train(
        data="~/log.csv", checkpoints="~/new", **SMALL
    ),
    ("to_ogb", "root"): lambda world: rg.to_ogb(world.log, "~/new", "last", num_negatives=1),
    ("write_covisit_graph", "log"): lambda world: world.covisits(log="~/parts"),
    ("write_covisit_graph", "out"): lambda world: world.covisits(out="~/new"),
    ("write_covisit_graph", "temp_directory"): lambda world: world.covisits(
        temp_directory="~/spilled"
    ),
}
# Paths that are settings, or of what no package exports.
READING_ELSE: dict[tuple[str, str], Callable[[World], object]] = {
    ("load_source", "data, a sequence file"): lambda world: load_source("~/lines.txt"),
    ("load_source", "data, by name"): refused(lambda: load_source("kuairand:~/x")),
    ("load_source", "data, by file"): refused(lambda: load_source("s3rec:~/x/raw/Mine.txt")),
    ("read_places", "data"): lambda world: read_places("~/log.csv")[0].stat(),
    ("ItemGeometry.load", "path"): lambda world: ItemGeometry.load("~/geometry.npz"),
}
WRITING_ELSE: dict[tuple[str, str], Callable[[World], object]] = {
    ("train", "tensorboard"): lambda world: rg.train(
        data="~/log.csv", tensorboard="~/new", **SMALL
    ),
    ("compare", "out and tensorboard"): lambda world: compare(
        CompareSettings(
            data="~/log.csv", out="~/new", tensorboard="~/board", seeds=1, embeddings=("kmeans",),
            **SMALL,
        )
    ),
    ("ItemGeometry.save", "path"): lambda world: world.geometry.save("~/new"),
}  # fmt: skip
WRITING_ALL = WRITING | WRITING_ELSE
CALLS = READING | READING_ELSE | WRITING_ALL


@pytest.fixture(scope="module")
def world(log: rg.BehaviorLog, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("home"), log)


@pytest.fixture
def work(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and no network to fetch a data set from."""

    def offline(*arguments: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.setenv("HOME", str(world.home))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(("function", "parameter"), CALLS)
def test_home_folder(
    function: str, parameter: str, world: World, work: Path, request: pytest.FixtureRequest
) -> None:
    if "tensorboard" in parameter:
        pytest.importorskip("tensorboard", reason="needs tensorboard")
    made = world.home / "new"
    try:
        CALLS[function, parameter](world)
        assert not list(work.iterdir())
        assert made.exists() == ((function, parameter) in WRITING_ALL)
    finally:
        if made.exists():
            made.rename(world.home / request.node.callspec.id)


def takes_paths(name: str, function: Any) -> set[tuple[str, str]]:
    parameters = inspect.signature(function).parameters.values()
    return {(name, each.name) for each in parameters if "Path" in str(each.annotation)}


def test_no_function_is_forgotten() -> None:
    found: set[tuple[str, str]] = set()
    for package in PACKAGES:
        module = importlib.import_module("resemb_gnn" + package)
        for each in (getattr(module, name) for name in module.__all__):
            if inspect.isclass(each):
                for name, method in inspect.getmembers(each, inspect.isroutine):
                    if inspect.isfunction(method) or inspect.ismethod(method):
                        found |= takes_paths(f"{each.__name__}.{name}", method)
            elif inspect.isfunction(each):
                found |= takes_paths(each.__name__, each)
    assert found == (READING | WRITING).keys()
