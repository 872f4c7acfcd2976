"""What `synthesize` and `synthesize-evaluate` did, as JSON for programs and as tables for people."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.software import software
from ..core.volume import Volume

if TYPE_CHECKING:
    from rich.table import Table

    from ..synthesis.evaluate import Evaluation
    from ..synthesis.synthesize import SynthesisResult
    from .synthesize import SynthesizeOutcome, SynthesizeRequest
    from .synthesize_names import CaseFiles


def case_report(files: CaseFiles, mr: Volume, result: SynthesisResult, timings: dict[str, float]) -> dict[str, Any]:
    """One MR: lengths in mm, volumes in ml, times in seconds."""
    body = result.body.array > 0
    found: dict[str, Any] = {
        "mr": str(files.mr),
        "ct": str(files.ct),
        "voxels": list(mr.shape[::-1]),
        "spacing_mm": [round(float(size), 4) for size in mr.spacing],
        "body_ml": round(float(np.count_nonzero(body)) * mr.grid.voxel_volume_mm3 / 1000, 1),
        "tile": result.tile,
        "network_runs": result.answers,
        "device": result.device,
        "timings": {stage: round(seconds, 4) for stage, seconds in {**timings, **result.timings}.items()},
        "warnings": list(result.warnings),
    }
    if result.uncertainty is not None:
        found["mean_uncertainty_hu"] = round(float(result.uncertainty.array[body].mean(dtype=np.float64)), 2)
    return found


def synthesis_report(request: SynthesizeRequest, outcome: SynthesizeOutcome) -> dict[str, Any]:
    """The content of --report of `synthesize`."""
    return {
        "versions": software(),
        "models": [
            {
                "name": model.name,
                "weights_sha256": model.sha256,
                "spacing_mm": model.spacing_mm,
                "hu_window": [model.window.minimum, model.window.maximum],
            }
            for model in outcome.models
        ],
        "device": {"requested": request.device, "used": outcome.models[-1].device},
        "body_mask": None if request.body_mask is None else str(request.body_mask),
        "cases": [case.report for case in outcome.cases],
        "timings": {stage: round(seconds, 4) for stage, seconds in outcome.timings.items()},
        "warnings": outcome.warnings,
    }


def synthesis_table(outcome: SynthesizeOutcome) -> Table:
    """A row for each MR."""
    from rich.table import Table

    table = Table(title=f"CT by {', '.join(model.name for model in outcome.models)}")
    table.add_column("MR", overflow="fold")
    for title in ("voxels", "body (ml)", "seconds"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("remark")
    for case in outcome.cases:
        if case.error:
            table.add_row(case.files.name, "–", "–", "–", case.error)
            continue
        found = case.report
        remarks = [f"{len(case.warnings)} warning(s)"] if case.warnings else []
        if "mean_uncertainty_hu" in found:
            remarks.append(f"uncertainty {found['mean_uncertainty_hu']:.0f} HU")
        table.add_row(
            case.files.name,
            " x ".join(str(size) for size in found["voxels"]),
            f"{found['body_ml']:.0f}",
            f"{sum(found['timings'].values()):.1f}",
            "; ".join(remarks),
        )
    return table


def evaluation_table(found: Evaluation, ct: Path, reference: Path) -> Table:
    """The numbers of `synthesize-evaluate`."""
    from rich.table import Table

    table = Table(title=f"{ct.name} against {reference.name}")
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("")
    for name, value, unit in found.rows:
        text = "none" if math.isnan(value) else "equal" if math.isinf(value) else f"{value:.4g}"
        table.add_row(name, text, unit)
    return table
