"""How good an edit is: overlap, surface distances, the paper's D, and what changed where.

Masks are boolean arrays (K, J, I) on one grid. `spacing` is one number or three in the order of the array's axes
(K, J, I), in mm. A contour is a mask's inner boundary: its voxels that have a face neighbour outside; the array's edge
counts as inside, so that where it cuts the object there is no contour. An object that fills the whole array
has no contour and is treated like an empty one in the distances.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.masks import bounding_slices, on_one_grid

Spacing = float | Sequence[float]


def _spacing(spacing: Spacing) -> np.ndarray:
    values = np.broadcast_to(np.asarray(spacing, float), 3)
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise InputError(f"A spacing of {spacing} mm is not positive; give one or three positive numbers.")
    return values


def _box(*masks: np.ndarray) -> tuple[slice, ...]:
    """Bounding box of all masks together with one voxel around, so that distances are computed on a small array."""
    together = np.logical_or.reduce(masks)
    return bounding_slices(together, 1) or (slice(0, 1),) * together.ndim


def contour(mask: np.ndarray) -> np.ndarray:
    """Inner boundary voxels of a mask: (K, J, I) bool."""
    mask = np.asarray(mask, bool)
    return mask & ~ndimage.binary_erosion(mask, border_value=1)


def average_surface_distance(a: np.ndarray, b: np.ndarray, spacing: Spacing) -> float:
    """Average symmetric surface distance in mm.

    The mean over all contour voxels of both masks of the Euclidean distance to the other contour, the quantity of
    `monai.metrics.compute_average_surface_distance(symmetric=True)`, computed on a crop and without PyTorch.
    0 when neither mask has a contour, infinite when only one has.
    """
    a, b = on_one_grid(a, b)
    first, second = contour(a), contour(b)
    if not first.any() or not second.any():
        return 0.0 if first.any() == second.any() else float("inf")
    box, sampling = _box(first, second), _spacing(spacing)
    first, second = first[box], second[box]
    there = ndimage.distance_transform_edt(~second, sampling)[first]
    back = ndimage.distance_transform_edt(~first, sampling)[second]
    return float(np.concatenate([there, back]).mean())


def _manhattan(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """City-block distance (voxels) from marked voxels to the nearest marked voxel of `target`; infinite if none."""
    if not target.any():
        return np.full(np.count_nonzero(points), np.inf)
    return ndimage.distance_transform_cdt(~target, "taxicab")[points].astype(float)


def _statistics(values: np.ndarray) -> tuple[float, float]:
    """Mean and 95th percentile (of the observed values, so that infinite ones stay infinite); NaN without values."""
    if len(values) == 0:
        return float("nan"), float("nan")
    return float(values.mean()), float(np.percentile(values, 95, method="higher"))


def editing_distance(
    truth: np.ndarray, initial: np.ndarray, edited: np.ndarray, attention: np.ndarray, spacing_mm: float = 1.0
) -> dict[str, float]:
    """The paper's D (Eq. 4-6): truth near the stroke, the initial segmentation far from it, both against the edit.

    Near (attention > 0.5), for every voxel of the truth's contour: the Manhattan distance to the edited contour
    (Eq. 5). Far (the rest), for every voxel of the initial contour the distance to the edited one and vice versa
    (Eq. 6). The attention is thresholded, as in the paper's tables, instead of weighing the distances. The two
    directions of the far part are pooled with full weight: the 1/2 of Eq. 6 is that of an average of two directions.
    The overall values are taken over the near and far voxels together.

    Parameters
    ----------
    truth, initial, edited : (K, J, I) bool on an isotropic grid
    attention : (K, J, I) float, 0 .. 1, or bool for a zone that is known already
    spacing_mm : float
        Voxel size; distances are multiplied by it.

    Returns
    -------
    dict
        "mean", "p95", "near_mean", "near_p95", "far_mean", "far_p95". NaN for a part without contour voxels; infinite
        where the edited segmentation has no contour to measure to.
    """
    truth, initial, edited = on_one_grid(truth, initial, edited)
    attention = np.asarray(attention, float)
    if attention.shape != truth.shape:
        raise InputError(f"The attention's shape {attention.shape} is not the masks' {truth.shape}; use one grid.")
    near = attention > 0.5
    outline, before, after = contour(truth), contour(initial), contour(edited)
    close = _manhattan(outline & near, after)
    far = np.concatenate([_manhattan(before & ~near, after), _manhattan(after & ~near, before)])
    result = {}
    for name, values in (("", np.concatenate([close, far])), ("near_", close), ("far_", far)):
        result[name + "mean"], result[name + "p95"] = (spacing_mm * value for value in _statistics(values))
    return result


def near_error(truth: np.ndarray, edited: np.ndarray, zone: np.ndarray, spacing: Spacing) -> tuple[float, float]:
    """Mean and 95th percentile (mm, Euclidean) of the distance of the truth's contour within a zone to the edit's.

    Measured again after later edits it tells whether an earlier edit was retained. NaN where the zone holds no true
    contour, infinite when the edited segmentation has none.
    """
    truth, edited, zone = on_one_grid(truth, edited, zone)
    outline, after = contour(truth) & zone, contour(edited)
    if outline.any() and not after.any():
        return float("inf"), float("inf")
    if not outline.any():
        return float("nan"), float("nan")
    box = _box(outline, after)
    return _statistics(ndimage.distance_transform_edt(~after[box], _spacing(spacing))[outline[box]])


def off_target_change_mm3(before: np.ndarray, after: np.ndarray, zone: np.ndarray, spacing: Spacing) -> float:
    """Volume (mm3) that changed outside the zone."""
    before, after, zone = on_one_grid(before, after, zone)
    return float(np.count_nonzero((before ^ after) & ~zone) * _spacing(spacing).prod())


def in_zone_error_removed(truth: np.ndarray, before: np.ndarray, after: np.ndarray, zone: np.ndarray) -> float:
    """Share of the wrong voxels within the zone that the edit put right, net of those it made wrong there.

    1 is a perfect zone, 0 no gain, negative a loss. NaN where the zone held no error.
    """
    truth, before, after, zone = on_one_grid(truth, before, after, zone)
    wrong = np.count_nonzero((truth ^ before) & zone)
    if wrong == 0:
        return float("nan")
    return 1.0 - np.count_nonzero((truth ^ after) & zone) / wrong
