"""Digests of tensors and of files, and lists of these as ``sha256sum`` writes and checks them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def file_digest(path: str | Path, kind: str = "sha256") -> str:
    """Hexadecimal digest of a file's content."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def write_digests(path: Path, names: Iterable[str]) -> None:
    """Lists the SHA-256 of files that lie beside ``path``, a line each."""
    lines = [f"{file_digest(path.parent / name)}  {name}\n" for name in names]
    path.write_text("".join(lines), encoding="utf-8")


def changed_file(path: Path, names: Iterable[str]) -> str | None:
    """The first of the files beside the list ``path`` that is not as it was listed.

    Raises:
        OSError: if the list or a file is missing.
    """
    listed = path.read_bytes().splitlines()
    for name in names:
        if f"{file_digest(path.parent / name)}  {name}".encode() not in listed:
            return name
    return None


def tensor_digest(*parts: Tensor | None) -> str:
    """A digest of the tensors' values, 16 hexadecimal digits; ``None`` counts for nothing."""
    found = hashlib.blake2b(digest_size=8)
    for part in parts:
        if part is not None and part.numel():
            values: Any = part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
            found.update(values)
    return found.hexdigest()
