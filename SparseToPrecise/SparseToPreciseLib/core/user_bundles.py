"""The user's own bundles: what is there, adding one, and removing it again. What came with the software stays."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from .bundles import METADATA, Bundle, open_bundle, search_roots, user_folder
from .errors import InputError
from .files import ensure_writable, reason_of, temporary_prefix
from .progress import Progress
from .training.writing import exchange


@dataclass(frozen=True)
class InstalledBundle:
    """A folder that is taken for a bundle.

    Attributes
    ----------
    path
        Its folder.
    bundle
        None where it is refused.
    problem
        Why it is refused, or not used; else empty.
    own
        It is the user's; the others came with the software.
    """

    path: Path
    bundle: Bundle | None
    problem: str
    own: bool

    @property
    def size_bytes(self) -> int:
        """Size of all its files."""
        return sum(file.lstat().st_size for file in self.path.rglob("*") if not file.is_dir())


class NameTaken(InputError):
    """There is a bundle of that name.

    Attributes
    ----------
    replaceable
        It is the user's own.
    """

    def __init__(self, name: str, replaceable: bool) -> None:
        super().__init__(f"There is already a model {name}; add the new one under another name.")
        self.name = name
        self.replaceable = replaceable


def installed_bundles() -> list[InstalledBundle]:
    """Every folder below the search roots, also the refused ones and those that another of the name hides.

    What came with the software and has no metadata waits for its first training, and is left out.
    """
    found: list[InstalledBundle] = []
    used: dict[str, Path] = {}
    for number, root in enumerate(search_roots()):
        for folder in sorted(root.iterdir()) if root.is_dir() else []:
            listed = number == 0 or (folder / METADATA).is_file()
            if not folder.is_dir() or folder.name.startswith(".") or not listed:
                continue
            bundle, problem = None, ""
            try:
                bundle = open_bundle(folder)
            except InputError as error:
                problem = str(error)
            if folder.name in used:
                problem = problem or f"Not used: {used[folder.name]} has the same name."
            elif (folder / METADATA).is_file():
                used[folder.name] = folder
            found.append(InstalledBundle(folder, bundle, problem, own=number == 0))
    return found


def add_bundle(
    source: str | os.PathLike[str],
    name: str | None = None,
    *,
    replace: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """Check a bundle and copy it into the user's folder, whole or not at all.

    Parameters
    ----------
    source
        The bundle's folder.
    name
        Of the folder that it becomes; None: as the source is called.
    replace
        Take the place of the user's own bundle of that name.

    Returns
    -------
    Bundle
        The copy. What was checked is the copy, not the source, so that nothing can be exchanged in between.

    Raises
    ------
    NameTaken
        The name is in use, and not to be replaced.
    InputError
        The bundle is refused, `source` is already in the user's folder, or the disk is full or read-only.
    ModuleNotFoundError
        PyTorch or MONAI is not installed, without which weights cannot be checked.
    """
    progress = progress or Progress()
    source = Path(source).resolve()
    if not source.is_dir():
        raise InputError(f"{source} is no folder; choose the folder of a bundle (the one that holds {METADATA}).")
    root = user_folder().absolute()
    if source.is_relative_to(root.resolve()):
        raise InputError(f"{source} is already among your models.")
    open_bundle(source)  # a quick look before anything is copied
    name = _checked_name(source.name if name is None else name)
    target = root / name
    _check_free(name, replace)

    fresh = root / f"{temporary_prefix()}{name}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        ensure_writable(root / f"{name}.bundle")
        _copy(source, fresh, progress.part(0.0, 0.6))
        progress(0.6, "checking the copy")
        try:
            open_bundle(fresh).verify()
        except InputError as error:
            raise InputError(str(error).replace(str(fresh), str(source)).replace(fresh.name, source.name)) from error
        progress(0.95, "moving it into place")
        exchange(fresh, target)
    except OSError as error:
        raise InputError(f"Could not add the bundle to {root}: {reason_of(error)}.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return open_bundle(target)


def free_name(name: str) -> str:
    """The name itself, or with a number where it is in use."""
    used = {bundle.path.name for bundle in installed_bundles()}
    candidates = (name, *(f"{name}-{number}" for number in range(2, len(used) + 3)))
    return next(candidate for candidate in candidates if candidate not in used)


def folder_for(name: str) -> Path:
    """Where a new bundle of the user's goes.

    Raises
    ------
    NameTaken
        The name is in use.
    InputError
        It is no name for a folder.
    """
    _check_free(_checked_name(name), replace=False)
    return user_folder() / name


def remove_bundle(path: str | os.PathLike[str]) -> None:
    """Remove one of the user's own bundles.

    Raises
    ------
    InputError
        It is not the user's, no bundle, or in use or protected.
    """
    path = Path(path).absolute()
    if path.parent != user_folder().absolute() and path.parent.resolve() != user_folder().resolve():
        raise InputError(f"{path} is not in the folder of your models ({user_folder()}), so it is left alone.")
    if path.is_symlink():  # what it points to is somewhere else, and not ours
        path.unlink()
        return
    if not (path / METADATA).is_file():
        raise InputError(f"{path} is no bundle, so it is left alone.")
    # Out of sight first: a bundle that is half gone must not be found.
    old = path.with_name(f".old{os.getpid()}-{path.name}")
    try:
        os.replace(path, old)
        shutil.rmtree(old)
    except OSError as error:
        raise InputError(f"Could not remove {path}: {reason_of(error)}.") from error


def _checked_name(name: str) -> str:
    # What every file system takes: a user's folder may be on a share.
    if not re.fullmatch(r"\w([\w .()+-]*[\w)+-])?", name):
        raise InputError(f"A model cannot be called {name!r}; use letters, digits, - and _.")
    return name


def _check_free(name: str, replace: bool) -> None:
    for one in installed_bundles():
        if one.path.name == name and not (one.own and replace):
            raise NameTaken(name, replaceable=one.own)
    taken = user_folder() / name
    if replace and taken.exists() and not (taken / METADATA).is_file():
        raise InputError(f"{taken} is no bundle, so it is left alone; add the new one under another name.")


def _copy(source: Path, target: Path, progress: Progress) -> None:
    files = sorted(file for file in source.rglob("*") if file.is_symlink() or not file.is_dir())
    for number, file in enumerate(files):
        progress(number / len(files), "copying")
        if file.is_symlink():
            link = file.relative_to(source).as_posix()
            raise InputError(f"The bundle {source} is refused: {link} is a link; put the file itself there.")
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
