"""Input of the networks: an MR on the working grid around its body, in units of that body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError, in_mm
from ..core.masks import bounding_slices
from ..core.progress import Progress
from ..core.volume import Grid, Volume
from .body import body_by_texture, body_mask, field_of_view, grown, mask_on, touched_sides
from .modality import Surroundings, refuse_ct, refuse_mask, surroundings
from .working_grid import onto_working_grid, outer_corners, working_grid_around

BACKGROUND = -2.0
"""Standardised intensity of air, and of everything outside the body."""
BRIGHT = 2.0
"""Standardised intensity of the 98th percentile within the body."""
HIGHEST = 4.0
"""Brighter voxels (vessels, artefacts) are clipped to it."""
BODY_PARAMETERS = {"standardisation": "air to 98th percentile", "air": BACKGROUND, "bright": BRIGHT, "highest": HIGHEST}
"""The standardisation, for the metadata of what is trained with it."""
MARGIN_MM = 8.0
"""Air that a network sees around the body."""
_LEAST_VOXELS = 4
_ROUGH = 4  # so many voxels of the working grid along a side of those on which the body is looked for first
_ROUGH_MARGIN_MM = 24.0
_LEAST_LOST = 0.1
"""Share of what a mask has left that must be missing from the body, for all of it to be taken."""
_SHELL_MM = 15.0
"""Thickness up to which what is dark beside a constant surrounding may be skin and fat."""
_MOST_SIDES = 4
"""Sides of an image that a body may reach; a trunk reaches two, both legs of a coronal slab four."""
_LARGEST = 1e30
"""Largest value of an MR: the work is done in float32, and sums of them must be finite."""


@dataclass(frozen=True)
class NetworkInput:
    """An MR as a network sees it.

    Attributes
    ----------
    z
        (K, J, I) float32 standardised intensities on `grid`, `BACKGROUND` outside the body.
    mask
        (K, J, I) bool, the body.
    grid
        Isotropic, along RAS, around the body with a margin.
    location, scale
        z = (MR - location) / scale.
    notes
        Sentences for the user on how the body was found.
    """

    z: np.ndarray
    mask: np.ndarray
    grid: Grid
    location: float
    scale: float
    notes: tuple[str, ...] = ()


def network_input(
    mr: Volume, spacing_mm: float, body: Volume | None = None, progress: Progress | None = None
) -> NetworkInput:
    """Bring an MR onto the working grid and standardise it.

    Parameters
    ----------
    mr
        Any unit and grid; padding around it may have a value of its own, or be NaN.
    spacing_mm
        Spacing of the working grid.
    body
        Mask of the body on any grid, non-zero is inside; None: `body.body_mask` finds it.
    progress
        Hears of the stages; may cancel.

    Raises
    ------
    InputError
        See `body_mask`, `field_of_view` and `standardised`; the MR is smaller than a few voxels of the working grid;
        the given mask is empty or lies elsewhere.
    """
    progress = progress or Progress()
    progress(0.0, "finding the body")
    corners = outer_corners(mr.grid)
    sides = np.ptp(corners, axis=0)
    if sides.max() < _LEAST_VOXELS * spacing_mm:
        raise InputError(f"{mr.name or 'The MR'} is only {in_mm(sides)} large; check its spacing.")
    given = mr
    known = field_of_view(mr)
    around = None
    if known is not None:
        # As dark as its air, so that nothing bright is interpolated; on the working grid it is beyond the image.
        mr = mr.with_array(np.where(known, mr.array, np.percentile(mr.array[known], 1)).astype(np.float32))
    else:
        around = surroundings(mr.array)
        mr = mr if around is None else mr.with_array(around.filled(mr.array))
    grid = working_grid_around(corners.min(axis=0), corners.max(axis=0), spacing_mm)
    near = grid.slices_around(_rough_body(mr, spacing_mm, body), _ROUGH_MARGIN_MM)
    if all(part.start < part.stop for part in near):  # a given mask may lie elsewhere, which is said below
        grid = grid.cropped(near)
    progress(0.1, "to the model's voxels")
    values = Volume(onto_working_grid(mr, grid), grid.ijk_to_ras, mr.name)
    if known is not None:
        values.array[~mask_on(mr.with_array(known), grid)] = np.nan
    progress(0.4, "finding the body")
    notes: tuple[str, ...] = ()
    if body is None:
        mask, notes = _found_body(mr, given, values, around)
    else:
        mask = mask_on(body, grid) & np.isfinite(values.array)
        if not mask.any():
            state = "is empty" if not body.array.any() else f"lies outside {mr.name or 'the MR'}"
            raise InputError(f"The body mask {body.name} {state}; choose another one or none.")
    progress(0.9, "measuring its intensities")
    slices = bounding_slices(mask, round(MARGIN_MM / spacing_mm))
    # Only air near the body counts: farther away there may be padding.
    mask = np.ascontiguousarray(mask[slices])
    z, (location, scale) = standardised(values.array[slices], mask)
    return NetworkInput(z, mask, grid.cropped(slices), location, scale, notes)


def _kept_by_mask(mr: Volume, values: Volume, around: float) -> np.ndarray:
    """(K, J, I) bool on the working grid: what is left where an image has not the value around it, without holes."""
    kept = mask_on(mr.with_array(mr.array != around), values.grid)
    return body_mask(values.with_array(kept.astype(np.float32)), 0.5).array > 0 if kept.any() else kept


def _found_body(
    mr: Volume, given: Volume, values: Volume, around: Surroundings | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The body on the working grid, and what a user should know of how it was found; `given` still has its padding."""
    mask = body_mask(values).array > 0
    name = mr.name or "the MR"
    if around is not None and around.air != around.value:
        whole = _kept_by_mask(given, values, around.value)
        lost = whole & ~mask
        if np.count_nonzero(lost) > _LEAST_LOST * max(np.count_nonzero(whole), 1):
            if around.is_mask:
                # What a mask has left is the body, also where it is as dark as air.
                return whole & np.isfinite(values.array), ()
            deep = grown(whole, -_SHELL_MM, values.grid.spacing_kji)
            if deep.any() and (mask & deep).sum() >= (1 - _LEAST_LOST) * deep.sum():
                return mask, (
                    f"{name} is {around.value:g} around something that is as dark as air and at most {_SHELL_MM:g} mm "
                    "thick; it was taken for air. Where it is skin without signal, give a mask.",
                )
    sides = touched_sides(mask, np.isfinite(values.array))
    if sides <= _MOST_SIDES or (around is not None and around.is_mask):
        return mask, ()
    found = body_by_texture(mr)
    if found is not None:
        seen = mask_on(mr.with_array(found), values.grid) & np.isfinite(values.array)
        if seen.any():
            return seen, (
                f"The background of {name} is noise as bright as tissue; the body was told from it by its texture. "
                "Check the body, or give a mask.",
            )
    return mask, (
        f"The body in {name} fills the image (it reaches {sides} of its 6 sides). Where it should not, because air "
        "around it is bright or noisy, give a mask.",
    )


def standardised(mr_array: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """MR intensities between the air's and the brightest of the body.

    Air becomes `BACKGROUND` and the 98th percentile within the body `BRIGHT`. Unlike mean and deviation, both hardly
    change when a part of the body is cut off.

    Parameters
    ----------
    mr_array
        (K, J, I) of any unit; NaN is beyond the image.
    mask
        (K, J, I) bool, the body.

    Returns
    -------
    z
        (K, J, I) float32, `BACKGROUND` outside the body, at most `HIGHEST`, at least `BACKGROUND` - 1.
    location, scale
        z = (MR - location) / scale within the body.

    Raises
    ------
    InputError
        The mask is empty, or the body has one value everywhere.
    """
    array = np.asarray(mr_array, dtype=np.float32)
    mask = np.asarray(mask, dtype=bool) & np.isfinite(array)
    inside = array[mask]
    if not inside.size:
        raise InputError("The body mask is empty within the MR; give another mask or none.")
    darkest, bright = (float(value) for value in np.percentile(inside, (1, 98)))
    outside = array[~mask & np.isfinite(array)]
    # Of a mask of an organ, tissue is outside, too; then the darkest of the organ is the better guess.
    air = min(float(np.median(outside)), darkest) if outside.size > 0.02 * array.size else darkest
    if not bright > air:
        raise InputError("The MR has the same value everywhere in the body; load another volume.")
    scale = (bright - air) / (BRIGHT - BACKGROUND)
    location = air - BACKGROUND * scale
    z = (array - np.float32(location)) / np.float32(scale)
    np.clip(z, BACKGROUND - 1, HIGHEST, out=z)
    z[~mask] = BACKGROUND
    return z, (location, scale)


def check_mr(mr: Volume) -> None:
    """Refuse what no model can use.

    Raises
    ------
    InputError
        A single slice, NaN within the image, one value everywhere, a mask, or a CT.
    """
    name = mr.name or "The MR"
    if min(mr.shape) < 2:
        sizes = " x ".join(str(size) for size in mr.shape[::-1])
        raise InputError(f"{name} is a single slice ({sizes} voxels); synthesis needs a volume of several slices.")
    known = field_of_view(mr)
    values = mr.array if known is None else mr.array[known]
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise InputError(f"{name} has the value {low:g} everywhere; load another volume.")
    if max(abs(low), abs(high)) > _LARGEST:
        raise InputError(f"{name} has values from {low:.2g} to {high:.2g}; scale them down first.")
    refuse_mask(mr, "MR")
    refuse_ct(mr)


def _rough_body(mr: Volume, spacing_mm: float, body: Volume | None) -> np.ndarray:
    """(8, 3) RAS corners of a box about the body, found on few voxels: what is far from it costs next to nothing.

    Oblique images, and those of a large field of view, have most of their working grid in the air.
    """
    outer = outer_corners(mr.grid)
    if body is None:
        coarse = working_grid_around(outer.min(axis=0), outer.max(axis=0), _ROUGH * spacing_mm)
        try:
            body = body_mask(Volume(onto_working_grid(mr, coarse), coarse.ijk_to_ras))
        except InputError:  # too few voxels to tell; what is wrong is found out on the working grid
            return outer
    if not body.array.any():
        return outer
    slices = bounding_slices(body.array)
    box = np.array([[part.start, part.stop - 1] for part in slices[::-1]], dtype=np.float64)
    return body.grid.to_ras(np.stack(np.meshgrid(*box, indexing="ij"), axis=-1).reshape(-1, 3))
