"""The same held-out inner ears: each of the tool's stages off in turn, and other ways to the landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from SparseToPreciseLib.landmarks.detect import detect

from ..tables import number, percent, table
from . import from_pose
from . import section_phantoms as section_landmark_phantoms
from .context import Context, errors, joined, summary, template_at
from .section_phantoms import case_of, stages_of

TITLE = "Inner ears: every stage, and other ways"
TEMPLATE = "cochlea"
ROWS = {
    "naive": "naive: rigid + demons from the reference's position (the paper's baseline)",
    "centre": "centre of mass only: no pose, no registration",
    "moments_rigid": "rigid from the moments",
    "moments": "rigid + demons from the moments (search over rotations off)",
    "elastix": "elastix, rigid + B-splines, from the moments",
    "no_signs": "rigid + demons from the moments, signs as they come (sign enumeration off)",
    "no_localize": "localize off: looked for where the reference has it",
    "no_pose": "pose off: not turned",
    "no_rigid": "rigid off: pose, then demons",
    "rigid": "deformable off: pose, then rigid",
    "pose": "rigid and deformable off: pose only",
    "full": "**all stages (the tool)**",
}


def measure(folder: Path, given: tuple[int, list[float] | None]) -> dict:
    """Errors in mm of the other rows, by landmark; given a phantom's number and where the tool saw the structure."""
    number_, place = given
    template = template_at(folder)
    case = case_of(number_)
    # The rows that differ after the search for the place all begin where the tool itself ended it.
    there = {"seed_point": None if place is None else np.array(place)}
    options: dict[str, dict[str, Any]] = {
        "moments": {**there, "search": False},
        "no_signs": {**there, "signs": False, "search": False},
        "no_pose": {**there, "stages": ("localize", "rigid", "deformable")},
        "no_rigid": {**there, "stages": ("localize", "pose", "deformable")},
    }
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in (*options, "moments_rigid", "elastix")}
    for name, chosen in options.items():
        if place is None:
            continue
        answer = detect(template, case.image, threshold=0.0, **chosen)
        found[name] = answer.placed
        if name == "moments" and answer.registered:
            found["moments_rigid"] = stages_of(template, answer)["rigid"]
            pose = np.array(answer.registered[0].report["pose"]["matrix"])
            if from_pose.elastix_available():
                patches = from_pose.Patches.of(template.references[0], case.image, pose)
                found["elastix"] = from_pose.elastix(patches)
    own = template.places[0].centre
    stages = ("pose", "rigid", "deformable")
    found["no_localize"] = detect(template, case.image, threshold=0.0, stages=stages, seed_point=own).placed
    if not from_pose.elastix_available():
        del found["elastix"]
    return {"errors": {name: errors(case.landmarks, points) for name, points in found.items()}}


def run(context: Context) -> dict:
    tool = section_landmark_phantoms.measured(context)[: context.counts.rows]
    others = context.each("rows", measure, TEMPLATE, [(one["number"], one["place"]) for one in tool])
    cases = joined(tool, others)
    records = [{"number": one["number"], "errors": more["errors"]} for one, more in zip(tool, others, strict=True)]
    near = template_at(context.template_folder(TEMPLATE)).scale.diameter_mm / 6
    return {
        "rows": {name: summary(cases, name, near) for name in ROWS if name in cases[0]["errors"]},
        "cases": len(cases),
        "records": records,
    }


def render(found: dict) -> str:
    rows = [
        [
            ROWS[name],
            f"{row['given']} of {row['wanted']}",
            *(number(row[key]) for key in ("mean", "median", "largest")),
            percent(row["within_1"]),
            percent(row["within_2"]),
        ]
        for name, row in found["rows"].items()
    ]
    return (
        f"The first {found['cases']} of the same phantoms. Radial errors in mm over all landmarks that a row gives, "
        "whatever their confidence; shares are of all wanted. "
        "The moments are those of the structure as the network sees it, their ends told apart by the likeness of the "
        "images unless a row says otherwise. Rows that begin after the search for the place begin where the tool ended "
        f"it. elastix runs with {from_pose.ELASTIX}.\n\n"
        + table(["", "given", "mean", "median", "largest", "within 1 mm", "within 2 mm"], rows)
    )
