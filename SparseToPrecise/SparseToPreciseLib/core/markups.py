"""Markups in files (.mrk.json, .fcsv) as plain data, without Slicer.

Slicer's own readers end the process on a value of a type that they do not expect, and take a coordinate system that
they do not know for RAS. So all markups are read here, and nodes are made of what has been read.
"""

from __future__ import annotations

import csv
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .box import Box
from .errors import InputError
from .files import readable_file
from .plane import Plane

MARKUP_EXTENSIONS = (".mrk.json", ".fcsv")
ROI_EXTENSION = ".mrk.json"

_KINDS = ("Fiducial", "Line", "Angle", "Curve", "ClosedCurve", "Plane", "ROI")
_TO_RAS = {"RAS": np.ones(3), "LPS": np.array([-1.0, -1.0, 1.0])}
_NUMBERED = {"0": "RAS", "1": "LPS"}
"""How .fcsv files of Slicer 4 name coordinate systems."""
_STATUSES = ("defined", "undefined", "preview", "missing")
_COMMENT = re.compile(r'^"?#\s*(.+?)\s*=\s*(.*?)[\s,"]*$')
_LABEL, _DESCRIPTION, _STATUS = 11, 12, 14
"""Columns of a .fcsv file that says its version; one that does not begins each row with the label."""
_PLACED = "2"
"""Value of a placed point in the column of the status, which files of older versions do not have."""


@dataclass(frozen=True)
class ControlPoint:
    """A control point of a markup.

    Attributes
    ----------
    label, description
        As in the file.
    position
        (3,) RAS, mm; None where the point was announced but not placed. Not checked to be finite.
    """

    label: str
    position: np.ndarray | None
    description: str = ""


@dataclass(frozen=True)
class Markup:
    """The one markup of a file.

    Attributes
    ----------
    kind
        Slicer's name of the type: Fiducial, Line, Angle, Curve, ClosedCurve, Plane or ROI.
    points
        In the order of the file.
    box
        Where an ROI lies, as Slicer shows it; None for other markups.
    plane
        Where a plane lies, with its rectangle as its bounds; None for other markups.
    display
        How the file wants it drawn, unchecked.
    """

    kind: str
    points: tuple[ControlPoint, ...]
    box: Box | None = None
    inside_out: bool = False
    display: dict[str, Any] = field(default_factory=dict, repr=False)
    plane: Plane | None = None


def read_markup(path: str | os.PathLike[str], what: str = "a markup") -> Markup:
    """The one markup in a file; a .fcsv file is a point list.

    Parameters
    ----------
    path
        .mrk.json or .fcsv, in LPS or RAS as the file says.
    what
        What it is taken for, with its article; for the sentences.

    Raises
    ------
    InputError
        Missing, empty or unreadable file, another format, no markup or several, an unknown coordinate system or
        unit, or a value that is not what it should be.
    """
    path, extension = readable_file(path, MARKUP_EXTENSIONS, what)
    kind = what.partition(" ")[2]
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin a file with a byte-order mark
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a text file in the {extension} format; save the {kind} again.") from error
    if extension == ".fcsv":
        return _from_fcsv(path, text, kind)
    markup = _one_in_json(path, text, kind)
    try:
        return _from_json(markup)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path} could not be read as a markup ({error}); save the {kind} again.") from error


def read_box(path: str | os.PathLike[str]) -> Box:
    """The box of the one ROI in a .mrk.json file, in the file's own coordinates, as Slicer shows it.

    Raises
    ------
    InputError
        As `read_markup`, or it holds another markup or an ROI that is not placed or has no volume.
    """
    readable_file(path, (ROI_EXTENSION,), "an ROI")
    markup = read_markup(path, "an ROI")
    if markup.box is None:
        raise InputError(f"{path} holds a markup of type {markup.kind}; draw the box as an ROI.")
    return markup.box


def read_plane(path: str | os.PathLike[str]) -> Plane:
    """The plane of the one markup in a .mrk.json file, in the file's own coordinates, named after the file.

    Raises
    ------
    InputError
        As `read_markup`, or it holds another markup or a plane that is not placed.
    """
    path, extension = readable_file(path, (ROI_EXTENSION,), "a plane")
    markup = read_markup(path, "a plane")
    if markup.plane is None:
        raise InputError(f"{path} holds a markup of type {markup.kind}; draw it as a plane.")
    return markup.plane.named(path.name[: -len(extension)])


def _one_in_json(path: Path, text: str, kind: str) -> dict[str, Any]:
    try:
        markups = json.loads(text)["markups"]
        if not isinstance(markups, list) or not all(isinstance(markup, dict) for markup in markups):
            raise TypeError("no list of objects")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is not a valid markups file (.mrk.json); save the {kind} again.") from error
    if len(markups) != 1:
        raise InputError(f"{path} holds {len(markups)} markups; save one {kind} per file.")
    return markups[0]


def _from_json(markup: dict[str, Any]) -> Markup:
    """ValueError: why it cannot be read."""
    kind = markup.get("type")
    if kind not in _KINDS:
        raise ValueError(f"its type is {_short(kind)}")
    to_ras = _direction(markup.get("coordinateSystem", "LPS"))
    units = markup.get("coordinateUnits", "mm")
    if "mm" not in (units if isinstance(units, list) else [units]):
        raise ValueError(f"its coordinates are in {_short(units)} instead of mm")
    rows = markup.get("controlPoints", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"its control points are {_short(rows)}")
    points = tuple(_point(row, number, to_ras) for number, row in enumerate(rows, start=1))
    display = markup.get("display")
    return Markup(
        kind,
        points,
        _box(markup, points, to_ras) if kind == "ROI" else None,
        markup.get("insideOut") is True,
        display if isinstance(display, dict) else {},
        _plane(markup, points, to_ras) if kind == "Plane" else None,
    )


def _direction(system: object, also: dict[str, str] | None = None) -> np.ndarray:
    """(3,) signs from a coordinate system to RAS."""
    name = system.strip().upper() if isinstance(system, str) else ""
    name = (also or {}).get(name, name)
    if name not in _TO_RAS:
        raise ValueError(f"its coordinate system is {_short(system)}, neither LPS nor RAS")
    return _TO_RAS[name]


def _point(row: dict[str, Any], number: int, to_ras: np.ndarray) -> ControlPoint:
    status, position = row.get("positionStatus", "defined"), row.get("position")
    if status not in _STATUSES:
        raise ValueError(f"the status of point {number} is {_short(status)}")
    placed = status == "defined" and position is not None
    return ControlPoint(
        _text(row.get("label")),
        to_ras * _numbers(position, 3, f"the position of point {number}") if placed else None,
        _text(row.get("description")),
    )


def _text(value: object) -> str:
    """A text that native code can take: halves of characters and zeros end the process there."""
    text = "" if value is None else str(value)
    return text.encode(errors="replace").decode().replace("\0", "")


def _numbers(value: object, count: int, what: str) -> np.ndarray:
    good = isinstance(value, list) and len(value) == count
    if not good or not all(isinstance(entry, (int, float)) and not isinstance(entry, bool) for entry in value):
        raise ValueError(f"{what} is {_short(value)}, not {count} numbers")
    return np.array([float(entry) for entry in value])


def _box(markup: dict[str, Any], points: tuple[ControlPoint, ...], to_ras: np.ndarray) -> Box:
    """The box as Slicer shows it: an ROI lies where its control point is, `center` is only a copy."""
    kind = markup.get("roiType", "Box")
    if kind not in ("Box", "BoundingBox"):
        raise InputError(
            f"It is an ROI of the type {_short(kind)}, which is not known; draw it as Box or Bounding Box."
        )
    placed = [point.position for point in points if point.position is not None]
    if points and not placed:
        raise InputError("The ROI has not been placed yet; draw it around the object.")
    size = _numbers(markup.get("size"), 3, "its size")
    centre = to_ras * _numbers(markup["center"], 3, "its center") if "center" in markup else None
    axes = to_ras[:, None] * _numbers(markup.get("orientation"), 9, "its orientation").reshape(3, 3)
    if kind == "BoundingBox" and placed:
        along = np.array(placed) @ axes
        low, high = along.min(axis=0), along.max(axis=0)
        centre, size = axes @ ((low + high) / 2), high - low
    elif placed:
        centre = placed[0]
    if centre is None:
        raise ValueError("it has neither a center nor a control point")
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, centre
    return Box.from_matrix(matrix, size)


def _plane(markup: dict[str, Any], points: tuple[ControlPoint, ...], to_ras: np.ndarray) -> Plane:
    """The plane as Slicer shows it; one without a size has no end."""
    if points and all(point.position is None for point in points):
        raise InputError("The plane has not been placed yet; place it, or leave it out.")
    center = to_ras * _numbers(markup.get("center"), 3, "its center")
    if "orientation" in markup:
        axes = to_ras[:, None] * _numbers(markup["orientation"], 9, "its orientation").reshape(3, 3)
        plane = Plane(center, axes)
    else:
        plane = Plane.across(to_ras * _numbers(markup.get("normal"), 3, "its normal"), center)
    bounds = markup.get("planeBounds")
    if bounds is None and "size" in markup:
        width, height = _numbers(markup["size"][:2] if isinstance(markup["size"], list) else None, 2, "its size") / 2
        bounds = [-width, width, -height, height]
    if bounds is None or not any(_numbers(bounds, 4, "its bounds")):
        return plane
    return Plane(center, plane.axes, np.array(bounds))


def _from_fcsv(path: Path, text: str, kind: str) -> Markup:
    lines = list(enumerate(text.splitlines(), start=1))
    comments = dict(found.groups() for _, line in lines if (found := _COMMENT.match(line)))
    versioned = "Markups fiducial file version" in comments
    try:
        # Slicer writes LPS today, and wrote RAS when files did not say their version.
        to_ras = _direction(comments.get("CoordinateSystem", "LPS" if versioned else "RAS"), _NUMBERED)
    except ValueError as error:
        raise InputError(f"{path} could not be read as a markup ({error}); save the {kind} again.") from error
    points = []
    for number, line in lines:
        if not line.strip(" \t,") or line.startswith(("#", '"#')):
            continue
        try:
            cells = next(csv.reader([line]))
            position = np.array([float(cell) for cell in cells[1:4]])
            if len(position) != 3:
                raise ValueError("three coordinates")
        except (ValueError, csv.Error) as error:
            raise InputError(
                f"{path} has no coordinates x,y,z in line {number} ({line[:40]!r}); save the {kind} again."
            ) from error
        cells += [""] * (_STATUS + 1 - len(cells))
        placed = not versioned or cells[_STATUS].strip() in ("", _PLACED)
        label, description = (cells[_LABEL], cells[_DESCRIPTION]) if versioned else (cells[0], "")
        points.append(ControlPoint(_text(label), to_ras * position if placed else None, _text(description)))
    return Markup("Fiducial", tuple(points))


def _short(value: object) -> str:
    """A value as it stands in a sentence, on one line and not endless."""
    text = " ".join(json.dumps(value, ensure_ascii=False).split())
    return text if len(text) <= 40 else f"{text[:40]}…"
