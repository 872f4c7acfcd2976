"""Which images a command is to work on, and what their results are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import InputError
from ..core.image_headers import IMAGE_EXTENSIONS
from ..core.markups import MARKUP_EXTENSIONS
from ..mrml.landmark_lists import LANDMARK_EXTENSION


def expanded(targets: Sequence[Path]) -> list[Path]:
    """Images, those of a folder in the order of their names."""
    found: list[Path] = []
    for target in targets:
        if not target.is_dir():
            found.append(target)
            continue
        inside = sorted(path for path in target.iterdir() if _stem(path) is not None and not path.name.startswith("."))
        if not inside:
            raise InputError(f"The folder {target} holds no images ({', '.join(IMAGE_EXTENSIONS)}).")
        found += inside
    return found


def _stem(path: Path) -> str | None:
    """The name without an image's extension; None: another file."""
    name = path.name.lower()
    if name.endswith(".seg.nrrd") or name.endswith(MARKUP_EXTENSIONS):
        return None
    for extension in sorted(IMAGE_EXTENSIONS, key=len, reverse=True):
        if name.endswith(extension) and len(name) > len(extension):
            return path.name[: -len(extension)]
    return None


def output_names(paths: Sequence[Path]) -> list[str]:
    """What the results of each image are called after; a name that two of them share is refused."""
    names = [_stem(path) or path.name for path in paths]
    for number, name in enumerate(names):
        if name in names[:number]:
            other = paths[names.index(name)]
            raise InputError(f"{other} and {paths[number]} would both write {name}{LANDMARK_EXTENSION}; rename one.")
    return names
