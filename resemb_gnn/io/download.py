"""Fetching a publisher's file, whole and checked, or not at all."""

import os
import tempfile
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from resemb_gnn.errors import InputError
from resemb_gnn.io.digests import file_digest

_TIMEOUT = 30  # seconds without a byte
_CHUNK = 1 << 20


def fetch(url: str, path: str | Path, page: str, checksum: str | None = None) -> None:
    """Downloads a file; it appears under its name only when it is complete and checked.

    Args:
        url: where it is.
        path: where it goes; its folder is made.
        page: the publisher's page, named when the download fails.
        checksum: ``"md5:..."`` or ``"sha256:..."``, as the publisher gives it.

    Raises:
        InputError: if it cannot be had, or its checksum is another.
    """
    path = Path(path)
    try:
        # PyG's download_url does not verify certificates and leaves half a file when cut off.
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as source:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            try:
                with os.fdopen(handle, "wb") as target:
                    while chunk := source.read(_CHUNK):
                        target.write(chunk)
                if checksum is not None:
                    verify(temporary, checksum, name=url)
                os.chmod(temporary, 0o644)
                os.replace(temporary, path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
    except (OSError, HTTPException) as error:  # urllib's errors are OSErrors
        raise InputError(
            f"{path} is not there and cannot be downloaded from {url} ({error});"
            f" get it from {page} and put it there"
        ) from error


def verify(path: str | Path, checksum: str, name: str | None = None) -> None:
    """Refuses a file whose checksum (``"md5:..."`` or ``"sha256:..."``) is another.

    Raises:
        InputError: naming the file (or ``name``), the checksum it has and the one it should have.
    """
    kind, _, wanted = checksum.partition(":")
    found = file_digest(path, kind)
    if found != wanted:
        raise InputError(f"{name or path} has {kind} {found}, the published file has {wanted}")
