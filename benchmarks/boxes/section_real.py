"""Real CT and MR: the default corrector, never trained on them, around structures of every kind."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import SimpleITK as sitk

from SparseToPreciseLib.boxes.scenes import Scene
from SparseToPreciseLib.boxes.simulation import loose_box
from SparseToPreciseLib.core.volume import Volume

from ..harness import DATA
from ..tables import number, percent, table
from .baselines import shrunk_bounds
from .context import JUDGED, LOWER, Context, Look, kept_when_unsafe, rules, summary
from .section_phantoms import rows_of_margins

TITLE = "Real CT and MR, default corrector"
CT, MR = "abdomen_ct_3mm", "abdomen_mr_slab_3mm"
STRUCTURES = (
    (CT, 2, "CT right kidney"),
    (CT, 28, "CT vertebra"),
    (CT, 4, "CT gallbladder"),
    (CT, 3, "CT left kidney"),
    (CT, 30, "CT vertebra, upper"),
    (CT, 1, "CT spleen, cut"),
    (CT, 5, "CT liver, cut"),
    (MR, 2, "MR right kidney, cut"),
    (MR, 3, "MR left kidney, cut"),
    (MR, 5, "MR liver, cut"),
    (MR, 1, "MR spleen, cut"),
)


@lru_cache(maxsize=4)
def read(name: str) -> Volume:
    image = sitk.ReadImage(str(DATA / f"{name}.nii.gz"))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return Volume(sitk.GetArrayFromImage(image), np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix, name)  # LPS to RAS


def scene_of(number_: int) -> Scene:
    file, label, name = STRUCTURES[number_]
    labels = read(f"{file}_labels")
    return Scene(read(file), labels.with_array((labels.array == label).astype(np.uint8)), name)


def run(context: Context) -> dict:
    counts, corrector = context.counts, context.corrector
    if not DATA.is_dir():
        return {"rows": {}, "structures": {}}
    found: dict[str, dict[str, list]] = {}
    structures: dict[str, dict[str, list]] = {}
    for which in range(counts.structures):
        scene = scene_of(which)
        if not scene.mask.array.any():
            continue
        rng = np.random.default_rng([context.seed, 5, which])
        for margin in counts.real_margins:
            for _ in range(counts.real_repeats):
                look = Look.at(scene, loose_box(scene.mask, margin, rng), 2, corrector)
                bounds, safe = look.corrected(corrector.patch, corrector.calibration)
                tighter = {
                    f"corrector, coverage {share:g}": look.corrected(corrector.patch, corrector.calibration, share)
                    for share in LOWER
                }
                scores = {
                    "loose box": look.score(look.loose),
                    "fixed shrink of 12 %": look.score(shrunk_bounds(look.frame, 0.12)),
                    **{name: look.score(look.masked(rule)) for name, rule in rules().items()},
                    "the network's own mask": look.score(look.network_boxes()),
                    "corrector, never unsure": look.score(bounds),
                    "corrector": kept_when_unsafe(look, bounds, safe),
                    **{name: kept_when_unsafe(look, *one) for name, one in tighter.items()},
                }
                for name, one in scores.items():
                    found.setdefault(name, {}).setdefault(f"{margin:g}", []).append(one)
                own = structures.setdefault(scene.name, {}).setdefault(f"{margin:g}", [])
                own.append([scores["loose box"], scores["corrector, never unsure"], scores["corrector"]])
    rows = {name: {margin: summary(scores) for margin, scores in by.items()} for name, by in found.items()}
    return {
        "rows": rows,
        "structures": {
            name: {
                margin: [summary([entry[column] for entry in entries]) for column in range(3)]
                for margin, entries in by.items()
            }
            for name, by in structures.items()
        },
    }


def render(found: dict) -> str:
    if not found["rows"]:
        return "The real images are not on this machine, so nothing was measured on them."
    margins = list(next(iter(found["structures"].values())))
    lines = []
    for name, by in found["structures"].items():
        cells = []
        for margin in margins:
            loose, free, used = by[margin]
            cells.append(
                f"{number(loose['iou'])} → {number(free['iou'])} (coverage {number(free['coverage'], 3)}), "
                f"safe {percent(used['safe'])}"
            )
        lines.append([name, *cells])
    return (
        "Labels are another model's output. Boxes end with the field of view. Slices along the image's third axis. "
        f"{JUDGED}\n\n"
        + rows_of_margins(found["rows"])
        + "\n\nBy structure: slice IoU of the loose box → of the corrector's boxes whether sure or not, and in how "
        "many of the boxes it is sure (else the loose box is kept):\n\n"
        + table(["structure", *(percent(float(margin)) for margin in margins)], lines)
    )
