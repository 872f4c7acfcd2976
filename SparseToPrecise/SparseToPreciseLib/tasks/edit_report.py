"""What happened in an edit, as JSON for programs and as a table for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.software import software
from ..editing.guidance import densify, nearest_on_stroke

if TYPE_CHECKING:
    from rich.table import Table

    from ..editing.edit_series import AppliedStroke
    from .edit import EditOutcome, EditRequest


def edit_report(request: EditRequest, outcome: EditOutcome) -> dict[str, Any]:
    """The content of --report: lengths in mm, volumes in mm^3, times in seconds, changes in voxels."""
    inside, outside = changed_voxels(outcome)
    return {
        "versions": software(),
        "inputs": {
            "image": str(request.image),
            "segmentation": str(request.segmentation),
            "strokes": [str(path) for path in request.strokes],
        },
        "output": str(request.output),
        "segment": {"id": outcome.segment_id, "name": outcome.before.name},
        # The warps have no weights and so no hash.
        "editor": {"name": outcome.editor.name, "weights_sha256": getattr(outcome.editor, "sha256", None)},
        "device": {"requested": request.device, "used": outcome.strokes[-1].result.device},
        "keep_earlier_edits": request.keep_earlier_edits,
        "protect": list(request.protect),
        "strokes": [_stroke(stroke) for stroke in outcome.strokes],
        "total": {
            "changed_inside": inside,
            "changed_outside": outside,
            "volume_before_mm3": outcome.strokes[0].result.volume_before_mm3,
            "volume_after_mm3": outcome.strokes[-1].result.volume_after_mm3,
        },
        "other_segments": [
            {
                "id": one.segment_id,
                "name": one.name,
                "voxels_before": one.before,
                "changed": one.changed,
                "overlapped": one.overlapped,
            }
            for one in outcome.others
        ],
        "timings": {stage: round(seconds, 4) for stage, seconds in outcome.timings.items()},
        "warnings": outcome.warnings,
    }


def changed_voxels(outcome: EditOutcome) -> tuple[int, int]:
    """Voxels that differ after all strokes, within an influence radius of any stroke and beyond all of them."""
    changed = np.argwhere(outcome.before.array != outcome.after.array)[:, ::-1]
    points = outcome.after.grid.to_ras(changed)
    near = np.zeros(len(points), dtype=bool)
    for stroke in outcome.strokes:
        # Counted anew, from the files' points and far finer than the editor samples them.
        dense = densify(stroke.points, stroke.influence_radius_mm / 50)
        near |= nearest_on_stroke(points, dense)[0] <= stroke.influence_radius_mm
    return int(np.count_nonzero(near)), int(np.count_nonzero(~near))


def edit_table(outcome: EditOutcome) -> Table:
    """One row per stroke."""
    from rich.table import Table

    table = Table(
        title=f"{outcome.before.name}, corrected by {outcome.editor.name}",
        caption="near, far: voxels changed within and beyond the influence radius",
    )
    table.add_column("stroke", overflow="fold")
    for title in ("radius\n(mm)", "changed\nnear", "changed\nfar", "before\n(mm³)", "after\n(mm³)", "seconds"):
        table.add_column(title, justify="right", no_wrap=True)
    for stroke in outcome.strokes:
        result = stroke.result
        table.add_row(
            Path(stroke.name).name,
            f"{stroke.influence_radius_mm:.1f}",
            f"{result.changed_inside}",
            f"{result.changed_outside}",
            f"{result.volume_before_mm3:.0f}",
            f"{result.volume_after_mm3:.0f}",
            f"{stroke.seconds:.2f}",
        )
    return table


def others_table(outcome: EditOutcome) -> Table | None:
    """One row for each of the other segments that the output has otherwise, or that now overlaps; None without any."""
    from rich.table import Table

    if not outcome.others:
        return None
    table = Table(title="Other segments", caption="changed: voxels that the edited segment took")
    table.add_column("segment", overflow="fold")
    for title in ("voxels\nbefore", "changed", "newly\noverlapped"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in outcome.others:
        table.add_row(one.name, f"{one.before}", f"{one.changed}", f"{one.overlapped}")
    return table


def _stroke(stroke: AppliedStroke) -> dict[str, Any]:
    result = stroke.result
    return {
        "file": stroke.name,
        "points": len(stroke.points),
        "influence_radius_mm": stroke.influence_radius_mm,
        "changed_inside": result.changed_inside,
        "changed_outside": result.changed_outside,
        "changed_mm3": result.changed_mm3,
        "volume_before_mm3": result.volume_before_mm3,
        "volume_after_mm3": result.volume_after_mm3,
        "seconds": round(stroke.seconds, 4),
        "timings": {stage: round(seconds, 4) for stage, seconds in result.timings.items()},
        "notes": result.notes,
    }
