"""Inputs of tasks: a segment of a file, the images of folders and the names of their results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import InputError

if TYPE_CHECKING:
    from ..core.volume import Volume


def read_segment(path: Path, segment: str | None, *, may_be_empty: bool = False) -> Volume | None:
    """A segment of a segmentation or labelmap as a uint8 mask; None where the file holds nothing, and may do so.

    Raises
    ------
    InputError
        The file cannot be read, or has not one segment of that ID, name or label value; names the file.
    """
    from ..mrml.files import read_segmentation
    from ..mrml.headless import scene
    from ..mrml.lookup import find_segment
    from ..mrml.segmentations import segment_to_volume

    node = read_segmentation(path)
    try:
        if may_be_empty and segment is None and not node.GetSegmentation().GetNumberOfSegments():
            return None
        return segment_to_volume(node, find_segment(node, segment))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    finally:
        scene().RemoveNode(node)


def expanded(paths: Sequence[Path]) -> list[Path]:
    """Images, those of a folder in the order of their names.

    Raises
    ------
    InputError
        A folder without images.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(one for one in path.iterdir() if image_stem(one) is not None and not one.name.startswith("."))
        if not inside:
            from ..core.image_headers import IMAGE_EXTENSIONS

            raise InputError(f"The folder {path} holds no images ({', '.join(IMAGE_EXTENSIONS)}).")
        found += inside
    return found


def image_stem(path: Path) -> str | None:
    """The name without an image's extension; None: a segmentation, a stroke or another file."""
    from ..core.markups import MARKUP_EXTENSIONS

    if path.name.lower().endswith((".seg.nrrd", *MARKUP_EXTENSIONS)):
        return None
    stem, extension = stem_and_extension(path)
    return stem if extension else None


def stem_and_extension(path: Path) -> tuple[str, str]:
    """A file's name in two parts; without an extension of an image's it is whole, and the second part empty."""
    from ..core.image_headers import IMAGE_EXTENSIONS

    for extension in sorted(IMAGE_EXTENSIONS, key=len, reverse=True):
        if path.name.lower().endswith(extension) and len(path.name) > len(extension):
            return path.name[: -len(extension)], extension
    return path.name, ""
