"""Calibration of a corrector: the share of object from which a patch counts, and the maps that are rejected.

All of it is measured, for every wanted coverage, on boxes around objects whose masks are known and that training has
not seen, or of which it has seen other copies only. The threshold is the main lever: a low one widens a box where the
network is uncertain, where a margin would widen it everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.box import Box
from ...core.errors import InputError, in_digits
from ...core.masks import mean_diameter
from ...core.progress import Progress
from ...core.volume import Volume
from ..metrics import ObjectPart, mean_slice_iou, tight_bounds
from ..segmenter.postprocessing import main_component
from ..segmenter.postprocessing import mask_on as object_on
from ..slices import Frame
from .inference import Prediction
from .postprocessing import CleanMap, cleaned, slice_bounds, smoothed_shares, widened
from .working_grid import patch_grid

COVERAGES = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
STRICT = 0.99
"""The coverage whose figures stand for a model."""
LEAST_PEAK = 0.4
"""A map without a patch of so much object is rejected."""
FAR_LONGER = 1.75
"""Times the longest of a user's objects: what is longer has missed where the object ends. By correctors of three and
five masks of a real vertebra it was 1.87 times as long and more where it was cut in very loose boxes, and 1.5 times at
most in less loose ones."""
THRESHOLDS = (0.0005, 0.001, 0.002, 0.004, 0.007, 0.012, 0.02, 0.035, 0.05, 0.07, 0.1, 0.14, 0.2, 0.25, 0.3, 0.4, 0.5)
MARGINS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
"""Margins that are tried for every case, in patches."""
ACCEPTED_FAILURES = 0.04
"""Largest share of the trusted cases that may miss the wanted coverage."""
LEAST_TRUSTED = 0.2
"""A limit of uncertainty that leaves a smaller share of the boxes is not tried: it could fit so few by chance."""
LIMITS = 12
"""Number of limits of uncertainty that are tried."""


SEGMENTATION_LEVELS = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
"""Chances from which a voxel may count as object where a corrector segments."""


@dataclass(frozen=True)
class Level:
    """Threshold, margin and rejection for one coverage.

    Attributes
    ----------
    threshold
        A patch with a larger share of object counts.
    margin
        Patches that are added on every side.
    largest_uncertain
        A map of which a larger share is uncertain (`uncertain_share`) is rejected; negative rejects every map.
    """

    threshold: float
    margin: float
    largest_uncertain: float


@dataclass(frozen=True)
class Calibration:
    """The levels of a model, and the figures that they were chosen by.

    Attributes
    ----------
    levels
        By coverage, ascending.
    cases
        Number of boxes that it was measured on.
    report
        Figures that were reached on them, by coverage; see `calibrated`.
    longest_mm
        A map with a longer object (`object_diameter`) is rejected; None: of whatever length.
    """

    levels: Mapping[float, Level]
    cases: int = 0
    report: Mapping[float, Mapping[str, float]] = field(default_factory=dict)
    longest_mm: float | None = None

    def stored_coverage(self, coverage: float) -> float:
        """The least coverage that was measured and is enough.

        Raises
        ------
        InputError
            A coverage beyond the calibration.
        """
        for stored in sorted(self.levels):
            if stored >= coverage - 1e-9:
                return stored
        raise InputError(
            f"A coverage of {coverage:g} is more than this model was calibrated for; ask for at most "
            f"{max(self.levels):g} and add a margin."
        )

    def rejection(self, clean: CleanMap, coverage: float) -> str:
        """Reason to reject a map that was cleaned with the threshold of a stored coverage; empty when there is none."""
        if clean.empty:
            return "nothing like an object was found in the box"
        peak = peak_share(clean)
        if peak < LEAST_PEAK:
            return f"no part of the box looks surely like the object (the surest patch: {peak:.0%})"
        if self.longest_mm is not None and (length := object_diameter(clean)) > self.longest_mm:
            return (
                "what was found is far larger than the objects of the model's cases "
                f"(some {in_digits(length)} mm across; up to {in_digits(self.longest_mm)} mm is trusted)"
            )
        limit = self.levels[coverage].largest_uncertain
        if limit < 0:
            return "on the cases it was calibrated with, this model could not be relied on"
        share = uncertain_share(clean)
        if share > limit:
            return f"the object's outline is doubtful ({share:.0%} of what was found; up to {limit:.0%} is trusted)"
        return ""

    def as_parameters(self) -> dict[str, Any]:
        """Values for the metadata of a bundle."""
        return {
            "levels": {
                f"{coverage:g}": {
                    "threshold": level.threshold,
                    "margin": level.margin,
                    "doubtful": level.largest_uncertain,
                }
                for coverage, level in self.levels.items()
            },
            "cases": self.cases,
            "report": {f"{coverage:g}": dict(reached) for coverage, reached in self.report.items()},
            "longest_mm": self.longest_mm,
        }

    @staticmethod
    def from_parameters(values: Mapping[str, Any]) -> Calibration:
        """A calibration from what `as_parameters` gave.

        Raises
        ------
        InputError
            Something is missing or out of range, as in bundles of earlier versions.
        """
        try:
            levels = {
                float(coverage): Level(*(float(stored[name]) for name in ("threshold", "margin", "doubtful")))
                for coverage, stored in values["levels"].items()
            }
            report = {
                float(coverage): {str(name): float(number) for name, number in reached.items()}
                for coverage, reached in values.get("report", {}).items()
            }
            cases = int(values["cases"])
            longest = values.get("longest_mm")
            longest = None if longest is None else float(longest)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"its calibration is not in order ({error!r})") from error
        if STRICT not in levels or not all(
            0 < level.threshold <= 1 and 0 <= level.margin < 1e3 and level.largest_uncertain <= 1
            for level in levels.values()
        ):
            raise InputError("its calibration is not in order (thresholds, margins or shares out of range)")
        if longest is not None and not longest > 0:
            raise InputError(f"its calibration is not in order (objects of up to {longest} mm)")
        return Calibration(dict(sorted(levels.items())), cases, report, longest)


def peak_share(clean: CleanMap) -> float:
    """The largest share of object of the patches that are kept."""
    return float(clean.shares[clean.kept].max())


def object_diameter(clean: CleanMap) -> float:
    """Mean diameter of the object in a map, mm; see `mean_diameter`."""
    return mean_diameter(clean.kept, patch_grid(clean.frame, clean.patch).spacing_kji)


def uncertain_share(clean: CleanMap) -> float:
    """Share of the object in a map that is neither surely object nor surely not, between 0 and 1."""
    inside = clean.shares[clean.kept]
    return float((inside * (1 - inside)).sum() / inside.sum())


@dataclass(frozen=True)
class CalibrationCase:
    """A network's prediction for a box, and the truth.

    Attributes
    ----------
    prediction
        Not yet cleaned.
    mask
        (slices, pixel rows, pixel columns) on the slices of the whole box: 1 for object.
    """

    prediction: Prediction
    mask: np.ndarray

    @property
    def frame(self) -> Frame:
        """The slices of the whole box."""
        return self.prediction.given


@dataclass(frozen=True)
class _Measured:
    """Measures of n cases at one threshold and len(MARGINS) margins.

    Attributes
    ----------
    uncertain
        (n,) share of the object that is uncertain; infinite where a map is always rejected.
    overlap, covered
        (n, len(MARGINS)) slice IoU, and share of the object that is kept.
    """

    uncertain: np.ndarray
    overlap: np.ndarray
    covered: np.ndarray


def calibrated(
    cases: Sequence[CalibrationCase],
    patch: int,
    progress: Progress | None = None,
    longest_mm: float | None = None,
) -> Calibration:
    """The best threshold, margin and limit of uncertainty for every coverage.

    Of all that few enough of the trusted cases fail with, those with the highest mean slice IoU are taken; a box that
    is not trusted counts as the loose one. Few enough is what conformal risk control (Angelopoulos et al., 2022) asks
    for so that one more case fails with a chance of at most `ACCEPTED_FAILURES`. Its proof is for one number that is
    chosen on independent cases; here several are, and boxes share objects, so that it is a rule and not a guarantee.

    The report has, by coverage: "safe" (share of boxes that are trusted), "failed_among_safe", "slice_iou" and
    "loose_slice_iou".

    Parameters
    ----------
    patch
        Side of a patch, pixels.
    longest_mm
        As in `Calibration`.

    Raises
    ------
    InputError
        There are no cases.
    """
    if not cases:
        raise InputError("There are no cases to calibrate with; give at least one image with its mask.")
    smooth = [smoothed_shares(case.prediction.shares, case.prediction.frame, patch) for case in cases]
    tight = [tight_bounds(case.mask, case.frame) for case in cases]
    objects = [ObjectPart.of(case.mask, case.frame) for case in cases]
    loose = np.array([mean_slice_iou(_whole(case.frame), truth) for case, truth in zip(cases, tight, strict=True)])
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
        stricter = levels[coverage] if levels[coverage].largest_uncertain >= 0 else stricter
    return Calibration(dict(sorted(levels.items())), len(cases), dict(sorted(report.items())), longest_mm)


def dice_by_level(chances: Volume, mask: Volume, box: Box) -> np.ndarray:
    """Dice of what a corrector segments in a box at each of `SEGMENTATION_LEVELS`, on the mask's grid.

    Parameters
    ----------
    chances
        Of cells, from `inference.predict`.
    mask
        Not 0 in the object.
    """
    part = mask.grid.slices_around(box.corners(), 0.0)
    truth = mask.cropped(part)
    total, inside = np.count_nonzero(mask.array), truth.array != 0
    allowed = box.mask_on(chances.grid)
    overlaps = []
    for level in SEGMENTATION_LEVELS:
        found = object_on(main_component(chances, allowed, level), truth.grid, box, level) > 0
        overlaps.append(2 * np.count_nonzero(found & inside) / (np.count_nonzero(found) + total))
    return np.array(overlaps)


def best_level(overlaps: Sequence[np.ndarray]) -> float:
    """The level with the largest mean of what `dice_by_level` found."""
    return SEGMENTATION_LEVELS[int(np.mean(overlaps, axis=0).argmax())]


def _measure(
    cases: Sequence[CalibrationCase],
    smooth: Sequence[np.ndarray],
    tight: Sequence[np.ndarray],
    objects: Sequence[ObjectPart],
    patch: int,
    threshold: float,
    longest_mm: float | None,
) -> _Measured:
    uncertain = np.full(len(cases), np.inf)
    covered, overlap = (np.zeros((len(cases), len(MARGINS))) for _ in range(2))
    for number, case in enumerate(cases):
        clean = cleaned(smooth[number], case.prediction.frame, patch, threshold)
        sure = not clean.empty and peak_share(clean) >= LEAST_PEAK
        if sure and (longest_mm is None or object_diameter(clean) <= longest_mm):
            uncertain[number] = uncertain_share(clean)
        tightest = case.prediction.on_given(slice_bounds(clean))
        for column, margin in enumerate(MARGINS):
            bounds = widened(tightest, case.frame, margin * clean.patch_mm)
            covered[number, column] = objects[number].covered(bounds)
            overlap[number, column] = mean_slice_iou(bounds, tight[number])
    return _Measured(uncertain, overlap, covered)


def _best(
    measured: dict[float, _Measured], loose: np.ndarray, coverage: float, stricter: Level | None
) -> tuple[Level, dict[str, float]]:
    """The level with the highest mean slice IoU, and the figures that it reaches; without any that is good enough, one
    that rejects every map. No box is to be wider than with a stricter level."""
    count = len(loose)
    best, best_score = Level(THRESHOLDS[0], 0.0, -1.0), float(loose.mean())
    safe_share, failed_share = 0.0, 0.0
    # An uncertainty that is rare in one kind of image may be usual in another: a limit is the last resort.
    for limits in ([1.0], np.linspace(LEAST_TRUSTED, 1, LIMITS)[:-1]):
        for threshold, at in measured.items():
            uncertain = at.uncertain[np.isfinite(at.uncertain)]
            if not uncertain.size or (stricter and threshold < stricter.threshold):
                continue
            for share in limits:
                limit = 1.0 if share == 1 else float(np.quantile(uncertain, share))
                safe = at.uncertain <= limit
                if safe.sum() < LEAST_TRUSTED * count:
                    continue
                for column, margin in enumerate(MARGINS):
                    if stricter and margin > stricter.margin:
                        continue
                    failed = int((at.covered[safe, column] < coverage).sum())
                    if failed + 1 > ACCEPTED_FAILURES * (safe.sum() + 1):
                        continue
                    score = float(np.where(safe, at.overlap[:, column], loose).mean())
                    if score > best_score:
                        best, best_score = Level(threshold, margin, limit), score
                        safe_share, failed_share = float(safe.mean()), failed / float(safe.sum())
        if best.largest_uncertain >= 0:
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
