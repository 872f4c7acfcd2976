"""Calibrating a corrector on cases with known masks; what is measured, and why, stands in `calibration`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from .calibration import COVERAGES, LEAST_MARGIN, STRICT, SUREST, Calibration, features, margin_of
from .cleanup import cleaned, slice_bounds, smoothed_shares, widened
from .frame import Frame
from .slice_measures import ObjectPart, mean_slice_iou, tight_bounds

THRESHOLDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3)
"""A low one widens a map where the network is in doubt, and only there; a margin widens it everywhere."""
MARGINS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""In patches; those that are tried for every case."""
WIDEST = (0.5, 1.0, 2.0, 4.0, 6.0)
"""In patches; from which one a map is not trusted."""
ACCEPTED_FAILURES = 0.04
"""Of the cases that are trusted, so many may miss the wanted coverage."""
FOLDS = 5
_QUANTILE = 0.9
_PENALTY = 0.02
_HOPELESS = 2 * MARGINS[-1]
_LEAST_SPREAD = 0.03
_SHIFTS = [round(-1.0 + 0.05 * step, 2) for step in range(141)]
"""Of log2(margin); the last one is more than any widest margin allows."""


@dataclass(frozen=True)
class CalibrationCase:
    """What the network said of the slices of a box, and the truth.

    Attributes
    ----------
    frame
        Of the box.
    shares
        (slices, rows, columns): the network's map of patches, as it is.
    mask
        (slices, pixel rows, pixel columns): 1 for object.
    group
        The same for boxes around the same object.
    """

    frame: Frame
    shares: np.ndarray
    mask: np.ndarray
    group: int = 0


@dataclass(frozen=True)
class _Measured:
    """Of n cases at one threshold.

    Attributes
    ----------
    values
        (n, len(FEATURES)).
    needed
        (n, len(COVERAGES)) the least margin (patches) for each coverage, `_HOPELESS` where none suffices.
    overlap, covered
        (n, len(MARGINS)) slice IoU, and share of the object that is kept.
    """

    values: np.ndarray
    needed: np.ndarray
    overlap: np.ndarray
    covered: np.ndarray


def calibrated(cases: Sequence[CalibrationCase], patch: int) -> Calibration:
    """Choose the threshold, and learn how wide a margin a map needs and which maps not to trust.

    Raises
    ------
    InputError
        There are no cases.
    """
    if not cases:
        raise InputError("There are no cases to calibrate with; give at least one image with its mask.")
    smooth = [smoothed_shares(case.shares, case.frame, patch) for case in cases]
    tight = [tight_bounds(case.mask, case.frame) for case in cases]
    objects = [ObjectPart.of(case.mask, case.frame) for case in cases]
    loose = np.array([mean_slice_iou(_whole(case.frame), one) for case, one in zip(cases, tight, strict=True)])
    groups = np.array([case.group for case in cases])
    best: tuple[float, Calibration] | None = None
    for threshold in THRESHOLDS:
        measured = _measure(cases, smooth, tight, objects, patch, threshold)
        for score, found in _fits(measured, loose, groups, threshold):
            if best is None or score > best[0]:
                best = score, found
    return best[1]


def _measure(
    cases: Sequence[CalibrationCase],
    smooth: Sequence[np.ndarray],
    tight: Sequence[np.ndarray],
    objects: Sequence[ObjectPart],
    patch: int,
    threshold: float,
) -> _Measured:
    values = []
    covered, overlap = (np.zeros((len(cases), len(MARGINS))) for _ in range(2))
    for number, case in enumerate(cases):
        clean = cleaned(smooth[number], case.frame, patch, threshold)
        values.append(features(clean))
        tightest = slice_bounds(clean)
        for column, margin in enumerate(MARGINS):
            bounds = widened(tightest, case.frame, margin * clean.patch_mm)
            covered[number, column] = objects[number].covered(bounds)
            overlap[number, column] = mean_slice_iou(bounds, tight[number])
    enough = covered[:, :, None] >= np.array(COVERAGES)
    needed = np.where(enough.any(axis=1), np.array(MARGINS)[enough.argmax(axis=1)], _HOPELESS)
    return _Measured(np.array(values), needed, overlap, covered)


def _fits(
    measured: _Measured, loose: np.ndarray, groups: np.ndarray, threshold: float
) -> Iterator[tuple[float, Calibration]]:
    """Yield (mean slice IoU, calibration) for every widest margin at one threshold."""
    wanted = np.log2(measured.needed + LEAST_MARGIN)
    strict = COVERAGES.index(STRICT)
    weights, offset = _regression(measured.values, wanted[:, strict])
    foretold = measured.values @ weights + offset
    folds = np.unique(groups, return_inverse=True)[1] % FOLDS
    for fold in np.unique(folds):
        other = folds != fold
        if other.any():  # of one object nothing can be held back
            apart, shift = _regression(measured.values[other], wanted[other, strict])
            foretold[~other] = measured.values[~other] @ apart + shift
    seen = measured.values[:, 0] >= SUREST
    for widest in WIDEST:
        shifts, safe = _shifts(foretold, wanted, seen, widest)
        margins = margin_of(foretold + shifts[STRICT])
        reached = np.array([np.interp(one, MARGINS, row) for one, row in zip(margins, measured.overlap, strict=True)])
        coverage = np.array([np.interp(one, MARGINS, row) for one, row in zip(margins, measured.covered, strict=True)])
        score = float(np.where(safe, reached, loose).mean())
        report = {
            "safe": round(float(safe.mean()), 4),
            "failed_among_safe": round(float((coverage < STRICT)[safe].mean()), 4) if safe.any() else 0.0,
            "slice_iou": round(score, 4),
            "loose_slice_iou": round(float(loose.mean()), 4),
            "margin": round(float(np.median(margins[safe])), 4) if safe.any() else 0.0,
        }
        yield score, Calibration(threshold, tuple(map(float, weights)), offset, shifts, widest, len(loose), report)


def _shifts(
    foretold: np.ndarray, wanted: np.ndarray, seen: np.ndarray, widest: float
) -> tuple[dict[float, float], np.ndarray]:
    """What is added for every coverage so that few of the trusted cases get too little, and which are trusted.

    A wider shift makes fewer cases trusted, so it is looked for from the smallest one on.
    """
    strict = COVERAGES.index(STRICT)
    for shift in _SHIFTS:
        safe = seen & (margin_of(foretold + shift) <= widest)
        failed = (wanted[:, strict] > foretold + shift) & safe
        # Half a failure more than there were: a few cases without one prove little.
        if failed.sum() + 0.5 <= ACCEPTED_FAILURES * safe.sum():
            break
    else:  # no margin is wide enough for enough of them
        return dict.fromkeys(COVERAGES, _SHIFTS[-1]), np.zeros(len(foretold), bool)
    shifts = {}
    for column, coverage in enumerate(COVERAGES):
        lacking = np.sort((wanted[:, column] - foretold)[safe])
        rank = int(np.ceil((1 - ACCEPTED_FAILURES) * (len(lacking) + 1))) - 1
        shifts[coverage] = float(lacking[min(rank, len(lacking) - 1)])
    shifts[STRICT] = shift
    # More coverage never gets less margin.
    ordered = np.array(list(shifts.values()))
    ordered[:strict] = np.minimum(ordered[:strict], shift)
    return dict(zip(COVERAGES, np.maximum.accumulate(ordered).tolist(), strict=True)), safe


def _regression(values: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and offset of a linear quantile regression with an absolute penalty, on standardised features."""
    from scipy.optimize import linprog

    mean, spread = values.mean(axis=0), np.maximum(values.std(axis=0), _LEAST_SPREAD)
    given = (values - mean) / spread
    count, size = given.shape
    one = np.ones((count, 1))
    # wanted = given . (w+ - w-) + (b+ - b-) + over - under, everything at least 0
    matrix = np.hstack([given, -given, one, -one, np.eye(count), -np.eye(count)])
    cost = np.concatenate(
        [np.full(2 * size, _PENALTY * count), np.zeros(2), np.full(count, _QUANTILE), np.full(count, 1 - _QUANTILE)]
    )
    solution = linprog(cost, A_eq=matrix, b_eq=wanted, bounds=(0, None), method="highs").x
    weights = (solution[:size] - solution[size : 2 * size]) / spread
    return weights, float(solution[2 * size] - solution[2 * size + 1] - weights @ mean)


def _whole(frame: Frame) -> np.ndarray:
    """(slices, 2, 2): the loose box on every slice."""
    sides = [[-frame.box.size[axis] / 2, frame.box.size[axis] / 2] for axis in frame.plane]
    return np.tile(np.array(sides), (frame.slices, 1, 1))
