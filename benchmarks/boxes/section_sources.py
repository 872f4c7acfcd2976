"""Boxes around structures of whole sources that no network has learnt from: segment in them, and tighten them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from SparseToPreciseLib.boxes.corrector.model import Corrector, load_corrector
from SparseToPreciseLib.boxes.corrector.tighten import tighten
from SparseToPreciseLib.boxes.scenes import Scene
from SparseToPreciseLib.boxes.segmenter.model import DEFAULT_SEGMENTER, load_segmenter
from SparseToPreciseLib.boxes.segmenter.segment import segment
from SparseToPreciseLib.boxes.simulation import loose_box
from SparseToPreciseLib.boxes.slices import axis_of
from SparseToPreciseLib.core.masks import dice

from ..harness import ANATOMY, mapped
from ..sources import sources_for_tests, structures_of_source
from ..tables import number, percent, table
from .baselines import shrunk_bounds
from .context import STRICT, Context, Look, kept_when_unsafe, summary
from .section_phantoms import rows_of_margins
from .section_real_segmentation import FROM_BOXES, MODEL, TIGHTENED, untrained

TITLE = "Real test sources"
CLOSE = 0.9
MARGINS = (0.1, 0.25, 0.5)
CONTEXT = 0.75
"""Share of a box's length that the image is kept beyond it: more than anything looks at."""
GOALS = {"0.1": 0.82, "0.25": 0.75, "0.5": 0.62}
"""Mean over the sources of the mean Dice, by margin."""


def run(context: Context) -> dict:
    most = context.counts.per_source if ANATOMY.is_dir() else 0
    jobs = [
        (source, which, most, context.seed)
        for source in (sources_for_tests(ANATOMY) if most else [])
        for which in range(len(structures_of_source(ANATOMY, source, most)))
    ]
    records = mapped(_job, jobs, context.workers) if jobs else []
    sources = sorted({record["source"] for record in records})
    return {
        "structures": len({record["name"] for record in records}),
        "segmented": {source: _dice_by_margin(records, source) for source in sources},
        "tightened": _boxes(records),
        "tightened_by_source": {
            source: _boxes([one for one in records if one["source"] == source]) for source in sources
        },
        "records": records,
    }


@lru_cache(maxsize=1)
def _models() -> dict[str, Any]:
    return {
        "segmenters": {MODEL: load_segmenter(None, "cpu"), FROM_BOXES: load_segmenter("boxes-segmenter", "cpu")},
        "correctors": {
            "corrector": load_corrector(None, "cpu"),
            "corrector, weights of the default segmenter": load_corrector(DEFAULT_SEGMENTER, "cpu"),
        },
    }


def _job(source: str, which: int, most: int, seed: int) -> list[dict[str, Any]]:
    image, truth, _ = structures_of_source(ANATOMY, source, most)[which]
    truth = truth.with_array(truth.array.astype(np.uint8))
    if not image.grid.same_as(truth.grid, 0.1 * float(truth.spacing.min())):
        truth = truth.resampled_to(image.grid, "nearest", fill=0)
    records = []
    for margin in MARGINS:
        box = loose_box(truth, margin, np.random.default_rng([seed, 17, which]))
        part = image.grid.slices_around(box.corners(), CONTEXT * float(box.size.max()))
        scene = Scene(image.cropped(part).with_array(image.cropped(part).array.astype(np.float32)), truth.cropped(part))
        records.append(
            {
                "source": source,
                "name": truth.name,
                "margin": f"{margin:g}",
                "dice": _segmented(scene, box),
                "boxes": _tightened(scene, box),
            }
        )
    return records


def _segmented(scene: Scene, box: Any) -> dict[str, float]:
    truth, models = scene.mask.array > 0, _models()
    masks = untrained(scene, box)
    for name, segmenter in models["segmenters"].items():
        masks[name] = segment(scene.image, box, segmenter).segmentation.array > 0
    tightened = tighten(scene.image, box, models["correctors"]["corrector"], coverage=CLOSE)
    inner = segment(
        scene.image, tightened.box, models["segmenters"][MODEL], slices=tightened if tightened.safe else None
    )
    masks[TIGHTENED] = inner.segmentation.array > 0
    return {name: dice(mask, truth) for name, mask in masks.items()}


def _tightened(scene: Scene, box: Any) -> dict[str, dict[str, Any]]:
    axis = axis_of("auto", scene.image.grid, box)
    scores: dict[str, dict[str, Any]] = {}
    for name, corrector in _models()["correctors"].items():
        look = Look.at(scene, box, axis, corrector)
        if not scores:
            scores["loose box"] = look.score(look.loose)
            scores["fixed shrink of 12 %"] = look.score(shrunk_bounds(look.frame, 0.12))
        scores |= _of_corrector(look, corrector, name)
    # A mean of sides in mm over a mouse and a man says nothing.
    return {name: {**one, "sides": None} for name, one in scores.items()}


def _of_corrector(look: Look, corrector: Corrector, name: str) -> dict[str, dict[str, Any]]:
    found = {}
    for coverage in (STRICT, CLOSE):
        bounds, safe = look.corrected(corrector.patch, corrector.calibration, coverage)
        label = name if coverage == STRICT else f"{name}, coverage {coverage:g}"
        found[label] = kept_when_unsafe(look, bounds, safe)
    return found


def _dice_by_margin(records: list[dict], source: str) -> dict[str, dict[str, float]]:
    mine = [record for record in records if record["source"] == source]
    return {
        name: {
            margin: float(np.mean([one["dice"][name] for one in mine if one["margin"] == margin]))
            for margin in dict.fromkeys(one["margin"] for one in mine)
        }
        for name in mine[0]["dice"]
    }


def _boxes(records: list[dict]) -> dict[str, dict[str, dict]]:
    margins = list(dict.fromkeys(record["margin"] for record in records))
    names = records[0]["boxes"] if records else ()
    return {
        name: {
            margin: summary([one["boxes"][name] for one in records if one["margin"] == margin]) for margin in margins
        }
        for name in names
    }


def render(found: dict) -> str:
    if not found["structures"]:
        return "The real images of the test sources are not on this machine, so nothing was measured on them."
    by_source = found["segmented"]
    margins = list(next(iter(by_source.values()))[MODEL])
    heads = [percent(float(margin)) for margin in margins]
    means = _means(by_source)
    lines = [[name, *(number(by[margin]) for margin in margins)] for name, by in means.items()]
    sources = [
        [source, *(f"{number(by[MODEL][margin])} ({number(by[FROM_BOXES][margin])})" for margin in margins)]
        for source, by in by_source.items()
    ]
    return "\n\n".join(
        [
            f"{found['structures']} structures of {len(by_source)} sources that no network has learnt from or was "
            "chosen by; boxes of random asymmetric margins, slices across the thickest voxels.",
            "\n".join(f"- {line}" for line in verdict(found)),
            "Segment in the box: the mean over the sources of the mean Dice.",
            table(["method", *heads], lines),
            "By source: mean Dice of the default (in brackets: of the segmenter from boxes alone).",
            table(["source", *heads], sources),
            "Tighten: slice IoU, share of boxes that keep 99 % of the object.",
            rows_of_margins(found["tightened"]),
        ]
    )


def verdict(found: dict) -> list[str]:
    if not found["structures"]:
        return []
    by_source = found["segmented"]
    means = _means(by_source)[MODEL]
    told = ", ".join(
        f"{number(means[margin])} at {percent(float(margin))} (goal {goal:g}, "
        f"{'reached' if means[margin] >= goal else '**missed**'})"
        for margin, goal in GOALS.items()
        if margin in means
    )
    worst = min(by_source, key=lambda source: by_source[source][MODEL]["0.25"])
    at = found["tightened"]["corrector"]["0.25"]
    return [
        f"Segment in the box, real test sources: mean Dice {told}; the worst source at 25 % is {worst} with "
        f"{number(by_source[worst][MODEL]['0.25'])}.",
        f"Tighten, real test sources, 25 %: slice IoU {number(at['iou'])} (goal 0.60), {percent(at['enough'])} of the "
        f"boxes keep 99 % of the object (goal 95 %).",
    ]


def _means(by_source: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    first = next(iter(by_source.values()))
    return {
        name: {margin: float(np.mean([by[name][margin] for by in by_source.values()])) for margin in first[name]}
        for name in first
    }
