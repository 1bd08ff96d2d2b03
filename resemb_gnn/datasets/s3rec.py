"""Amazon reviews of 2014 as sequence files, as prepared for S3-Rec."""

from pathlib import Path
from typing import Any

from resemb_gnn.data import BehaviorLog
from resemb_gnn.datasets.behavior_dataset import BehaviorDataset
from resemb_gnn.datasets.data_source import DataSource
from resemb_gnn.datasets.sequence_file import read_sequence_file
from resemb_gnn.io.data_places import root_and_name
from resemb_gnn.io.download import fetch

_URL = "https://raw.githubusercontent.com/aHuiWang/CIKM2020-S3Rec/master/data"
_CHECKSUMS = {
    "Beauty.txt": "sha256:226cce9c3105299ca0db9615d7d3fb32b3175e90da43100ae352599f0f0107b8",
    "Beauty_item2attributes.json": (
        "sha256:129e40f67486f6877eff0f5318cfa8530ee8ac23d8b0d1de04e1bb7a2ba0b2d4"
    ),
    "Sports_and_Outdoors.txt": (
        "sha256:2a095e0648872beb9982408958290f5d655db5be2911c3756b5446de9f0b8de2"
    ),
    "Sports_and_Outdoors_item2attributes.json": (
        "sha256:7fb10733ac4f1811384a52144cdefa7fcc7536fa80a7232c5da9bd789155c34b"
    ),
}


class S3Rec(BehaviorDataset):
    """A sequence file with the attribute file beside it, as prepared for S3-Rec (Zhou et al.,
    CIKM 2020).

    Raw files: ``NAME.txt`` (a user a line, then items in time order) and
    ``NAME_item2attributes.json``. There are no times; a behaviour's position stands for one. The
    category is the item's main attribute, its feature ``attributes`` all of them, see
    :func:`read_sequence_file`.

    Beauty and Sports_and_Outdoors are downloaded and checked if they are not there; any other
    name must be there.

    Args:
        root: folder of the data set.
        name: such as ``"Beauty"``.
        force_reload: read the raw files anew.

    Raises:
        InputError: if a file is missing and cannot be downloaded, or cannot be used.
    """

    page = "https://github.com/aHuiWang/CIKM2020-S3Rec (folder data)"
    version = 2  # with features

    def __init__(self, root: str | Path, name: str, force_reload: bool = False) -> None:
        self.name = name
        super().__init__(root, force_reload)

    @property
    def raw_file_names(self) -> list[str]:
        return [f"{self.name}.txt", f"{self.name}_item2attributes.json"]

    def options(self) -> dict[str, Any]:
        return {"name": self.name}

    def download(self) -> None:
        for name, path in self.raw_files.items():
            if path.is_file():
                continue
            if name not in _CHECKSUMS:
                super().download()
            fetch(f"{_URL}/{name}", path, self.page, _CHECKSUMS[name])

    def read(self) -> BehaviorLog:
        sequences, attributes = self.raw_files.values()
        return read_sequence_file(sequences, attributes)


def source(path: Path) -> DataSource:
    """The data set as commands read it."""
    root, name = root_and_name(path, "s3rec")
    return DataSource(
        f"s3rec {name}",
        f"{name} as prepared for S3-Rec: a user's reviews in time order; the category is an item's"
        " most frequent attribute that fewer than half of the items have.",
        S3Rec(root, name).log,
    )
