"""Markups ROIs in .mrk.json files as boxes, without Slicer: a child process of the application has no scene."""

from __future__ import annotations

import json
import os

import numpy as np

from .box import Box
from .errors import InputError
from .files import readable_file

ROI_EXTENSION = ".mrk.json"
_TO_RAS = {"LPS": np.diag([-1.0, -1.0, 1.0]), "RAS": np.eye(3)}


def read_box(path: str | os.PathLike[str]) -> Box:
    """The box of the one ROI in a file, which is in the file's own coordinates, as Slicer writes it.

    Raises
    ------
    InputError
        Missing or empty file, another format, no ROI or several markups, or an ROI without volume or right angles.
    """
    path, _ = readable_file(path, (ROI_EXTENSION,), "an ROI")
    try:
        markups = json.loads(path.read_text(encoding="utf-8"))["markups"]
        (markup,) = markups
        kind = markup["type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a markups file (.mrk.json) with one ROI; save the ROI again.") from error
    if kind != "ROI":
        raise InputError(f"{path} holds a markup of type {kind}; draw the box as an ROI.")
    try:
        to_ras = _TO_RAS[str(markup.get("coordinateSystem", "LPS"))]
        center = np.array(markup["center"], dtype=np.float64)
        axes = np.array(markup["orientation"], dtype=np.float64).reshape(3, 3)
        size = np.array(markup["size"], dtype=np.float64)
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = to_ras @ axes, to_ras @ center
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} does not say where its ROI lies ({error!r}); save the ROI again.") from error
    try:
        return Box.from_matrix(matrix, size)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
