"""What happened to a box, as JSON and CSV for programs and as tables for people."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..boxes.corrector.slice_boxes import slice_columns, slice_rows
from ..boxes.slices import AXES
from ..core.box import Box
from ..core.software import software

if TYPE_CHECKING:
    from rich.table import Table

    from ..boxes.corrector.tighten import TightenResult
    from .box_segment import SegmentOutcome
    from .box_tighten import BoxRequest, SegmentRequest, TightenOutcome, TightenRequest

_SIDES = ("I low", "I high", "J low", "J high", "K low", "K high")


def tighten_report(request: TightenRequest, outcome: TightenOutcome) -> dict[str, Any]:
    """The content of --report of `box tighten`: lengths in mm, volumes in mm^3, times in seconds."""
    return {
        **_common(request, outcome.given),
        "model": _model(outcome.corrector),
        "device": {"requested": request.device, "used": outcome.result.device},
        "tightened": _tightened(outcome.result),
        "timings": _rounded(outcome.timings),
        "warnings": outcome.warnings,
    }


def segment_report(request: SegmentRequest, outcome: SegmentOutcome) -> dict[str, Any]:
    """The content of --report of `box segment`: lengths in mm, volumes in mm^3, times in seconds."""
    return {
        **_common(request, outcome.given),
        "model": _model(outcome.segmenter),
        "device": {"requested": request.device, "used": outcome.result.device},
        "tightened": None if outcome.tightened is None else _tightened(outcome.tightened),
        "segmented": {
            "volume_mm3": outcome.result.volume_mm3,
            "timings": _rounded(outcome.result.timings),
            "notes": list(outcome.result.notes),
        },
        "timings": _rounded(outcome.timings),
        "warnings": outcome.warnings,
    }


def slices_csv(given: Box, result: TightenResult) -> str:
    """The rows of `boxes.corrector.slice_boxes`, a line each, after a line of names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(slice_columns(result.axis))
    for row in slice_rows(result.slices, given, result.axis):
        writer.writerow(["" if cell is None else f"{cell:.3f}" if isinstance(cell, float) else cell for cell in row])
    return text.getvalue()


def tighten_table(outcome: TightenOutcome) -> Table:
    """The box before and after."""
    from rich.table import Table

    result = outcome.result
    state = "tightened" if result.safe else "kept"
    found = sum(one.bounds_mm is not None for one in result.slices)
    table = Table(
        title=f"{outcome.name}: {state} by {outcome.corrector.name}",
        caption=f"object on {found} of {len(result.slices)} slices along {AXES[result.axis]}; "
        f"calibrated for coverage {result.coverage:g}",
    )
    table.add_column("")
    for title in ("size I x J x K (mm)", "centre R, A, S (mm)", "volume (mm³)"):
        table.add_column(title, justify="right")
    for name, box in (("before", outcome.given), ("after", result.box)):
        table.add_row(name, _listed(box.size, " x "), _listed(box.center, ", "), f"{box.volume_mm3:.0f}")
    return table


def segment_table(outcome: SegmentOutcome) -> Table:
    """Volumes of the boxes and of what was found in them."""
    from rich.table import Table

    table = Table(title=f"{outcome.name}: segmented by {outcome.segmenter.name}")
    table.add_column("")
    table.add_column("volume (mm³)", justify="right")
    table.add_row("given box", f"{outcome.given.volume_mm3:.0f}")
    if outcome.tightened is not None:
        table.add_row("tightened box", f"{outcome.tightened.box.volume_mm3:.0f}")
    table.add_row("segment", f"{outcome.result.volume_mm3:.0f}")
    return table


def advice(result: TightenResult | None) -> list[str]:
    """What to do where the box was kept."""
    if result is None or result.safe:
        return []
    return [
        "Check that it holds the whole object and no second one, or train a model on a few masks of your own: "
        "sparse-to-precise train boxes-corrector --dataset CASES --output MODEL."
    ]


def comparison_table(found: dict[str, Any], predicted: Path, reference: Path) -> Table:
    """The numbers of `box evaluate`."""
    from rich.table import Table

    table = Table(title=f"{predicted.name} against {reference.name}")
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in _flat(found).items():
        table.add_row(name, f"{value:.4g}" if value < 1 else f"{value:.1f}")
    return table


def comparison_csv(found: dict[str, Any]) -> str:
    """The numbers of `box evaluate`: a line of names and a line of values."""
    flat = _flat(found)
    return ",".join(flat) + "\n" + ",".join(f"{value:.6g}" for value in flat.values())


def _flat(found: dict[str, Any]) -> dict[str, float]:
    flat = {name: value for name, value in found.items() if name != "side_errors_mm"}
    for side, error in zip(_SIDES, found.get("side_errors_mm", ()), strict=False):
        flat[f"error_{side.replace(' ', '_')}_mm"] = error
    return flat


def _common(request: BoxRequest, given: Box) -> dict[str, Any]:
    roi = list(request.bounds_ras) if request.roi is None else str(request.roi)
    return {
        "versions": software(),
        "inputs": {"image": str(request.image), "roi": roi},
        "output": str(request.output),
        "margin_mm": request.margin_mm,
        "given": _described(given),
    }


def _tightened(result: TightenResult) -> dict[str, Any]:
    return {
        **_described(result.box),
        "safe": result.safe,
        "reason": result.reason,
        "coverage": result.coverage,
        "axis": AXES[result.axis],
        "volume_before_mm3": result.volume_before_mm3,
        "volume_after_mm3": result.volume_after_mm3,
        "slices": len(result.slices),
        "slices_with_object": sum(one.bounds_mm is not None for one in result.slices),
        "timings": _rounded(result.timings),
        "notes": list(result.notes),
    }


def _described(box: Box) -> dict[str, Any]:
    """In RAS; axes are the unit directions of I, J, K, one after another."""
    return {"center": box.center.tolist(), "axes": box.axes.T.tolist(), "size_mm": box.size.tolist()}


def _model(model: Any) -> dict[str, Any]:
    return {"name": model.name, "weights_sha256": model.sha256}


def _rounded(timings: dict[str, float]) -> dict[str, float]:
    return {stage: round(seconds, 4) for stage, seconds in timings.items()}


def _listed(numbers: np.ndarray, between: str) -> str:
    return between.join(f"{number:.1f}" for number in numbers)
