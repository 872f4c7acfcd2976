"""Segmentation in a box by the default model: held-out phantoms, and real CT and MR it was never trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from SparseToPreciseLib.boxes.corrector.tighten import tighten
from SparseToPreciseLib.boxes.scenes import Scene, phantom_scenes
from SparseToPreciseLib.boxes.segmenter.model import load_segmenter
from SparseToPreciseLib.boxes.segmenter.segment import segment
from SparseToPreciseLib.boxes.simulation import loose_box
from SparseToPreciseLib.boxes.slices import Frame, axis_of, slice_step
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.volume import Volume

from ..harness import DATA
from ..tables import number, percent, table
from .context import Context, rules
from .pictures import Panel, draw
from .section_real import STRUCTURES, scene_of

TITLE = "Segmentation in a box, default model"
MARGINS = (0.0, 0.1, 0.25, 0.5)
PHANTOM_SEED = 60_000_000
MODEL, TIGHTENED = "default segmenter", "default segmenter, box tightened first"
FROM_BOXES = "segmenter from boxes alone"
"""The bundle `boxes-segmenter`: the paper's way, learnt on phantoms."""
HISTOGRAMS = "histograms, untrained"
COMPARED = (MODEL, FROM_BOXES, HISTOGRAMS, "Otsu in the box", "GrabCut in each slice")
PICTURE, DRAWN = "boxes-real-segmentation.png", (0.0, 0.25)


def run(context: Context) -> dict:
    segmenters = {MODEL: load_segmenter(None, "cpu"), FROM_BOXES: load_segmenter("boxes-segmenter", "cpu")}
    segmenter = segmenters[MODEL]
    scenes = {"phantoms": phantom_scenes(range(PHANTOM_SEED, PHANTOM_SEED + max(context.counts.phantoms // 3, 2)))}
    if DATA.is_dir():
        found = [scene_of(number_) for number_ in range(min(context.counts.structures, len(STRUCTURES)))]
        scenes["real"] = [scene for scene in found if scene.mask.array.any()]
    rows: dict[str, dict[str, dict[str, list[float]]]] = {}
    structures: dict[str, dict[str, dict[str, float]]] = {}
    panels: list[Panel] = []
    for kind, cases in scenes.items():
        for which, scene in enumerate(cases):
            for margin in MARGINS:
                box = loose_box(scene.mask, margin, np.random.default_rng([context.seed, 13, which]))
                truth = scene.mask.array > 0
                answers = untrained(scene, box)
                image = scene.image.with_array(scene.image.array.astype(np.float32))
                for name, one in segmenters.items():
                    answers[name] = segment(image, box, one).segmentation.array > 0
                tightened = tighten(image, box, context.corrector)
                inner = segment(image, tightened.box, segmenter, slices=tightened if tightened.safe else None)
                answers[TIGHTENED] = inner.segmentation.array > 0
                scores = {name: dice(mask, truth) for name, mask in answers.items()}
                for name, one in scores.items():
                    rows.setdefault(kind, {}).setdefault(name, {}).setdefault(f"{margin:g}", []).append(one)
                if kind == "real":
                    structures.setdefault(scene.name, {})[f"{margin:g}"] = scores
                    if margin in DRAWN:
                        told = ", ".join(
                            f"{name} {number(scores[key])}"
                            for name, key in (("model", MODEL), ("histograms", HISTOGRAMS))
                        )
                        caption = f"{scene.name}, {percent(margin)}\n{told}"
                        masks = truth, answers[HISTOGRAMS], answers[MODEL]
                        panels.append(Panel.of(scene, margin, box, masks, caption))
    means = {
        kind: {name: {margin: float(np.mean(values)) for margin, values in by.items()} for name, by in found.items()}
        for kind, found in rows.items()
    }
    if panels:
        draw(panels, context.images / PICTURE)
    return {
        "rows": means,
        "structures": structures,
        "cases": {kind: len(cases) for kind, cases in scenes.items()},
        "weights": segmenter.sha256[:12],
    }


def render(found: dict) -> str:
    parts = [
        f"Weights {found['weights']}. Mean Dice by margin (share of the object's size per side, asymmetric). "
        "*Ellipsoid* is everything in the ellipsoid that touches the box's faces, *box* everything in the box; the "
        "other rules see the image."
    ]
    heads = [percent(margin) for margin in MARGINS]
    for kind, title in (("phantoms", "held-out phantoms"), ("real", "real structures")):
        if kind not in found["rows"]:
            parts.append("The real images are not on this machine, so nothing was measured on them.")
            continue
        lines = [[name, *(number(by[f"{margin:g}"]) for margin in MARGINS)] for name, by in found["rows"][kind].items()]
        parts.append(table([f"{found['cases'][kind]} {title}", *heads], lines))
    if found["structures"]:
        there = [name for name in COMPARED if name in next(iter(found["structures"].values()))["0"]]
        lines = [
            [name, *(" · ".join(number(by[f"{margin:g}"][one]) for one in there) for margin in MARGINS)]
            for name, by in found["structures"].items()
        ]
        parts.append(f"By structure: {' · '.join(there)}.")
        parts.append(table(["structure", *heads], lines))
        parts.append(
            f"![Real structures, what the default segmenter and the histograms find](../images/{PICTURE})\n\n"
            "White: the box; green: the label; red: the default segmenter; blue: histograms, untrained. Slices of the "
            "test reference images of TotalSegmentator (github.com/wasserth/TotalSegmentator, Apache-2.0)."
        )
    return "\n\n".join(parts)


def untrained(scene: Scene, box: Box) -> dict[str, np.ndarray]:
    """What needs no training, as masks on the image's grid."""
    grid = scene.image.grid
    inside = box.mask_on(grid)
    part = grid.slices_around(box.corners(), 0.0)
    ellipsoid = np.zeros(grid.shape, bool)
    ellipsoid[part] = ((box.to_box(grid.cropped(part).points_ras()) / (box.size / 2)) ** 2).sum(axis=-1) <= 1
    axis = axis_of("auto", grid, box)
    frame = Frame.cut(box, axis, slice_step(grid, box, axis))

    def brought_back(rule: Callable[..., np.ndarray]) -> np.ndarray:
        mask = rule(scene.image, frame).astype(np.float32)
        return (Volume(mask, frame.grid(0, frame.slices).ijk_to_ras).resampled_to(grid).array >= 0.5) & inside

    return {"box": inside, "ellipsoid": ellipsoid, **{name: brought_back(rule) for name, rule in rules().items()}}
