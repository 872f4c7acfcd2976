"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from .errors import InputError


def write_atomically(path: str | os.PathLike[str], write: Callable[[Path], None]) -> Path:
    """Write to a temporary name beside the target, then rename: an old file survives every failure.

    Parameters
    ----------
    path
        The file wanted.
    write
        Called with the temporary path, which ends with the same extensions as `path`.

    Raises
    ------
    InputError
        The folder is missing or read-only, or the disk is full.
    """
    path = Path(path)
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"The folder {folder} does not exist; create it or choose another output.")
    if path.is_dir():
        raise InputError(f"The output {path} is a folder; name a file.")
    # A prefix, not a suffix: readers and writers go by the extension (.seg.nrrd, .nii.gz).
    temporary = folder / f".tmp{os.getpid()}-{path.name}"
    try:
        write(temporary)
        _flush(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"Could not write {path}: {_reason(error)}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


def _flush(path: Path) -> None:
    # A full disk may only show when the data are forced out; better now than after the rename.
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full, free some space and run again"
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return "the folder is read-only, choose another output"
    return (error.strerror or str(error)).lower()
