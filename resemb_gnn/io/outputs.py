"""Places of outputs, looked at before the work that they are for begins.

What a place is refused for is known before data are read: that it cannot be written, that
something is there, or that it is among what is read.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Collection, Iterable
from pathlib import Path

from resemb_gnn.errors import InputError
from resemb_gnn.io.atomic import temporary_file
from resemb_gnn.io.paths import expanded

_PROBE = 2**16  # bytes; a full disk may still have room for a few


def new_place(path: str | Path) -> Path:
    """Where something is to be written: through links, with ``~`` expanded.

    Raises:
        InputError: if it cannot be written.
    """
    return _writable(path, expanded(path))


def new_file(path: str | Path, replace: bool) -> Path:
    """Where an output file is to be written: through links, with ``~`` expanded.

    Raises:
        InputError: if it cannot be written, something that is no file has the name, or a file has
            it and ``replace`` is not set.
    """
    place = new_place(path)
    if place.is_dir():
        raise InputError(f"{path} is a folder: name a file")
    if place.exists() and not place.is_file():  # such as /dev/null, which would be replaced
        raise InputError(f"{path} is no regular file: choose another place")
    if place.exists() and not replace:
        raise InputError(f"{path} exists: add --replace or choose another place")
    return place


def new_folder(
    path: str | Path, replace: bool, needed: Collection[str], files: Collection[str], what: str
) -> Path:
    """Where an output folder is to be written as a whole: through links, with ``~`` expanded.

    Args:
        path: the folder.
        replace: whether one of the same kind may be replaced.
        needed: names of files that every folder of the kind has.
        files: names of all files that one may have.
        what: the kind, for messages.

    Raises:
        InputError: if it cannot be written or replaced, it holds anything but files of the kind,
            or these and ``replace`` is not set.
    """
    place = new_place(path)
    if not os.path.lexists(place):
        return place
    if place == Path.cwd() or place in Path.cwd().parents:
        raise InputError(f"{path} is the current folder, or above it: name a folder to make")
    if place.is_mount():
        raise InputError(f"{path} is a mount point, which nothing can replace: name a folder in it")
    found = {entry.name for entry in place.iterdir()} if place.is_dir() else None
    if found is None or (found and not found.issuperset(needed)):
        raise InputError(f"{path} exists and is no {what}: choose another place")
    if found and not replace:
        raise InputError(
            f"{path} holds a model: add --replace (replace=True) or choose another place"
        )
    if found - set(files):
        raise InputError(
            f"{path} holds {min(found - set(files))} besides the {what}, which would be lost: move"
            " it, or choose another place"
        )
    if not os.access(place, os.W_OK):
        raise InputError(f"{path} cannot be replaced: it may not be written")
    return place


def shared_folder(path: str | Path) -> Path:
    """Where files are to be written beside others: through links, with ``~`` expanded; it need not
    be there yet.

    Raises:
        InputError: if none can be written.
    """
    return _writable(path, expanded(path) / "any").parent


def refuse_overlap(out: Path, read: Iterable[Path]) -> None:
    """Refuses an output that is among what is read, under whatever name: to write it would take
    the place of the input, or become a part of it.

    Args:
        out: file or folder to write.
        read: files and folders.

    Raises:
        InputError: if ``out`` is one of them, lies in one or holds one.
    """
    for place in read:
        if lies_in(out, place):
            raise InputError(f"{out} is among what is read ({place}): choose another place")
        if os.path.lexists(place) and lies_in(place, out):
            raise InputError(f"{out} holds {place}, which is read: choose another place")


def lies_in(inner: Path, outer: Path) -> bool:
    """Whether a path, or what it is a link to, is ``outer`` or below it, under whatever name."""
    names = {Path(os.path.abspath(inner)), Path(os.path.realpath(inner))}
    return any(_same(above, outer) for name in names for above in (name, *name.parents))


def _writable(path: str | Path, place: Path) -> Path:
    """The place without links, after a probe of it; nothing is left, and nothing there is touched.

    Raises:
        InputError: naming ``path``, if nothing can be written there.
    """
    try:
        place = Path(os.path.realpath(place))
        str(place).encode()  # no other name can be handed to Arrow and safetensors
        above, missing = place.parent, [place.name]
        while not above.exists():
            above, missing = above.parent, [above.name, *missing]
        for name in missing:
            with contextlib.suppress(FileNotFoundError):
                mode = os.lstat(above / name).st_mode  # fails if the name is too long
                if stat.S_ISLNK(mode):  # one that was not followed above
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        with temporary_file(above, place.name) as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())
    except (OSError, ValueError) as error:  # the latter where no file can have such a name
        why = error.strerror if isinstance(error, OSError) else None
        raise InputError(f"{path} cannot be written: {why or error}") from error
    return place


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one is not there
        return os.path.realpath(one) == os.path.realpath(other)
