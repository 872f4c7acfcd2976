"""From files: annotated images that a template of landmarks is taught from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..core.errors import InputError
from ..core.images import read_image
from ..landmarks.reference import Reference
from ..mrml.landmark_lists import read_landmarks
from ..mrml.landmark_teaching import validation_reference
from .inputs import read_segment

_PATH = r"((?:[A-Za-z]:[\\/])?[^:]+)"  # a drive has a colon of its own


def read_lesson(
    image: Path,
    landmarks: Path,
    soi: Path,
    segment: str | None = None,
    more: Sequence[str] = (),
    validation_image: Path | None = None,
    validation_soi: Path | None = None,
) -> dict[str, Iterator[Reference]]:
    """The annotated images that a template is taught from, read one by one as they are needed.

    Parameters
    ----------
    image, landmarks, soi
        The annotated image, its point list, and the segmentation of its structure of interest.
    segment
        ID, name or label value of the segment in every segmentation.
    more
        Further annotated images, IMAGE:LANDMARKS:SEG.
    validation_image, validation_soi
        Another image to watch the training on.

    Returns
    -------
    dict
        "cases", and "validation_cases" where there is one, for `core.training.recipe.train`.

    Raises
    ------
    InputError
        A validation image without its structure, or the reverse; when their turn comes, what is wrong with the files.
    """
    if (validation_image is None) != (validation_soi is None):
        raise InputError("--validation-image and --validation-soi belong together; give both or neither.")
    paths = [(image, landmarks, soi), *map(_three_paths, more)]
    found = {"cases": (_reference(*three, segment) for three in paths)}
    if validation_image is not None:
        found["validation_cases"] = (
            validation_reference(read_image(one), read_segment(validation_soi, segment)) for one in [validation_image]
        )
    return found


def _reference(image: Path, landmarks: Path, soi: Path, segment: str | None) -> Reference:
    try:
        return Reference(read_image(image), read_segment(soi, segment), read_landmarks(landmarks, complete=True))
    except InputError as error:
        text = str(error)
        named = any(text.startswith(str(path)) for path in (image, landmarks, soi))
        raise InputError(text if named else f"{image}: {text}") from error


def _three_paths(text: str) -> tuple[Path, Path, Path]:
    found = re.fullmatch(":".join([_PATH] * 3), text)
    if found is None:
        raise InputError(f"--reference takes IMAGE:LANDMARKS:SEG, not {text!r}.")
    image, landmarks, soi = (Path(part) for part in found.groups())
    return image, landmarks, soi
