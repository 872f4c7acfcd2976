"""What was found on targets, as CSV and JSON for programs and as tables for people."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.software import software

if TYPE_CHECKING:
    from rich.table import Table

    from .landmarks import DetectOutcome, DetectRequest

_COLUMNS = ("target", "landmark", "r", "a", "s", "confidence", "status", "reason")


def landmarks_csv(outcome: DetectOutcome) -> str:
    """A row for each landmark of each target; RAS in mm, empty where it is unplaced."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for target in outcome.targets:
        if target.detection is None:
            for name in outcome.template.landmarks:
                writer.writerow([target.name, name, "", "", "", "", "failed", target.error])
            continue
        for one in target.detection.landmarks:
            where = ("", "", "") if one.position is None else [f"{value:.4f}" for value in one.position]
            status = "unplaced" if one.position is None else "placed"
            writer.writerow([target.name, one.name, *where, f"{one.confidence:.3f}", status, one.reason])
    return text.getvalue()


def detection_report(request: DetectRequest, outcome: DetectOutcome) -> dict[str, Any]:
    """The content of --report of `landmarks detect`: lengths in mm, matrices in RAS, times in seconds."""
    template = outcome.template
    return {
        "versions": software(),
        "template": {"name": template.name, "weights_sha256": template.sha256, "references": len(template.references)},
        "device": {"requested": request.device, "used": template.finder.device},
        "mirror": request.mirror,
        "stages": list(request.stages),
        "seed_point": None if request.seed_point is None else list(request.seed_point),
        "output": str(request.output),
        "targets": [_target(one) for one in outcome.targets],
        "timings": _rounded(outcome.timings),
        "warnings": outcome.warnings,
    }


def detection_table(outcome: DetectOutcome) -> Table:
    """A row for each target."""
    from rich.table import Table

    table = Table(title=f"landmarks by {outcome.template.name}")
    table.add_column("target")
    for title in ("placed", "lowest confidence", "structure (of 1)", "seconds"):
        table.add_column(title, justify="right")
    table.add_column("remark")
    for one in outcome.targets:
        found = one.detection
        if found is None:
            table.add_row(one.name, "–", "–", "–", "–", one.error)
            continue
        placed = [mark for mark in found.landmarks if mark.position is not None]
        lowest = f"{min(mark.confidence for mark in placed):.2f}" if placed else "–"
        reasons = [f"{mark.name}: {mark.reason}" for mark in found.landmarks if mark.position is None]
        if not placed and reasons:
            reasons = [found.landmarks[0].reason]
        remarks = [*(["mirrored"] if found.mirrored else []), *reasons]
        table.add_row(
            one.name,
            f"{len(placed)} of {len(found.landmarks)}",
            lowest,
            f"{found.place.mass:.2f}",
            f"{sum(found.timings.values()):.1f}",
            "; ".join(remarks),
        )
    return table


def errors_table(found: dict[str, Any], predicted: Path, reference: Path) -> Table:
    """The numbers of `landmarks evaluate`."""
    from rich.table import Table

    table = Table(title=f"{predicted.name} against {reference.name}")
    table.add_column("")
    table.add_column("error (mm)", justify="right")
    for name, error in found["errors_mm"].items():
        table.add_row(name, "unplaced" if error is None else f"{error:.3f}")
    for name in ("mean_mm", "median_mm", "max_mm"):
        value = found[name]
        table.add_row(name.removesuffix("_mm"), "–" if value is None else f"{value:.3f}")
    for name, value in found.items():
        if name.startswith("within_"):
            table.add_row(name.replace("_", " "), f"{value:.1%}")
    return table


def errors_csv(found: dict[str, Any]) -> str:
    """Name and error of each landmark; the error is empty where it is unplaced."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("landmark", "error_mm"))
    for name, error in found["errors_mm"].items():
        writer.writerow((name, "" if error is None else f"{error:.4f}"))
    return text.getvalue()


def _target(one: Any) -> dict[str, Any]:
    if one.detection is None:
        return {"name": one.name, "path": str(one.path), "error": one.error}
    found = one.detection
    return {
        "name": one.name,
        "path": str(one.path),
        "mirrored": found.mirrored,
        "landmarks": [
            {
                "name": mark.name,
                "ras": None if mark.position is None else [round(float(value), 4) for value in mark.position],
                "confidence": round(mark.confidence, 4),
                "reason": mark.reason,
            }
            for mark in found.landmarks
        ],
        "stages": _plain(found.report),
        "timings": _rounded(found.timings),
        "notes": list(found.notes),
    }


def _plain(value: Any) -> Any:
    """Numbers, texts and lists that JSON knows."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


def _rounded(timings: dict[str, float]) -> dict[str, float]:
    return {stage: round(seconds, 4) for stage, seconds in timings.items()}
