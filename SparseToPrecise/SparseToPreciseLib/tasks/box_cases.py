"""A user's cases for the models of boxes: images with masks for the corrector, with boxes for the segmenter."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..boxes.correction import LEARNING_COVERAGE, BoxCorrection
from ..boxes.corrector.model import load_corrector
from ..boxes.slices import check_within
from ..core.box import Box
from ..core.errors import InputError, listing
from ..core.images import read_image, read_labelmap, whole_labels
from ..core.markups import read_box
from ..core.volume import Volume
from .datalist import Entry, FileCases, NothingToLearn, read_entries

BoxCase = tuple[Volume, "Volume | list[Box]"]

_LISTED = 10


def corrector_cases(path: Path, label: int | None) -> FileCases:
    """(image, mask) pairs of a datalist, read one by one as they are needed; all files it names are there.

    Parameters
    ----------
    path
        {"training": [{"image": FILE, "label": FILE}, ...]}; cases under "validation" are trained on, too, since the
        training holds cases back by itself.
    label
        The value of the object in the label files; needed where a file has several.

    Raises
    ------
    InputError
        As `datalist.read_entries`, or a label file is not there. When their turn comes: a file that cannot be read,
        has no background, or has several labels of which none was named; that all of them are empty.
    """
    entries = [entry for part in read_entries(path).values() for entry in part]
    files = [(entry, entry.file("image"), entry.file("label")) for entry in entries]
    return FileCases(files, lambda case: (read_image(case[1]), _object(case[2], case[0], label)))


def segmenter_cases(path: Path, label: int | None) -> dict[str, FileCases]:
    """Images with boxes of a datalist, read one by one as they are needed; all files it names are there.

    Parameters
    ----------
    path
        Of each case: "image", and "box" (an ROI in .mrk.json, or a list of them) or "label", of which only the extent
        on every plane counts.
    label
        As in `corrector_cases`.

    Returns
    -------
    dict
        "cases", and "validation_cases" where there are some.

    Raises
    ------
    InputError
        As `corrector_cases`, or a box does not lie in its image.
    """
    found = {}
    for part, entries in read_entries(path).items():
        files = [(entry, entry.file("image"), _boxes_of(entry)) for entry in entries]
        found["cases" if part == "training" else "validation_cases"] = files
    return {name: FileCases(files, lambda case: _box_case(*case, label)) for name, files in found.items()}


def correction_by(corrector: str | None, coverage: float | None, device: str) -> BoxCorrection:
    """Correction of the boxes of a datalist before they are learnt from; None is the default of each.

    Raises
    ------
    InputError
        As `load_corrector` and `BoxCorrection`.
    """
    return BoxCorrection(load_corrector(corrector, device), LEARNING_COVERAGE if coverage is None else coverage)


def _boxes_of(entry: Entry) -> list[Path] | Path:
    """The ROI files of a case, or its label file."""
    names = entry.content.get("box")
    if names is None and "label" in entry.content:
        return entry.file("label")
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise entry.wrong('names no "box" (an ROI, or a list of them) and no "label"; add one of them')
    return [entry.existing(name) for name in names]


def _box_case(entry: Entry, image_file: Path, given: list[Path] | Path, label: int | None) -> BoxCase:
    image = read_image(image_file)
    if isinstance(given, Path):
        return image, _object(given, entry, label)
    boxes = []
    for file in given:
        boxes.append(read_box(file))
        try:
            check_within(boxes[-1], image.grid)
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
    return image, boxes


def _object(file: Path, entry: Entry, label: int | None) -> Volume:
    """uint8 mask of the object in a label file."""
    labelmap = read_labelmap(file)
    values = whole_labels(labelmap.array, str(file))[1].tolist()
    listed = listing(values, _LISTED)
    if not values:
        raise NothingToLearn(entry, file, "there is no object to learn from")
    if label is None and len(values) > 1:
        raise InputError(f"{file} of {entry.where} has the labels {listed}; say by --label which one is the object.")
    if label is not None and label not in values:
        raise InputError(f"{file} of {entry.where} has no label {label}, but {listed}; leave the case out.")
    mask = labelmap.array == (values[0] if label is None else label)
    if mask.all():
        raise InputError(f"{file} of {entry.where} is all object, which shows nothing of what is not; leave it out.")
    return labelmap.with_array(mask.astype(np.uint8))
