"""Files: which may be read, and that they are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import shutil
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from .errors import InputError


def known_extension(path: str | os.PathLike[str], extensions: Sequence[str], what: str) -> tuple[Path, str]:
    """The path and the longest of the extensions that it ends with; `what` is the kind of thing, with its article."""
    path = _named_in_utf8(path)
    for extension in sorted(extensions, key=len, reverse=True):
        if path.name.lower().endswith(extension) and len(path.name) > len(extension):
            return path, extension
    raise InputError(f"{path} does not have a known extension; {what} is stored as {', '.join(extensions)}.")


def _named_in_utf8(path: str | os.PathLike[str]) -> Path:
    """The path, which native readers and writers can take: they end the process on other names."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        name = os.fsencode(path).decode(errors="backslashreplace")
        raise InputError(f"{name} has a name that is not UTF-8; rename the file or its folder.") from error
    return Path(path)


def readable_file(path: str | os.PathLike[str], extensions: Sequence[str], what: str) -> tuple[Path, str]:
    """`known_extension` of a file that is there, may be read and is not empty."""
    path, extension = known_extension(path, extensions, what)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the file with {what}.")
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read; change its permissions or copy it.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); copy or export it again.")
    return path, extension


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
    path = _checked(path)
    with _complete(path, write) as temporary, _told_to_the_user(path):
        os.replace(temporary, _behind(path))
    return path


def write_together(outputs: Sequence[tuple[Path, Callable[[Path], object]]]) -> None:
    """Write several files so that either all of them are there afterwards or none; see `write_atomically`."""
    with contextlib.ExitStack() as stack:
        complete = [(stack.enter_context(_complete(_checked(path), write)), path) for path, write in outputs]
        about_to_replace()
        for temporary, path in complete:
            with _told_to_the_user(path):
                os.replace(temporary, _behind(path))


_before_replacing: list[Callable[[], None]] = []


@contextlib.contextmanager
def called_before_replacing(action: Callable[[], None]) -> Iterator[None]:
    """Within it, `action` is called when outputs that belong together are complete and about to be renamed.

    Whoever can interrupt the work learns here from when on it must not, lest only a part of the outputs be there.
    """
    _before_replacing.append(action)
    try:
        yield
    finally:
        _before_replacing.remove(action)


def about_to_replace() -> None:
    """Call the actions of `called_before_replacing`."""
    for action in _before_replacing:
        action()


def ensure_writable(path: str | os.PathLike[str]) -> Path:
    """Find out before long work that its result could not be written.

    Raises
    ------
    InputError
        As `write_atomically`, as far as can be told beforehand.
    """
    # Creating a file is the only sure test: permissions do not bind root, and say nothing of a read-only disk.
    path = _checked(path)
    temporary = temporary_beside(path)
    try:
        with _told_to_the_user(path):
            temporary.touch()
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


def temporary_beside(path: Path) -> Path:
    """A name of this process for what is to become a file or a folder, where a link leads, and with its extensions."""
    # A prefix, not a suffix: readers and writers go by the extension (.seg.nrrd, .nii.gz), and know none in capitals.
    return _behind(path).with_name(f"{temporary_prefix()}{path.name.lower()}")


def temporary_prefix() -> str:
    """How the names of this process's temporary files begin: they tell the process, and its computer."""
    return f".tmp{os.getpid()}-{_computer()}-"


@cache
def remove_leftovers(folder: Path) -> None:
    """Remove, once for each folder, the temporary files that processes of this computer left when they were killed."""
    for left in folder.glob(f".tmp*-{_computer()}-*"):
        process = left.name[len(".tmp") :].partition("-")[0]
        if process.isdecimal() and not _runs(int(process)):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    left.unlink()


@cache
def _computer() -> str:
    """Tells computers that share a disk apart."""
    return f"{zlib.crc32(platform.node().encode()) & 0xFFFF:04x}"


def _runs(process: int) -> bool:
    """Whether there is a process of this number, as far as can be told."""
    if os.name == "nt":
        return True  # to ask by a signal, as below, would end it there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _checked(path: str | os.PathLike[str]) -> Path:
    path = _named_in_utf8(path)
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; create it or choose another output.")
    if path.is_dir():
        raise InputError(f"The output {path} is a folder; name a file.")
    if not _behind(path).parent.is_dir():
        raise InputError(f"The output {path} is a link to {_behind(path)}, whose folder does not exist; remove it.")
    remove_leftovers(_behind(path).parent)
    return path


def _behind(path: Path) -> Path:
    """Target of a link; else the path itself."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _as_before(path: Path, temporary: Path) -> None:
    """Give a new content the permissions, and where that is allowed the owner, of the file that it replaces."""
    with contextlib.suppress(OSError):
        before = path.stat()
        if hasattr(os, "chown"):
            with contextlib.suppress(OSError):
                os.chown(temporary, before.st_uid, before.st_gid)
        os.chmod(temporary, stat.S_IMODE(before.st_mode))


@contextlib.contextmanager
def _complete(path: Path, write: Callable[[Path], object]) -> Iterator[Path]:
    """A file's content, whole and on the disk under a temporary name, which is gone afterwards."""
    temporary = temporary_beside(path)
    try:
        with _told_to_the_user(path):
            try:
                write(temporary)
            except InputError as error:
                raise InputError(str(error).replace(str(temporary), str(path))) from error
            _flush(temporary)
            _as_before(path, temporary)
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _told_to_the_user(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"Could not write {path}: {reason_of(error)}.") from error


def _flush(path: Path) -> None:
    # A full disk may only show when the data are forced out; better now than after the rename.
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def reason_of(error: OSError) -> str:
    """Why a file could not be written, in the user's words, to follow "Could not write x: "."""
    if error.errno == errno.ENOSPC:
        return "the disk is full, free some space and run again"
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return "the folder is read-only, choose another output"
    return (error.strerror or str(error)).lower()
