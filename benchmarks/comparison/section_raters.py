"""Two raters of real heads and necks: what agreement is among people."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from SparseToPreciseLib.comparison.compare import compare
from SparseToPreciseLib.core.images import read_labelmap

from ..harness import DATA
from ..tables import number, percent, table
from .context import Context

TITLE = "Two raters of real organs"
FOLDER = DATA / "real" / "labels_only"
ORGANS = {
    1: "brain", 2: "brainstem", 3: "cochlea, left", 4: "cochlea, right", 7: "lacrimal gland, left",
    8: "lacrimal gland, right", 15: "lung, left", 16: "lung, right", 19: "mandible", 20: "optic nerve, left",
    21: "optic nerve, right", 24: "orbit, left", 25: "orbit, right", 28: "parotid, left", 29: "parotid, right",
    32: "spinal canal", 33: "spinal cord", 36: "submandibular gland, left", 37: "submandibular gland, right",
}  # fmt: skip
"""By label value; the files have no names, these follow from the order of the source's list and from where they lie."""
KEYS = ("dice", "mean_mm", "hd95_mm", "slices_excluded", "dice_common", "hd95_common_mm")


def run(context: Context) -> dict:
    found: dict[str, list[dict]] = {}
    patients: list[Path] = sorted(FOLDER.glob("dmhn_*_oncologist_seg.nii.gz"))[: context.raters]
    for path in patients:
        a, b = read_labelmap(path), read_labelmap(path.with_name(path.name.replace("oncologist", "radiographer")))
        for value, name in ORGANS.items():
            masks = [one.with_array(one.array == value) for one in (a, b)]
            if any(mask.array.any() for mask in masks):
                row = compare(*masks, name=name).row()
                # No common slice: no number.
                found.setdefault(name, []).append({key: np.nan if row[key] is None else row[key] for key in KEYS})
    rows = {
        name: {"cases": len(cases), **{key: float(np.nanmedian([one[key] for one in cases])) for key in KEYS},
               "most_excluded": max(one["slices_excluded"] for one in cases)}
        for name, cases in found.items()
    }  # fmt: skip
    return {"patients": len(patients), "rows": rows}


def render(found: dict) -> str:
    if not found["rows"]:
        return "The real label maps are not on this machine, so nothing was measured on them."
    lines = [
        [name, str(one["cases"]), number(one["dice"], 3), number(one["mean_mm"]), number(one["hd95_mm"], 1),
         f"{percent(one['slices_excluded'])} ({percent(one['most_excluded'])})", number(one["dice_common"], 3),
         number(one["hd95_common_mm"], 1)]
        for name, one in found["rows"].items()
    ]  # fmt: skip
    head = ["organ", "heads", "Dice", "mean (mm)", "HD95 (mm)", "slices out (most)", "Dice, common", "HD95, common"]
    return (
        f"An oncologist (A) and a radiographer (B) on {found['patients']} heads and necks of the TCIA CT scan dataset "
        "(google-deepmind/tcia-ct-scan-dataset, CC BY 4.0; in-plane halved, overlaps flattened; label names are "
        "inferred from values). Medians. *Slices out*: share of the slices across K with either that only one rater "
        "labelled. The common columns are on the others.\n\n" + table(head, lines)
    )
