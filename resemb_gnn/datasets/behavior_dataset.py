"""The base of data sets that come as a publisher's files."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch_geometric.data import Dataset, HeteroData

from resemb_gnn.data import BehaviorLog
from resemb_gnn.errors import InputError
from resemb_gnn.io.digests import file_digest
from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.io.paths import expanded


class BehaviorDataset(Dataset):
    """A publisher's files, read once into a :class:`~resemb_gnn.BehaviorLog`.

    Follows PyG's conventions. The raw files stand in ``root/raw``: files that are there are taken,
    missing ones downloaded where the publisher lets them. The log is kept in ``root/processed``
    as Parquet (no pickle), in a folder named by a digest of the raw files' content and of the
    options: change either and it is read anew. ``root/processed`` may be deleted at any time.

    A ``root`` that holds the raw files itself, such as a folder of downloads, is read as it is, and
    nothing is written to it.

    As a PyG data set it has one element, the log as ``HeteroData`` of users and items.

    A subclass gives ``raw_file_names``, ``read`` and, where the files can be had, ``download``.

    Args:
        root: folder of the data set.
        force_reload: read the raw files anew.

    Raises:
        InputError: if a raw file is missing and cannot be downloaded, or cannot be used, or the log
            cannot be kept.
    """

    page: ClassVar[str] = ""  # the publisher's page, for messages
    version: ClassVar[int] = 1  # raised whenever read() gives another log for the same files

    log: BehaviorLog

    def __init__(self, root: str | Path, force_reload: bool = False) -> None:
        # PyG's own ``log`` says whether to print; ours replaces it as soon as there is a log.
        super().__init__(str(expanded(root)), log=False, force_reload=force_reload)

    def read(self) -> BehaviorLog:
        """Reads the raw files."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """The arguments that decide what ``read`` gives, for the name of the processed form."""
        return {}

    def download(self) -> None:
        """Fetches the raw files that are missing; here, says which and where they are to be had."""
        path = next(path for path in map(Path, self.raw_paths) if not path.is_file())
        raise InputError(f"{path} is not there: get it from {self.page} and put it there")

    @property
    def raw_dir(self) -> str:
        root = Path(self.root)
        inner = root / "raw"
        holds_files = all((root / name).is_file() for name in self.raw_file_names)
        return str(root if holds_files and not inner.exists() else inner)

    @property
    def raw_files(self) -> dict[str, Path]:
        """Path of each raw file by name."""
        return {name: Path(self.raw_dir) / name for name in self.raw_file_names}

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the log was read from: SHA-256 of each raw file, options, version of the reader."""
        return {
            "data": type(self).__name__,
            "version": self.version,
            "ties": "drawn",  # behaviours of one time once kept their order in the file
            "options": self.options(),
            "sha256": {name: file_digest(path) for name, path in self.raw_files.items()},
        }

    @property
    def processed_dir(self) -> str:
        digest = hashlib.sha256(json.dumps(self.manifest, sort_keys=True).encode()).hexdigest()
        return str(Path(self.root) / "processed" / digest[:16])

    @property
    def processed_file_names(self) -> list[str]:
        return ["behaviors.parquet", "users.parquet", "items.parquet"]

    def process(self) -> None:
        """Reads the raw files and keeps the log; its folder appears whole or not at all."""
        folder = Path(self.processed_dir)
        shared_folder(folder.parent)
        log = self.read()
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            log.save(temporary)
            text = json.dumps(self.manifest, indent=1) + "\n"
            (temporary / "manifest.json").write_text(text, encoding="utf-8")
            temporary.chmod(0o755)
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(temporary, folder)
        except BaseException as error:
            shutil.rmtree(temporary, ignore_errors=True)
            # Another process may have put the same log there in between.
            if not (isinstance(error, OSError) and folder.is_dir()):
                raise

    def _download(self) -> None:
        if not all(path.is_file() for path in self.raw_files.values()):
            self.download()

    def _process(self) -> None:
        if self.raw_dir == self.root:
            self.log = self.read()
            return
        if not self.force_reload:
            with contextlib.suppress(InputError):  # not there yet, or damaged
                self.log = BehaviorLog.load(self.processed_dir)
                return
        self.process()
        self.log = BehaviorLog.load(self.processed_dir)

    def len(self) -> int:
        return 1

    def get(self, idx: int) -> HeteroData:
        """The log as a graph of users and items."""
        log, data = self.log, HeteroData()
        data["user"].num_nodes = log.num_users
        data["item"].num_nodes = log.num_items
        if log.item_category is not None:
            data["item"].category = log.item_category
        relation = data["user", "acts_on", "item"]
        relation.edge_index = torch.stack([log.users, log.items])
        relation.time = log.times
        if log.labels is not None:
            relation.label = log.labels
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.log!r})"
