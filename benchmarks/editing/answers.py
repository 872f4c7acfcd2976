"""The rows of the tables: who answers a stroke, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from SparseToPreciseLib.core.bundles import find_bundles
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.editing.edit import edit
from SparseToPreciseLib.editing.editors import IMAGE_AWARE_WARP, WARPS, Editor
from SparseToPreciseLib.editing.guidance import RADIUS_PER_SIGMA, densify, nearest_on_stroke
from SparseToPreciseLib.editing.model import FAMILY, load_editor
from SparseToPreciseLib.editing.working_grid import (
    SIGMA_VOXELS,
    WorkingCase,
    signed_distance,
    working_case,
    working_grid,
)

from .cases import Case
from .rivals import grow_from_seeds, sphere_brush

NETWORKS = {
    "cross-entropy": "CE network",
    "dice": "Dice network",
    "intercnn": "InterCNN (10 steps)",
    "editing": "editing loss (paper form)",
    "residual-equal": "residual network, equal time",
}
"""Keys of what train_rivals.py trains, at equal computing time."""

BUNDLES = {"phantoms": "editing-phantoms", "residual": "editing"}
"""The bundles in Resources/Models: the residual network trained on phantoms, and on real anatomy, too."""

TOLERANCE_MM = 1e-3
"""Rounding of the distances when voxels outside the zone are counted."""


@dataclass(frozen=True)
class Row:
    """One row of the tables.

    Attributes
    ----------
    key, label
        Its name in the JSON and in the tables.
    editor
        Key of `Tools.editors`; None for those that need none.
    composed
        False: a network's answer is taken everywhere in its working cube.
    """

    key: str
    label: str
    editor: str | None = None
    composed: bool = True


NO_EDIT = Row("none", "no edit")
BRUSH = Row("sphere-brush", "sphere brush")
GROW = Row("grow-from-seeds", "grow-from-seeds")


@dataclass
class Tools:
    """The editors of one run.

    Attributes
    ----------
    editors
        By key; networks that are not there are left out.
    default
        Key of what the tool uses where nothing else is asked for.
    hashes
        SHA-256 of the weights, by key.
    names
        What `load_editor` and the command line know them by, by key; None is their default.
    """

    editors: dict[str, Editor] = field(default_factory=dict)
    default: str = "image-aware-warp"
    hashes: dict[str, str] = field(default_factory=dict)
    names: dict[str, str | None] = field(default_factory=dict)

    def rows(self, *keys: str) -> list[Row]:
        """Rows by key, those of absent networks left out; "KEY/uncomposed" asks for a network's own answer."""
        named = {row.key: row for row in (NO_EDIT, BRUSH, GROW)}
        labels = {
            "signed-distance-warp": "signed-distance warp",
            "image-aware-warp": "image-aware warp",
            **NETWORKS,
            "residual": "residual network",
            "phantoms": "residual network, phantoms alone",
        }
        rows = []
        for key in keys:
            editor, _, uncomposed = key.partition("/")
            if key in named:
                rows.append(named[key])
            elif editor in self.editors and key not in [row.key for row in rows]:
                label = labels.get(editor, self.editors[editor].name)
                if editor in (*NETWORKS, *BUNDLES):
                    label += ", not composed" if uncomposed else ", composed"
                label += " **(default)**" if editor == self.default and not uncomposed else ""
                rows.append(Row(key, label, editor, not uncomposed))
        return rows


@lru_cache(maxsize=1)
def load_tools(rivals: Path, device: str) -> Tools:
    """The warps, the rivals that are trained in `rivals`, the bundle, and the default."""
    tools = Tools({name: load_editor(name) for name in WARPS}, names={name: name for name in WARPS})
    places = {key: rivals / key for key in NETWORKS}
    shipped = {bundle.path.name: bundle.path for bundle in find_bundles(FAMILY)}
    places |= {key: shipped[name] for key, name in BUNDLES.items() if name in shipped}
    for key, place in places.items():
        if place.is_dir():
            tools.editors[key] = load_editor(str(place), device)
            tools.names[key] = str(place)
            tools.hashes[key] = tools.editors[key].sha256
    default = load_editor(None, device)
    same = [key for key, editor in tools.editors.items() if identity(editor) == identity(default)]
    tools.default = same[0] if same else "default"
    if not same:
        tools.editors["default"], tools.names["default"] = default, None
        tools.hashes["default"] = getattr(default, "sha256", "")
    return tools


def identity(editor: Editor) -> str:
    """The weights' hash of a model, the name of a warp."""
    return getattr(editor, "sha256", editor.name)


class _Recorder:
    """An editor that remembers its answers, so that both rows of a network cost one forward pass."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor
        self.name, self.multiple = editor.name, editor.multiple
        self.answers: list[tuple[WorkingCase, np.ndarray]] = []

    @property
    def device(self) -> str:
        return self._editor.device

    @property
    def note(self) -> str:
        return self._editor.note

    def __call__(self, case: WorkingCase) -> np.ndarray:
        answer = self._editor(case)
        self.answers.append((case, answer))
        return answer


class Answerer:
    """Answers one stroke on one case by many rows.

    Parameters
    ----------
    tools
        The editors.
    case, stroke, radius
        What is edited, with which stroke (RAS, mm) and influence radius (mm).
    earlier
        Strokes by which the case was edited before.
    """

    def __init__(
        self, tools: Tools, case: Case, stroke: np.ndarray, radius: float, earlier: tuple[np.ndarray, ...] = ()
    ) -> None:
        self.tools, self.case, self.stroke, self.radius, self.earlier = tools, case, stroke, radius, earlier
        self._recorded: dict[str, tuple[np.ndarray | None, _Recorder]] = {}

    def __call__(self, row: Row) -> tuple[np.ndarray, bool]:
        """The mask after the stroke, bool on the truth's grid, and whether the stroke was refused (then unchanged)."""
        before = self.case.current.array
        if row.key == NO_EDIT.key:
            return before, False
        if row.key == BRUSH.key:
            return sphere_brush(self.case.truth, self.case.current, self.stroke, self.radius), False
        if row.key == GROW.key:
            case = self.case
            return grow_from_seeds(case.image, case.truth, case.current, self.stroke, self.radius), False
        after, recorder = self._composed(row.editor)
        if after is None:
            return before, True
        return (after if row.composed else self._uncomposed(recorder)), False

    def _composed(self, key: str) -> tuple[np.ndarray | None, _Recorder]:
        if key not in self._recorded:
            recorder = _Recorder(self.tools.editors[key])
            try:
                result = edit(
                    self.case.image,
                    self.case.current,
                    self.stroke,
                    self.radius,
                    editor=recorder,
                    earlier_strokes=self.earlier,
                )
                after = result.segmentation.array > 0
            except InputError:  # for example: an earlier answer emptied the segment
                after = None
            self._recorded[key] = after, recorder
        return self._recorded[key]

    def _uncomposed(self, recorder: _Recorder) -> np.ndarray:
        """The network's answer in its whole cube, brought back as edit() does it; the old mask beyond the cube."""
        mask, grid = self.case.current, self.case.current.grid
        dense = _dense(self.stroke, self.radius)
        cube = working_grid(dense, self.radius, recorder.multiple)
        old = mask.with_array(signed_distance(mask.array, grid.spacing_kji))
        if len(recorder.answers) == 1:
            case, answer = recorder.answers[0]
        else:  # a long stroke, which edit() works on in pieces
            case = working_case(self.case.image, old, dense, cube)
            answer = recorder(case)
        change = Volume((answer - case.signed_distance) * np.float32(cube.spacing[0]), cube.ijk_to_ras)
        region = cube_slices(grid, self.stroke, self.radius, recorder.multiple)
        part = grid.cropped(region)
        there = old.array[region] + change.resampled_to(part).array
        covered = cube.contains(part.points_ras())
        after = mask.array.copy()
        after[region] = np.where(covered, there > 0, after[region])
        return after


def zone_of(grid: Grid, stroke: np.ndarray, radius: float) -> np.ndarray:
    """Voxels within the influence radius of a stroke, (K, J, I) bool."""
    region = grid.slices_around(stroke, radius)
    zone = np.zeros(grid.shape, bool)
    part = grid.cropped(region)
    distance = nearest_on_stroke(part.points_ras().reshape(-1, 3), _dense(stroke, radius))[0]
    zone[region] = (distance < radius).reshape(part.shape)
    return zone


def cube_slices(
    grid: Grid, stroke: np.ndarray, radius: float, multiple: int = IMAGE_AWARE_WARP.multiple
) -> tuple[slice, slice, slice]:
    """K,J,I slices of the part of a grid that the working cube around a stroke covers."""
    cube = working_grid(_dense(stroke, radius), radius, multiple)
    return grid.slices_around(cube.to_ras([[0, 0, 0], np.array(cube.shape[::-1]) - 1]), 0.0)


def changed_outside(grid: Grid, before: np.ndarray, after: np.ndarray, stroke: np.ndarray, radius: float) -> int:
    """Voxels that differ and whose centres are farther from the polyline than the influence radius.

    Counted from two masks alone, with distances to the stroke's segments in double precision: nothing that edit()
    computed goes in.
    """
    changed = np.argwhere((before != 0) != (after != 0))[:, ::-1]
    if len(changed) == 0:
        return 0
    points = grid.to_ras(changed)
    nearest = np.full(len(points), np.inf)
    for start, stop in zip(stroke[:-1], stroke[1:], strict=True):
        along = stop - start
        share = np.clip((points - start) @ along / max(float(along @ along), 1e-12), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(points - start - share[:, None] * along, axis=1))
    return int(np.count_nonzero(nearest >= radius + TOLERANCE_MM))


def _dense(stroke: np.ndarray, radius: float) -> np.ndarray:
    return densify(stroke, radius / RADIUS_PER_SIGMA / SIGMA_VOXELS)
