"""What boxes are good for: segmentation learnt from loose, corrected, tight and ideal boxes, and from masks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from SparseToPreciseLib.boxes.correction import LEARNING_COVERAGE
from SparseToPreciseLib.boxes.corrector.tighten import TightenResult
from SparseToPreciseLib.boxes.hull import plane_boxes
from SparseToPreciseLib.boxes.scenes import Scene
from SparseToPreciseLib.boxes.segmenter.confidence import calibrated_level
from SparseToPreciseLib.boxes.segmenter.model import LEVEL, SEGMENTER_FAMILY, Segmenter
from SparseToPreciseLib.boxes.segmenter.recipe import SegmenterRecipe
from SparseToPreciseLib.boxes.segmenter.segment import segment
from SparseToPreciseLib.boxes.segmenter.trainer import SegmenterTrainer, box_loss, mask_loss
from SparseToPreciseLib.boxes.simulation import loose_box
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.devices import Device
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.networks import build_network
from SparseToPreciseLib.core.training.recipe import packaged_config, recipe_from

from ..tables import number, percent, table
from .context import STRICT, Context, Look, fingerprint, fingerprint_of_code
from .section_masks import PATCHES, TEST_SEED, TRAINING_SEED, Trained, livers, trained

TITLE = "Segmentation learnt from boxes, liver-like phantoms"
WEAK_SEED = TRAINING_SEED + 1_000
MARGIN = 0.5
AXIS = 2
WEAK_PER_LIVER = 4
LEVEL_BOXES = 12
LOOSE, IDEAL, MASKS = "loose boxes", "ideal boxes of slices", "masks"
CORRECTED = {f"corrected boxes of slices, coverage {share:g}": share for share in (STRICT, LEARNING_COVERAGE, 0.8)}
ALL_AXES = "ideal boxes of planes along all axes"
LABELS = (LOOSE, "tight 3D boxes", *CORRECTED, IDEAL, ALL_AXES, MASKS)
KINDS = ("loose", "tightened", "tight")
"""The boxes that a segmenter is given."""
CODE = ("boxes/segmenter/*.py", "boxes/corrector/inputs.py", "boxes/intensities.py", "boxes/slices.py")
CODE += ("boxes/hull.py", "boxes/scenes.py", "boxes/simulation.py", "core/intensities.py", "core/resampling.py")
CODE += ("core/training/loop.py", "core/volume.py")


def run(context: Context) -> dict:
    counts = context.counts
    rng = np.random.default_rng([context.seed, 11])
    weak, test = livers(WEAK_SEED, WEAK_PER_LIVER * counts.livers), livers(TEST_SEED, counts.livers)
    corrector = trained(context, livers(TRAINING_SEED, max(counts.masks)), PATCHES, counts.training_minutes)
    boxes = [loose_box(scene.mask, MARGIN, rng) for scene in weak]
    labels = {
        LOOSE: [_filled(scene, box) for scene, box in zip(weak, boxes, strict=True)],
        "tight 3D boxes": [_filled(scene, Box.bounding(scene.mask)) for scene in weak],
        **{
            name: [_corrected(*pair, corrector, share) for pair in zip(weak, boxes, strict=True)]
            for name, share in CORRECTED.items()
        },
        IDEAL: [_labelled(scene, plane_boxes(scene.mask.array > 0)) for scene in weak],
        ALL_AXES: weak,
        MASKS: weak,
    }
    tests = []
    for scene in test:
        loose = loose_box(scene.mask, MARGIN, rng)
        given = (loose, None), _tightened(scene, loose, corrector), (Box.bounding(scene.mask), None)
        tests.append((scene, dict(zip(KINDS, given, strict=True))))
    shown = [
        _filled(scene, box) if slices is None else _labelled(scene, slices.slices_as_volume(scene.image.grid).array)
        for scene, by in tests
        for box, slices in by.values()
    ]
    minutes = counts.segmenter_minutes
    rows = {}
    for name, scenes in labels.items():
        row = _kept(
            context.cache,
            [name, minutes, context.seed, fingerprint(scenes), fingerprint(test), fingerprint(shown)],
            lambda name=name, scenes=scenes: _row(_learnt(name, scenes, minutes, context.seed), tests),
        )
        # How well the label itself would do as a segmentation, where it is not the mask.
        own = [dice(label.mask.array > 0, scene.mask.array > 0) for label, scene in zip(scenes, weak, strict=True)]
        rows[name] = row | {"label": None if scenes is weak else float(np.mean(own))}
    return {"rows": rows, "minutes": minutes, "weak": len(weak), "test": len(test), "masks": max(counts.masks)}


def render(found: dict) -> str:
    lines = [
        [
            name,
            *(f"{number(row[kind][0])} ± {number(row[kind][1])}" for kind in KINDS),
            "" if row["label"] is None else number(row["label"]),
        ]
        for name, row in ((name, found["rows"][name]) for name in LABELS)
    ]
    return (
        f"The same network, trained from scratch for {found['minutes']:g} minutes of computing time on {found['weak']} "
        "patients of one series with labels of each kind, and tested on "
        f"{found['test']} others: Dice (mean ± standard deviation) of what it finds in a loose box (margin "
        f"{percent(MARGIN)} of the object's size per side, asymmetric), in that box when the corrector has tightened "
        f"it with its usual coverage ({STRICT:g}), as `box segment --tighten-first` does, and in the tight one. The "
        "corrector, which made the corrected boxes of slices, too, learnt from "
        f"{found['masks']} masks of other patients; a coverage of {LEARNING_COVERAGE:g} is what `train boxes-segmenter "
        "--tighten-first` corrects with. *Label itself* is the Dice of the filled training boxes. The last row is full "
        "supervision (cross-entropy and Dice on masks)."
        "\n\n"
        + table(["trained on", *(f"Dice in the {kind} box" for kind in KINDS), "label itself"], lines)
        + "\n\nThe paper (CT of real livers, another network and 50 epochs): 0.28 from loose boxes, 0.90 from "
        "corrected ones with 20 masks, 0.90 from tight boxes of slices, 0.92 from masks."
    )


def gaps(rows: dict, name: str) -> str:
    """How much more Dice than what ideal boxes teach, in boxes of every kind."""
    return ", ".join(
        f"{number(rows[name][kind][0] - rows[IDEAL][kind][0], 3, signed=True)} in {kind} boxes" for kind in KINDS
    )


def _row(
    segmenter: Segmenter, tests: list[tuple[Scene, dict[str, tuple[Box, TightenResult | None]]]]
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for scene, by in tests:
        for kind, (box, slices) in by.items():
            result = segment(scene.image, box, segmenter, slices=slices)
            found[kind].append(dice(result.segmentation.array > 0, scene.mask.array > 0))
    return {kind: [float(np.mean(values)), float(np.std(values))] for kind, values in found.items()}


def _kept(cache: Path, setting: list, compute: Callable[[], dict]) -> dict:
    """What `compute` gives, from the cache where setting, recipe and code are as they were."""
    given = json.dumps([setting, packaged_config(SEGMENTER_FAMILY, "train.json"), fingerprint_of_code(CODE)])
    path = cache / "segmenters" / f"{hashlib.sha256(given.encode()).hexdigest()[:16]}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(compute()), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def _labelled(scene: Scene, mask: np.ndarray) -> Scene:
    return Scene(scene.image, scene.mask.with_array(mask.astype(np.uint8)), scene.name)


def _filled(scene: Scene, box: Box) -> Scene:
    return _labelled(scene, box.mask_on(scene.image.grid))


def _corrected(scene: Scene, box: Box, corrector: Trained, coverage: float) -> Scene:
    """The boxes of slices that the corrector finds, the loose box where it is not sure; as `BoxCorrection` does."""
    look = Look.at(scene, box, AXIS, corrector)
    bounds, safe = look.corrected(PATCHES[0], corrector.calibrations[PATCHES[0]], coverage)
    return _labelled(scene, look.filled(bounds)) if safe else _filled(scene, box)


def _tightened(scene: Scene, box: Box, corrector: Trained) -> tuple[Box, TightenResult | None]:
    """What the command segments in: the tightened box and its slices; the given box where the corrector is not sure."""
    look = Look.at(scene, box, AXIS, corrector)
    bounds, safe = look.corrected(PATCHES[0], corrector.calibrations[PATCHES[0]])
    found = look.tightened(bounds) if safe else None
    return (box, None) if found is None else (found.box, found)


def _recipe(name: str) -> SegmenterRecipe:
    # A loose label is loose enough: the boxes in which it is learnt are those that it will be used in.
    changes = {"sampling::largest_margin": 0.0 if name == LOOSE else MARGIN, "sampling::axis": AXIS}
    changes |= {"sampling::inverted_share": 0.0, "sampling::cut_share": 0.0}
    return recipe_from(packaged_config(SEGMENTER_FAMILY, "train.json"), changes)


def _learnt(name: str, scenes: list[Scene], minutes: float, seed: int) -> Segmenter:
    recipe = _recipe(name)
    torch.manual_seed(seed)
    network = build_network(recipe.network)
    objective = mask_loss if name == MASKS else box_loss(recipe.weights)
    SegmenterTrainer(
        network,
        scenes,
        scenes[:2],
        recipe.sampling,
        objective,
        recipe.loop_options(minutes=minutes, validations=2, seed=seed),
        weights=recipe.weights,
    ).run()
    level = LEVEL
    own = {"own_intensities": recipe.own_intensities}
    if name != MASKS:
        # From the boxes that were learnt from, as the recipe does it.
        device = torch.device("cpu")
        level = calibrated_level(network, scenes[:LEVEL_BOXES], recipe.sampling, 1, seed, device, **own)
    parameters = {"side": recipe.sampling.side, "spacing_mm": None, "all_axes": False, "level": level, **own}
    made = SimpleNamespace(name=name, path="", sha256="", parameters=parameters, load_network=lambda *_: network)
    return Segmenter(made, Device("cpu"))
