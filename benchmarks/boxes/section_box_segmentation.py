"""What boxes are good for: segmentation learnt from loose, corrected, tight and ideal boxes, and from masks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from box_context import Context, Look
from section_box_masks import TEST_SEED, TRAINING_SEED, livers, trained
from tables import number, percent, table

from SparseToPreciseLib.boxes.metrics import dice
from SparseToPreciseLib.boxes.scenes import Scene
from SparseToPreciseLib.boxes.segment import LEVEL, SEGMENTER_FAMILY, Segmenter, segment
from SparseToPreciseLib.boxes.segmenter_level import calibrated_level
from SparseToPreciseLib.boxes.segmenter_training import SegmenterTrainer, box_loss, mask_loss
from SparseToPreciseLib.boxes.simulation import loose_box
from SparseToPreciseLib.boxes.tighten import SliceBox, TightenResult
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.devices import Device
from SparseToPreciseLib.core.networks import build_network
from SparseToPreciseLib.core.packaged_configs import packaged_config, recipe_from

TITLE = "Segmentation learnt from boxes, liver-like phantoms"
WEAK_SEED = TRAINING_SEED + 1_000
MARGIN = 0.5
AXIS = 2
WEAK_PER_LIVER = 4
LEVEL_BOXES = 12
MINUTES_PER_CORRECTOR_MINUTE = 2.5
LABELS = ("loose boxes", "tight 3D boxes", "corrected boxes of slices", "ideal boxes of slices", "masks")


def run(context: Context) -> dict:
    counts = context.counts
    rng = np.random.default_rng([context.seed, 11])
    weak, test = livers(WEAK_SEED, WEAK_PER_LIVER * counts.livers), livers(TEST_SEED, counts.livers)
    corrector = trained(context, livers(TRAINING_SEED, max(counts.masks)))
    boxes = [loose_box(scene.mask, MARGIN, rng) for scene in weak]
    labels = {
        "loose boxes": [_filled(scene, box) for scene, box in zip(weak, boxes, strict=True)],
        "tight 3D boxes": [_filled(scene, Box.bounding(scene.mask)) for scene in weak],
        "corrected boxes of slices": [_corrected(*pair, corrector) for pair in zip(weak, boxes, strict=True)],
        "ideal boxes of slices": weak,
        "masks": weak,
    }
    tests = [
        (scene, {"loose": loose_box(scene.mask, MARGIN, rng), "tight": Box.bounding(scene.mask)}) for scene in test
    ]
    minutes = MINUTES_PER_CORRECTOR_MINUTE * counts.training_minutes
    rows = {}
    for name, scenes in labels.items():
        segmenter = _learnt(name, scenes, minutes, context.seed)
        found: dict[str, list[float]] = {"loose": [], "tight": []}
        for scene, by in tests:
            for kind, box in by.items():
                result = segment(scene.image, box, segmenter)
                found[kind].append(dice(result.segmentation.array > 0, scene.mask.array > 0))
        # How well the label itself would do as a segmentation, where it is not the mask.
        own = [dice(label.mask.array > 0, scene.mask.array > 0) for label, scene in zip(scenes, weak, strict=True)]
        rows[name] = {
            **{kind: [float(np.mean(values)), float(np.std(values))] for kind, values in found.items()},
            "label": None if scenes is weak else float(np.mean(own)),
        }
    return {"rows": rows, "minutes": minutes, "weak": len(weak), "test": len(test), "masks": max(counts.masks)}


def render(found: dict) -> str:
    lines = [
        [
            name,
            *(f"{number(row[kind][0])} ± {number(row[kind][1])}" for kind in ("loose", "tight")),
            "" if row["label"] is None else number(row["label"]),
        ]
        for name, row in ((name, found["rows"][name]) for name in LABELS)
    ]
    gap = found["rows"]["ideal boxes of slices"]["loose"][0] - found["rows"]["corrected boxes of slices"]["loose"][0]
    return (
        f"The same network, trained from scratch for {found['minutes']:g} minutes of computing time on {found['weak']} "
        f"livers of one look with labels of each kind, and tested on {found['test']} others: Dice (mean ± standard "
        f"deviation) of what it finds in a loose box (margin {percent(MARGIN)} of the object's size per side, "
        "asymmetric) and in the tight one. The corrector that made the corrected boxes from the loose ones learnt from "
        f"{found['masks']} masks of other livers. *Label itself* is the Dice of the filled training boxes. The last "
        "row is full supervision (cross-entropy and Dice on masks).\n\n"
        + table(["trained on", "Dice in a loose box", "Dice in the tight box", "label itself"], lines)
        + f"\n\nIn loose boxes, corrected boxes are {number(abs(gap), 3)} Dice "
        f"{'worse' if gap > 0 else 'better'} than ideal ones (wanted: at most 0.03 worse). The paper (CT of real "
        "livers, another network and 50 epochs): 0.28 from loose boxes, 0.90 from corrected ones with 20 masks, 0.90 "
        "from tight boxes of slices, 0.92 from masks."
    )


def _filled(scene: Scene, box: Box) -> Scene:
    mask = box.mask_on(scene.image.grid).astype(np.uint8)
    return Scene(scene.image, scene.mask.with_array(mask), scene.name)


def _corrected(scene: Scene, box: Box, corrector) -> Scene:
    """The boxes of slices that the corrector finds, whether it is sure or not; the loose box where it finds none."""
    look = Look.at(scene, box, AXIS, corrector)
    bounds, _ = look.corrected(16, corrector.calibrations[16])
    there = ~np.isnan(bounds[:, 0, 0])
    if not there.any():
        return _filled(scene, box)
    slices = [
        SliceBox(n, float(at), bounds[n] if there[n] else None, (), 1.0, False)
        for n, at in enumerate(look.frame.positions())
    ]
    found = TightenResult(box, slices, AXIS, True, "", 0.0, 0.0, 0.99, look.frame, {}, "cpu", "")
    return Scene(scene.image, found.slices_as_volume(scene.image.grid), scene.name)


def _learnt(name: str, scenes: list[Scene], minutes: float, seed: int) -> Segmenter:
    # A loose label is loose enough: the boxes in which it is learnt are those that it will be used in.
    margin = 0.0 if name == "loose boxes" else MARGIN
    changes = {"sampling::axis": AXIS, "sampling::largest_margin": margin, "sampling::inverted_share": 0.0}
    recipe = recipe_from(packaged_config(SEGMENTER_FAMILY, "train.json"), changes)
    torch.manual_seed(seed)
    network = build_network(recipe.network)
    objective = mask_loss if name == "masks" else box_loss(recipe.weights)
    SegmenterTrainer(
        network,
        scenes,
        scenes[:2],
        recipe.sampling,
        objective,
        minutes,
        weights=recipe.weights,
        learning_rate=recipe.learning_rate,
        batch_size=recipe.batch_size,
        validations=2,
        seed=seed,
    ).run()
    level = LEVEL
    if name != "masks":
        # From the boxes that were learnt from, as the recipe does it.
        device = torch.device("cpu")
        level = calibrated_level(network, scenes[:LEVEL_BOXES], recipe.sampling, 1, seed, device)
    parameters = {"side": recipe.sampling.side, "spacing_mm": None, "all_axes": False, "level": level}
    made = SimpleNamespace(name=name, path="", sha256="", parameters=parameters, load_network=lambda *_: network)
    return Segmenter(made, Device("cpu"))
