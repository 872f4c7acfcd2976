"""What every section of the benchmark of boxes needs: counts, cases, methods and scores."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from SparseToPreciseLib.boxes import corrector as corrector_package
from SparseToPreciseLib.boxes.corrector.confidence import Calibration
from SparseToPreciseLib.boxes.corrector.inference import Prediction, cell_probabilities, predict
from SparseToPreciseLib.boxes.corrector.model import Corrector
from SparseToPreciseLib.boxes.corrector.slice_boxes import SliceBox
from SparseToPreciseLib.boxes.corrector.tighten import TightenResult, around_slices
from SparseToPreciseLib.boxes.corrector.working_grid import View, between_planes
from SparseToPreciseLib.boxes.metrics import covered, mean_slice_iou, tight_bounds
from SparseToPreciseLib.boxes.scenes import Scene, mask_on
from SparseToPreciseLib.boxes.slices import CELL, Frame
from SparseToPreciseLib.core.box import Box

from .baselines import histogram_mask, in_box, otsu_mask

STRICT = 0.99
LOWER = (0.95, 0.9)
"""Coverages that a user may ask for instead; what they keep is measured by the same bar."""
JUDGED = "A user may ask for a lower coverage; in those rows, too, *kept* and *cut* mean 99 % of the object."
GRABCUT_CORE = 0.3
"""Of the way from the middle of a box to its faces: what GrabCut is told to be object."""


@dataclass(frozen=True)
class Counts:
    """How many cases; see `FULL` and `QUICK`."""

    margins: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 1.0)
    phantoms: int = 30
    masks: tuple[int, ...] = (1, 3, 5, 10, 20)
    livers: int = 6
    training_minutes: float = 30.0
    segmenter_minutes: float = 2.25
    real_margins: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 1.0)
    real_repeats: int = 2
    structures: int = 11
    per_source: int = 9
    own_masks: tuple[int, ...] = (1, 3, 5)
    own_structures: tuple[int, ...] = (0, 1)
    own_repeats: int = 4
    own_minutes: float = 5.0
    calibration_boxes: int = 100
    large: tuple[int, int, int] = (300, 512, 512)


FULL = Counts()
QUICK = Counts((0.25, 1.0), 4, (1, 3), 2, 0.05, 0.015, (0.25,), 1, 3, 2, (1,), (0,), 1, 0.05, 30, (60, 256, 256))


@dataclass
class Context:
    """One run: how many, where results and pictures go, seed, the default corrector, and the processes that a section
    may share its cases out to."""

    counts: Counts
    cache: Path
    images: Path
    seed: int
    corrector: Corrector
    workers: int = 1


@dataclass
class Look:
    """A box around a known object, and what a corrector says of it.

    `corrector` has a network, a view, and what is needed for `corrected`; None where only rules are asked.
    """

    scene: Scene
    frame: Frame
    mask: np.ndarray
    tight: np.ndarray
    corrector: Any
    _seen: dict[int, Prediction] = field(default_factory=dict)

    @staticmethod
    def at(scene: Scene, box: Box, axis: int, corrector: Any) -> Look:
        step = min(float(scene.image.spacing[axis]), float(box.size[axis]))
        view = View() if corrector is None else corrector.view
        frame = view.frame(box, axis, step)
        mask = mask_on(frame, scene.mask)
        return Look(scene, frame, mask, tight_bounds(mask, frame), corrector)

    def seen(self, patch: int) -> Prediction:
        if patch not in self._seen:
            network, view = self.corrector.network, self.corrector.view
            self._seen[patch] = predict(network, self.scene.image, self.frame, view, patch, torch.device("cpu"))
        return self._seen[patch]

    @property
    def loose(self) -> np.ndarray:
        frame = self.frame
        whole = [[-frame.box.size[one] / 2, frame.box.size[one] / 2] for one in frame.plane]
        return np.tile(np.array(whole), (frame.slices, 1, 1))

    def corrected(self, patch: int, calibration: Calibration, coverage: float = STRICT) -> tuple[np.ndarray, bool]:
        """Per-slice boxes whatever the safety test says, and what it says."""
        level = calibration.levels[coverage]
        seen = self.seen(patch)
        clean = seen.cleaned(patch, level.threshold)
        return seen.bounds(clean, level.margin * clean.patch_mm), not calibration.rejection(clean, coverage)

    def tightened(self, bounds: np.ndarray) -> TightenResult:
        """What `tighten` gives for boxes of slices that it is sure of."""
        there = ~np.isnan(bounds[:, 0, 0])
        slices = [
            SliceBox(number, float(at), bounds[number] if there[number] else None, (), 1.0, False)
            for number, at in enumerate(self.frame.positions())
        ]
        box, axis = around_slices(bounds, self.frame), self.frame.axis
        return TightenResult(box, slices, axis, True, "", 0.0, 0.0, STRICT, self.frame, {}, "cpu", "")

    def filled(self, bounds: np.ndarray) -> np.ndarray:
        """(K, J, I) bool on the image's grid: within the boxes of the slices."""
        return self.tightened(bounds).slices_as_volume(self.scene.image.grid).array > 0

    def network_boxes(self) -> np.ndarray:
        """The boxes of the network's own mask in one look: no patches, intensities, calibration or clean-up."""
        view, grid = self.corrector.view, self.frame.cells(0, self.frame.planes)
        channels = view.channels(self.scene.image, self.frame)
        chances = cell_probabilities(self.corrector.network, channels, grid, view, torch.device("cpu"))
        cells = between_planes(np.ascontiguousarray(chances), self.frame)
        inside = np.repeat(np.repeat(cells > 0.5, CELL, axis=1), CELL, axis=2)
        return tight_bounds(inside.astype(np.float32), self.frame)

    def masked(self, rule: Callable[..., np.ndarray]) -> np.ndarray:
        return tight_bounds(rule(self.scene.image, self.frame).astype(np.float32), self.frame)

    def score(self, bounds: np.ndarray, safe: bool = True) -> dict[str, Any]:
        """Slice IoU (over all slices, and over those that hold the object), coverage, and signed errors (mm) of the six
        sides of the box around all slices."""
        there = ~np.isnan(self.tight[:, 0, 0])
        return {
            "iou": mean_slice_iou(bounds, self.tight),
            "iou_there": mean_slice_iou(bounds[there], self.tight[there]),
            "coverage": covered(bounds, self.mask, self.frame),
            "sides": _sides(bounds, self.frame) - _sides(self.tight, self.frame) if _any(bounds) else None,
            "safe": bool(safe),
        }


def _any(bounds: np.ndarray) -> bool:
    return bool((~np.isnan(bounds[:, 0, 0])).any())


def _sides(bounds: np.ndarray, frame: Frame) -> np.ndarray:
    """Outward positions of the six sides (mm): a larger number is a larger box."""
    there = np.flatnonzero(~np.isnan(bounds[:, 0, 0]))
    along = frame.positions()[there[[0, -1]]] + np.array([-0.5, 0.5]) * frame.step
    lower = [-along[0], *(-np.nanmin(bounds[:, one, 0]) for one in range(2))]
    return np.array([*lower, along[1], *(np.nanmax(bounds[:, one, 1]) for one in range(2))])


def rules() -> dict[str, Callable[..., np.ndarray]]:
    """Methods without training; GrabCut where OpenCV is installed."""
    found = {"Otsu in the box": otsu_mask, "histograms, untrained": histogram_mask}
    try:
        import cv2
    except ImportError:
        return found

    def grabcut(image, frame) -> np.ndarray:
        values, inside, radius = in_box(image, frame)
        low, high = np.percentile(values[inside], (0.5, 99.5))
        grey = (np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)
        # The same hint as the other rules have: the middle is object. Without it, kidneys come out empty.
        start = np.where(inside, np.where(radius <= 1, cv2.GC_PR_FGD, cv2.GC_PR_BGD), cv2.GC_BGD).astype(np.uint8)
        start[radius <= GRABCUT_CORE] = cv2.GC_FGD
        result = np.zeros(values.shape, bool)
        for plane, mask, found_here in zip(grey, start, result, strict=True):
            cv2.setRNGSeed(0)
            colours, models = np.repeat(plane[..., None], 3, axis=2), (np.zeros((1, 65)), np.zeros((1, 65)))
            try:
                cv2.grabCut(colours, mask, None, *models, 2, cv2.GC_INIT_WITH_MASK)
            except cv2.error:  # a plane of one colour, or one that the middle does not reach
                continue
            found_here[:] = np.isin(mask, (cv2.GC_PR_FGD, cv2.GC_FGD))
        return result & inside

    return {**found, "GrabCut in each slice": grabcut}


def summary(scores: list[dict[str, Any]]) -> dict[str, float | None]:
    """Means over cases, and the shares of cases that keep enough of the object."""
    enough = np.array([one["coverage"] >= STRICT for one in scores])
    safe = np.array([one["safe"] for one in scores])
    sides = [one["sides"] for one in scores if one["sides"] is not None]
    return {
        "cases": len(scores),
        "iou": float(np.mean([one["iou"] for one in scores])),
        "iou_there": float(np.mean([one["iou_there"] for one in scores])),
        "coverage": float(np.mean([one["coverage"] for one in scores])),
        "enough": float(enough.mean()),
        "side_mm": float(np.mean(np.concatenate(sides))) if sides else None,
        "side_abs_mm": float(np.mean(np.abs(np.concatenate(sides)))) if sides else None,
        "safe": float(safe.mean()),
        "cut_while_safe": int((safe & ~enough).sum()),
    }


def kept_when_unsafe(look: Look, bounds: np.ndarray, safe: bool) -> dict[str, Any]:
    """The score of what `tighten` gives: the loose box where it is not sure."""
    return look.score(bounds if safe else look.loose, safe)


def pairs(counts: Counts) -> Iterator[tuple[float, int]]:
    for margin in counts.margins:
        for number in range(counts.phantoms):
            yield margin, number


def fingerprint_of_code(patterns: tuple[str, ...]) -> str:
    """Of what files of the library do, for the names of what they computed; comments do not count."""
    folder = Path(corrector_package.__file__).parents[1]
    whole = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                node.body = [one for one in body if not _is_text(one)]
        whole.update(ast.dump(tree).encode())
    return whole.hexdigest()[:16]


def _is_text(statement: ast.stmt) -> bool:
    """A docstring, or one below a constant."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
        return False
    return isinstance(statement.value.value, str)


def fingerprint(scenes: list[Scene]) -> str:
    """Of what images and masks hold, for the names of what was trained on them."""
    whole = hashlib.sha256()
    for scene in scenes:
        whole.update(np.ascontiguousarray(scene.image.array).tobytes())
        whole.update(np.ascontiguousarray(scene.mask.array).tobytes())
    return whole.hexdigest()
