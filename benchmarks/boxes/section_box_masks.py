"""How many masks it takes: correctors trained on 1 to 20 livers of one look, tested on others."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from box_context import Context, Look, kept_when_unsafe, rules, summary
from section_box_phantoms import rows_of_margins

from SparseToPreciseLib.boxes.baselines import shrunk_bounds
from SparseToPreciseLib.boxes.model import CORRECTOR_FAMILY, Corrector
from SparseToPreciseLib.boxes.scenes import Scene, case_scenes
from SparseToPreciseLib.boxes.simulation import loose_box
from SparseToPreciseLib.boxes.training_run import train_corrector
from SparseToPreciseLib.core.bundles import open_bundle
from SparseToPreciseLib.core.devices import Device
from SparseToPreciseLib.core.packaged_configs import packaged_config, recipe_from
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.phantoms.blobs import make_blob

TITLE = "Number of masks and patch size, liver-like phantoms"
TRAINING_SEED, TEST_SEED = 70_000_000, 80_000_000
OVERRIDES = {"calibration_boxes": 24, "validation_phantoms": 4, "validations": 3, "batch_size": 2}
SHRINKS = (0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3)


def livers(first: int, count: int) -> list[Scene]:
    blobs = [make_blob(first + one, "liver", look="liver-ct", cut=False) for one in range(count)]
    return [Scene(blob.image, blob.mask, blob.image.name) for blob in blobs]


def trained(context: Context, name: str, cases: list[Scene]) -> Corrector:
    """As `sparse-to-precise train boxes-corrector` does it, for the benchmark's minutes."""
    bundle = train_corrector(
        context.cache / "models" / name,
        cases=[(scene.image, scene.mask) for scene in cases],
        minutes=context.counts.training_minutes,
        seed=context.seed + 1,
        device="cpu",
        overrides=OVERRIDES,
    )
    return Corrector(open_bundle(bundle.path, CORRECTOR_FAMILY), Device("cpu"))


def with_patch(context: Context, corrector: Corrector, cases: list[Scene], patch: int):
    """The calibration of the same network for another size of patch."""
    changes = {"patch": patch, "calibration_boxes": OVERRIDES["calibration_boxes"], "seed": context.seed + 1}
    recipe = recipe_from(packaged_config(CORRECTOR_FAMILY, "train.json"), changes | {"sampling::largest_margin": 1.0})
    sets = recipe.scenes(case_scenes([(scene.image, scene.mask) for scene in cases]), Progress())
    sets = replace(sets, sampling=replace(sets.sampling, spacing_mm=corrector.spacing_mm))
    return recipe.calibrate(corrector.network, sets, torch.device("cpu"), Progress())


def run(context: Context) -> dict:
    counts = context.counts
    torch.manual_seed(context.seed)
    training, test = livers(TRAINING_SEED, max(counts.masks)), livers(TEST_SEED, counts.livers)
    # The same boxes for every method.
    rng = np.random.default_rng([context.seed, 3])
    boxes = [(margin, scene, loose_box(scene.mask, margin, rng)) for margin in counts.margins for scene in test]
    share = _shrink(training, counts.margins, context.seed)
    found: dict[str, dict[str, list]] = {}
    seconds = {}

    def add(name: str, margin: float, score: dict) -> None:
        found.setdefault(name, {}).setdefault(f"{margin:g}", []).append(score)

    for margin, scene, box in boxes:
        look = Look.at(scene, box, 2, context.corrector)
        add("loose box", margin, look.score(look.loose))
        add("fixed shrink", margin, look.score(shrunk_bounds(look.frame, share)))
        for name, rule in rules().items():
            add(name, margin, look.score(look.masked(rule)))
        bounds, safe = look.corrected(context.corrector.patch, context.corrector.calibration)
        add("corrector, default model", margin, kept_when_unsafe(look, bounds, safe))
    for count in counts.masks:
        started = time.perf_counter()
        corrector = trained(context, f"livers-{count}", training[:count])
        seconds[str(count)] = round(time.perf_counter() - started, 1)
        other = with_patch(context, corrector, training[:count], 32)
        masks = f"{count} mask" + "s" * (count > 1)
        for margin, scene, box in boxes:
            look = Look.at(scene, box, 2, corrector)
            add(f"U-Net's mask, {masks}", margin, look.score(look.network_boxes()))
            for patch, calibration in ((16, corrector.calibration), (32, other)):
                bounds, safe = look.corrected(patch, calibration)
                add(f"corrector, {masks}, p {patch}", margin, kept_when_unsafe(look, bounds, safe))
    rows = {name: {margin: summary(scores) for margin, scores in by.items()} for name, by in found.items()}
    return {"rows": rows, "shrink": share, "seconds": seconds, "minutes": counts.training_minutes}


def _shrink(scenes: list[Scene], margins: tuple[float, ...], seed: int) -> float:
    rng = np.random.default_rng([seed, 4])
    totals = np.zeros(len(SHRINKS))
    for scene in scenes:
        for margin in margins:
            look = Look.at(scene, loose_box(scene.mask, margin, rng), 2, None)
            totals += [look.score(shrunk_bounds(look.frame, share))["iou"] for share in SHRINKS]
    return SHRINKS[int(totals.argmax())]


def render(found: dict) -> str:
    return (
        "One look (liver CT, the contrast phase shifts between cases, neighbours overlap in intensity), other shapes "
        "for testing than for training. Each corrector is trained on so many masks and deformed copies of them for "
        f"{found['minutes']:g} minutes of computing time, from the default model's weights. *U-Net's mask* is the same "
        "network trained on the same masks for the same time, and the box of its own mask on every slice: what the "
        "patches, the calibration and the clean-up add is the difference. p is the side of a patch in pixels; the "
        "object is some 44 pixels long.\n\n" + rows_of_margins(found["rows"])
    )
