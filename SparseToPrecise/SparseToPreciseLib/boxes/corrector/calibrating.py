"""Calibrating a corrector on cases with known masks; what is measured, and why, stands in `calibration`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...core.errors import InputError
from ...core.progress import Progress
from ..frame import Frame
from ..slice_measures import ObjectPart, mean_slice_iou, tight_bounds
from .confidence import COVERAGES, SUREST, Calibration, Level, doubtful_share, found_length, surest_patch
from .inference import Look
from .postprocessing import cleaned, slice_bounds, smoothed_shares, widened

THRESHOLDS = (0.0005, 0.001, 0.002, 0.004, 0.007, 0.012, 0.02, 0.035, 0.05, 0.07, 0.1, 0.14, 0.2, 0.25, 0.3, 0.4, 0.5)
MARGINS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
"""In patches; those that are tried for every case."""
ACCEPTED_FAILURES = 0.04
"""Of the cases that are trusted, so many may miss the wanted coverage."""
LEAST_TRUSTED = 0.2
"""A limit of doubt that leaves fewer boxes is not tried: of so few, one could be found by chance."""
LIMITS = 12
"""How many limits of doubt are tried."""


@dataclass(frozen=True)
class CalibrationCase:
    """What the network said of a box, and the truth.

    Attributes
    ----------
    seen
        The network's map of patches, as it is.
    mask
        (slices, pixel rows, pixel columns) on the slices of the whole box: 1 for object.
    """

    seen: Look
    mask: np.ndarray

    @property
    def frame(self) -> Frame:
        """Of the whole box."""
        return self.seen.given


@dataclass(frozen=True)
class _Measured:
    """Of n cases at one threshold and len(MARGINS) margins.

    Attributes
    ----------
    doubtful
        (n,) share of what was found that is doubtful; infinite where a map is never trusted.
    overlap, covered
        (n, len(MARGINS)) slice IoU, and share of the object that is kept.
    """

    doubtful: np.ndarray
    overlap: np.ndarray
    covered: np.ndarray


def calibrated(
    cases: Sequence[CalibrationCase],
    patch: int,
    progress: Progress | None = None,
    longest_mm: float | None = None,
) -> Calibration:
    """Choose threshold, margin and limit of doubt for every coverage; a map with something longer is never trusted.

    Of all that few enough of the trusted cases fail with, those with the highest mean slice IoU are taken; a box that
    is not trusted counts as the loose one. Few enough is what conformal risk control (Angelopoulos et al., 2022) asks
    for so that one more case fails with a chance of at most `ACCEPTED_FAILURES`. Its proof is for one number that is
    chosen on independent cases; here several are, and boxes share objects, so that it is a rule and not a guarantee.

    The report tells, by coverage: "safe" (share of boxes that are trusted), "failed_among_safe", "slice_iou" and
    "loose_slice_iou".

    Raises
    ------
    InputError
        There are no cases.
    """
    if not cases:
        raise InputError("There are no cases to calibrate with; give at least one image with its mask.")
    smooth = [smoothed_shares(case.seen.shares, case.seen.frame, patch) for case in cases]
    tight = [tight_bounds(case.mask, case.frame) for case in cases]
    objects = [ObjectPart.of(case.mask, case.frame) for case in cases]
    loose = np.array([mean_slice_iou(_whole(case.frame), one) for case, one in zip(cases, tight, strict=True)])
    measured = {}
    for number, threshold in enumerate(THRESHOLDS):
        if progress is not None:
            progress(number / len(THRESHOLDS), f"calibrating: threshold {number + 1} of {len(THRESHOLDS)}")
        measured[threshold] = _measure(cases, smooth, tight, objects, patch, threshold, longest_mm)
    levels: dict[float, Level] = {}
    report: dict[float, dict[str, float]] = {}
    stricter = None
    for coverage in sorted(COVERAGES, reverse=True):
        levels[coverage], report[coverage] = _best(measured, loose, coverage, stricter)
        stricter = levels[coverage] if levels[coverage].doubtful >= 0 else stricter
    return Calibration(dict(sorted(levels.items())), len(cases), dict(sorted(report.items())), longest_mm)


def _measure(
    cases: Sequence[CalibrationCase],
    smooth: Sequence[np.ndarray],
    tight: Sequence[np.ndarray],
    objects: Sequence[ObjectPart],
    patch: int,
    threshold: float,
    longest_mm: float | None,
) -> _Measured:
    doubtful = np.full(len(cases), np.inf)
    covered, overlap = (np.zeros((len(cases), len(MARGINS))) for _ in range(2))
    for number, case in enumerate(cases):
        clean = cleaned(smooth[number], case.seen.frame, patch, threshold)
        sure = not clean.empty and surest_patch(clean) >= SUREST
        if sure and (longest_mm is None or found_length(clean) <= longest_mm):
            doubtful[number] = doubtful_share(clean)
        tightest = case.seen.on_given(slice_bounds(clean))
        for column, margin in enumerate(MARGINS):
            bounds = widened(tightest, case.frame, margin * clean.patch_mm)
            covered[number, column] = objects[number].covered(bounds)
            overlap[number, column] = mean_slice_iou(bounds, tight[number])
    return _Measured(doubtful, overlap, covered)


def _best(
    measured: dict[float, _Measured], loose: np.ndarray, coverage: float, stricter: Level | None
) -> tuple[Level, dict[str, float]]:
    """The level with the highest mean slice IoU, and what it reaches; without any that is good enough, one that trusts
    no map. No box is to be wider than with a stricter level."""
    count = len(loose)
    best, best_score = Level(THRESHOLDS[0], 0.0, -1.0), float(loose.mean())
    safe_share, failed_share = 0.0, 0.0
    # What is doubtful in one kind of image may be usual in another: a limit is the last resort.
    for limits in ([1.0], np.linspace(LEAST_TRUSTED, 1, LIMITS)[:-1]):
        for threshold, one in measured.items():
            seen = one.doubtful[np.isfinite(one.doubtful)]
            if not seen.size or (stricter and threshold < stricter.threshold):
                continue
            for share in limits:
                limit = 1.0 if share == 1 else float(np.quantile(seen, share))
                safe = one.doubtful <= limit
                if safe.sum() < LEAST_TRUSTED * count:
                    continue
                for column, margin in enumerate(MARGINS):
                    if stricter and margin > stricter.margin:
                        continue
                    failed = int((one.covered[safe, column] < coverage).sum())
                    if failed + 1 > ACCEPTED_FAILURES * (safe.sum() + 1):
                        continue
                    score = float(np.where(safe, one.overlap[:, column], loose).mean())
                    if score > best_score:
                        best, best_score = Level(threshold, margin, limit), score
                        safe_share, failed_share = float(safe.mean()), failed / float(safe.sum())
        if best.doubtful >= 0:
            break
    return best, {
        "safe": round(safe_share, 4),
        "failed_among_safe": round(failed_share, 4),
        "slice_iou": round(best_score, 4),
        "loose_slice_iou": round(float(loose.mean()), 4),
    }


def _whole(frame: Frame) -> np.ndarray:
    """(slices, 2, 2): the loose box on every slice."""
    sides = [[-frame.box.size[axis] / 2, frame.box.size[axis] / 2] for axis in frame.plane]
    return np.tile(np.array(sides), (frame.slices, 1, 1))
