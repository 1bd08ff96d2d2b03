"""Checkpoint files: written whole, checked when read, the last two kept."""

import contextlib
import hashlib
import re
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import torch

from resemb_gnn.errors import InputError, TrainingError, brief
from resemb_gnn.io.atomic import publish, temporary_file
from resemb_gnn.io.digests import file_digest

SCHEMA = 1
KEPT = 2
_NAME = re.compile(r"checkpoint-(\d{8})\.([0-9a-f]{64})\.pt")


class CheckpointFolder:
    """The checkpoints of one run, ``checkpoint-NUMBER.SHA256.pt``.

    A file is written under a temporary name, brought to the disk and renamed, so that it is there
    whole or not at all; its name holds the SHA-256 of its contents, as ``sha256sum`` prints it.
    What is in it are tensors, numbers, strings, lists and dictionaries, which
    ``torch.load(weights_only=True)`` reads without running any code.

    Args:
        folder: where they are; made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: set[Path] = set()

    def files(self) -> list[Path]:
        """The checkpoints, the newest first."""
        found = [path for path in self.folder.glob("checkpoint-*.pt") if _NAME.fullmatch(path.name)]
        return sorted(found, reverse=True)

    def save(self, contents: dict[str, Any]) -> Path:
        """Writes the next checkpoint and removes what is older than the last but one.

        Raises:
            TrainingError: if it cannot be written; the checkpoints before it stay as they are.
        """
        files = self.files()
        number = 1 + max((_number(path) for path in files), default=0)
        name = f"checkpoint-{number:08d}"
        try:
            with temporary_file(self.folder, name) as file:
                digest = _write({"schema": SCHEMA, **contents}, file)
                path = self.folder / f"{name}.{digest}.pt"
                publish(file, path)
            sound = [old for old in files if old not in self.damaged]
            half_written = self.folder.glob(".checkpoint-*")  # by a process that was killed
            for old in {*sound[KEPT - 1 :], *self.damaged, *half_written}:
                old.unlink(missing_ok=True)
            self.damaged.clear()
        except OSError as error:
            kept = f"{files[0]} is the last" if files else "there is none yet"
            raise TrainingError(
                f"no checkpoint can be written to {self.folder}: {error.strerror or error};"
                f" {kept}. Make room or mend the folder, then resume"
            ) from error
        return path

    def remove(self) -> None:
        """Deletes the checkpoints, and the folder unless something else is in it."""
        for pattern in ("checkpoint-*.pt", ".checkpoint-*", ".not-finite*", "not-finite.pt"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def load(self) -> dict[str, Any] | None:
        """Contents of the newest sound checkpoint; ``None`` if there is no file at all.

        A damaged file is passed over with a warning, and removed with the next :meth:`save`.

        Raises:
            InputError: if every file is damaged.
        """
        files = self.files()
        for path in files:
            try:
                contents = _read(path)
            except _DamagedError as error:
                self.damaged.add(path)
                warnings.warn(
                    f"{path} is damaged ({error}): going back to the one before", stacklevel=2
                )
                continue
            schema = contents.get("schema")
            if not isinstance(schema, int) or schema != SCHEMA:
                raise InputError(f"{path} is not a checkpoint of schema {SCHEMA}")
            return contents
        if files:
            raise InputError(
                f"every checkpoint in {self.folder} is damaged"
                f" ({', '.join(path.name for path in files)}): start again in another folder"
            )
        return None


class _DamagedError(Exception):
    pass


class _Digesting:
    """A file that is digested as it is written."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.digest = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            self.file.write(data)
        except OSError as error:
            self.error = error  # torch.save reports it as a RuntimeError about positions
            raise
        self.digest.update(data)
        return len(data)

    def flush(self) -> None:
        self.file.flush()


def _write(contents: dict[str, Any], file: BinaryIO) -> str:
    target = _Digesting(file)
    try:
        torch.save(contents, target)  # type: ignore[arg-type]
    except RuntimeError:
        if target.error is not None:
            raise target.error from None
        raise
    return target.digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    named = _NAME.fullmatch(path.name)
    assert named is not None
    try:
        if file_digest(path) != named[2]:
            raise _DamagedError("its contents do not have the SHA-256 in its name")
    except OSError as error:
        raise _DamagedError(str(error)) from error
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # as many as there are ways to write what is no checkpoint
        raise InputError(
            f"{path} holds what no checkpoint of ours does, and was not loaded: {brief(error)}"
        ) from error
    if not isinstance(contents, dict):
        raise InputError(f"{path} holds {type(contents).__name__}, not a checkpoint")
    return contents


def _number(path: Path) -> int:
    named = _NAME.fullmatch(path.name)
    assert named is not None
    return int(named[1])
