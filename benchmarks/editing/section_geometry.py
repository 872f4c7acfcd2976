"""The same anatomy stored in other ways must give the same answer."""

from __future__ import annotations

import itertools

import numpy as np

from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.editing.edit import edit
from SparseToPreciseLib.editing.editors import Editor

from ..tables import number, table
from . import scores
from .answers import changed_outside, zone_of
from .cases import Case, on_fine, simulated_real_cases
from .context import Context
from .phantom_cases import held_out_cases

TITLE = "Geometry"
STORAGES = ("as it is", "oblique", "flipped (LAS)", "anisotropic 1 : 1 : 5", "cropped", "parent transform")
ROWS = ("signed-distance-warp", "image-aware-warp", "residual", "default")
GOAL = 0.98
_ANGLES = (25.0, -15.0, 10.0)
_OBLIQUE_SPACING, _THICK_SPACING = (0.5, 0.5, 0.5), (0.3, 0.3, 1.5)
"""Of the case's fine grid: fine enough that resampling the mask costs little of it."""

_DECIDED_MM = 1e-3
"""A point of the fine grid exactly half-way between two voxels must not fall to a side by rounding."""


def run(context: Context) -> dict:
    families = itertools.islice(itertools.cycle(("bean", "vertebra", "tree")), context.size.geometry_phantoms)
    jobs = [("phantom", family) for family in families]
    jobs += [("real", structure) for structure in context.size.geometry_structures]
    records = context.map(_job, jobs)
    groups = scores.by(records, "row", "storage")
    summary = [
        {
            "row": row.key,
            "label": row.label,
            "storage": storage,
            "cases": len(groups[row.key, storage]),
            **{
                f"{name}_{which}": float(function(scores.column(groups[row.key, storage], name)))
                for name in ("dice", "dice_unedited", "zone", "zone_unedited")
                for which, function in (("mean", np.mean), ("worst", np.min))
            },
        }
        for row in context.tools.rows(*ROWS)
        for storage in STORAGES[1:]
    ]
    return {"default": context.tools.default, "summary": summary, "records": records}


def _job(context: Context, source: str, what: str | int) -> list[scores.Record]:
    if source == "phantom":
        case = next(held_out_cases(what, "geometric", 1, context.seed + 3))
    else:
        case = next(simulated_real_cases(1, context.seed + 3, "geometric", (what,)), None)
    drawn = case and case.stroke(np.random.default_rng([context.seed, 6]))
    if drawn is None:
        return []
    records = []
    for row in context.tools.rows(*ROWS):
        editor = context.tools.editors[row.editor]
        wanted = _answer(case.image, case.current, drawn, editor, case)
        for storage in STORAGES[1:]:
            image, mask, stroke = _stored(case, drawn[0], storage)
            found = _answer(image, mask, (stroke, drawn[1]), editor, case)
            record = {"case": f"{source} {what}", "name": case.name, "row": row.key, "storage": storage}
            zone = zone_of(case.fine, *drawn)
            for part, where in (("dice", slice(None)), ("zone", zone)):
                record[part] = dice(wanted["after"][where], found["after"][where])
                record[f"{part}_unedited"] = dice(wanted["before"][where], found["before"][where])
            records.append(record | {"outside": found["outside"]})
    return records


def _answer(
    image: Volume, mask: Volume, drawn: tuple[np.ndarray, float], editor: Editor, case: Case
) -> dict[str, np.ndarray | int]:
    """Masks before and after on the case's fine grid, and the voxels changed outside the zone."""
    result = edit(image, mask, *drawn, editor=editor).segmentation
    return {
        "before": on_fine(mask, case.fine) > _DECIDED_MM,
        "after": on_fine(result, case.fine) > _DECIDED_MM,
        "outside": changed_outside(mask.grid, mask.array, result.array, *drawn),
    }


def _stored(case: Case, stroke: np.ndarray, storage: str) -> tuple[Volume, Volume, np.ndarray]:
    """Image, segmentation and stroke (RAS as they come back out of the storage)."""
    image, mask = case.image, case.current
    if storage == "flipped (LAS)":
        return _flipped(image), _flipped(mask), stroke
    if storage == "cropped":
        ends = case.fine.to_ras([[0, 0, 0], np.array(case.fine.shape[::-1]) - 1])
        part = mask.grid.slices_around(np.concatenate([ends, stroke]), 0.0)
        return image.cropped(part), mask.cropped(part), stroke
    if storage == "parent transform":
        return _under_transform(image, mask, stroke)
    oblique = storage == "oblique"
    spacing = float(case.fine.spacing[0]) * np.array(_OBLIQUE_SPACING if oblique else _THICK_SPACING)
    grid = _lattice(case.fine, spacing, _rotation() if oblique else np.eye(3))
    distance = Volume(on_fine(mask, case.fine), case.fine.ijk_to_ras).resampled_to(grid).array
    return image.resampled_to(grid), Volume(distance > 0, grid.ijk_to_ras, mask.name), stroke


def _flipped(volume: Volume) -> Volume:
    """The same voxels with the first axis running the other way."""
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] = volume.grid.to_ras([volume.shape[2] - 1, 0, 0])
    matrix[:3, 0] *= -1
    return Volume(np.ascontiguousarray(volume.array[:, :, ::-1]), matrix, volume.name)


def _rotation() -> np.ndarray:
    rotation = np.eye(3)
    for axis, degrees in enumerate(_ANGLES):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        others = [other for other in range(3) if other != axis]
        turn = np.eye(3)
        turn[np.ix_(others, others)] = [[cosine, -sine], [sine, cosine]]
        rotation = turn @ rotation
    return rotation


def _lattice(box: Grid, spacing: np.ndarray, axes: np.ndarray) -> Grid:
    """A grid with given axes (columns) that covers a box and shares its centre."""
    ends = box.to_ras([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)] * (np.array(box.shape[::-1]) - 1))
    reach = np.abs((ends - ends.mean(axis=0)) @ axes).max(axis=0)
    count = 2 * np.ceil(reach / spacing).astype(int) + 1
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing
    matrix[:3, 3] = ends.mean(axis=0) - matrix[:3, :3] @ ((count - 1) / 2)
    return Grid(tuple(int(size) for size in count[::-1]), matrix)


def _under_transform(image: Volume, mask: Volume, stroke: np.ndarray) -> tuple[Volume, Volume, np.ndarray]:
    """Through nodes that lie elsewhere and are brought to their place by a parent transform."""
    import slicer

    from SparseToPreciseLib.mrml.headless import scene
    from SparseToPreciseLib.mrml.markups import stroke_from_node, stroke_to_node
    from SparseToPreciseLib.mrml.segmentations import new_segment, segment_to_volume, volume_to_segment
    from SparseToPreciseLib.mrml.volumes import array_to_matrix, volume_from_node, volume_to_node

    scene().Clear(False)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = _rotation(), (31.0, -17.0, 8.0)
    transform = scene().AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(array_to_matrix(matrix))
    volume = volume_to_node(image, parent_transform=transform)
    segmentation = scene().AddNewNodeByClass(slicer.vtkMRMLSegmentationNode().GetClassName(), "segmentation")
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    segment = new_segment(segmentation, "segment")
    volume_to_segment(mask, segmentation, segment)
    drawn = stroke_to_node(stroke, parent_transform=transform)
    return volume_from_node(volume), segment_to_volume(segmentation, segment), stroke_from_node(drawn)


def render(found: dict) -> str:
    entries = [entry for entry in found["summary"] if entry["row"] == found["default"]] or found["summary"]
    lines = []
    for storage, mine in scores.by(entries, "storage").items():
        entry = mine[0]
        if entry["dice_worst"] >= GOAL:
            lines.append(f"{storage}: kept (worst {number(entry['dice_worst'], 4)})")
        else:
            limit = " (the unedited mask itself: " + number(entry["dice_unedited_worst"], 4) + ")"
            lines.append(f"{storage}: **not** kept, worst {number(entry['dice_worst'], 4)}{limit}")
    head = ["", "storage", "cases", "Dice of the answers, mean", "worst", "unedited masks, worst"]
    head += ["inside the zone: answers, worst", "unedited, worst"]
    rows = [
        [
            entry["label"],
            entry["storage"],
            str(entry["cases"]),
            number(entry["dice_mean"], 4),
            number(entry["dice_worst"], 4),
            number(entry["dice_unedited_worst"], 4),
            number(entry["zone_worst"], 4),
            number(entry["zone_unedited_worst"], 4),
        ]
        for entry in found["summary"]
    ]
    return (
        "Each case is stored again, edited there with the same stroke, and its answer is compared with that of the "
        "case as it was, on one grid. Oblique and anisotropic storage resample the image and the old mask: what that "
        "alone costs is the Dice of the masks before the edit (voxels of "
        f"{_OBLIQUE_SPACING[0]:g} and {' × '.join(f'{size:g}' for size in _THICK_SPACING)} of the spacing of the grid "
        "on which they are compared).\n\n"
        f"The default against the bar of {GOAL}: " + "; ".join(lines) + ".\n\n" + table(head, rows)
    )
