"""Real structures at margins over 50 %: correctors trained on a few deformed masks of the same structure."""

from __future__ import annotations

import numpy as np

from SparseToPreciseLib.boxes.scenes import case_scenes, deformed
from SparseToPreciseLib.boxes.simulation import loose_box

from ..harness import DATA
from .context import Context, Look, kept_when_unsafe, summary
from .section_masks import PATCHES, trained
from .section_phantoms import rows_of_margins
from .section_real import scene_of

TITLE = "Real structures, correctors trained on deformed masks of the same structure"
MARGINS = (0.6, 1.0)


def run(context: Context) -> dict:
    counts = context.counts
    if not DATA.is_dir():
        return {"rows": {}}
    found: dict[str, dict[str, list]] = {}
    for which in counts.own_structures:
        scene = scene_of(which)
        cropped = case_scenes([(scene.image, scene.mask)])[0]
        for count in counts.own_masks:
            rng = np.random.default_rng([context.seed, 6, which])
            masks = [deformed(cropped, rng, 1.5) for _ in range(count)]
            corrector = trained(context, masks, PATCHES[:1], counts.own_minutes)
            test = np.random.default_rng([context.seed, 7, which])
            for margin in MARGINS:
                for _ in range(counts.own_repeats):
                    look = Look.at(scene, loose_box(scene.mask, margin, test), 2, corrector)
                    bounds, safe = look.corrected(PATCHES[0], corrector.calibrations[PATCHES[0]])
                    name = f"{scene.name}, {count} mask" + "s" * (count > 1)
                    scores = {
                        f"{scene.name}, loose box": look.score(look.loose),
                        f"{name}: U-Net's mask": look.score(look.network_boxes()),
                        f"corrector, {name}": kept_when_unsafe(look, bounds, safe),
                    }
                    for key, one in scores.items():
                        found.setdefault(key, {}).setdefault(f"{margin:g}", []).append(one)
    rows = {key: {m: summary(scores) for m, scores in by.items()} for key, by in found.items()}
    return {"rows": rows, "minutes": counts.own_minutes}


def render(found: dict) -> str:
    if not found["rows"]:
        return "The real images are not on this machine, so nothing was measured on them."
    return (
        "There is one patient, so that training masks are deformed copies of the very case that is tested (shape and "
        "contrast changed at random, image and mask alike): what this shows is that a few masks tell the corrector "
        "which of the things in a very loose box is meant, **not** that it carries over to other patients. Each was "
        f"trained for {found['minutes']:g} minutes of computing time.\n\n" + rows_of_margins(found["rows"])
    )
