"""A synthetic CT against a reference: errors, similarity and detail within the body."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.masks import bounding_slices, dice
from ..core.progress import Progress
from ..core.resampling import on_grid, shrunk
from ..core.volume import Volume
from .bands import split_bands
from .body import body_mask, field_of_view, grown, mask_on
from .hu import AIR_BELOW, BONE_ABOVE, HuWindow

BAND_MM = 5.0
"""Width of the band around the reference's bone edges, half of it on either side."""
SIGMA_MM = 15.0
"""Sigma between the bands, where nothing else is asked for."""
SSIM_WINDOW = 7
"""Side of the uniform window of SSIM, voxels: scikit-image's and SynthRAD's."""
WAVELENGTHS_MM = (64.0, 32.0, 16.0, 8.0, 4.0, 2.0)
"""Edges of the bands in which power spectra are compared."""
TAPER_MM = 6.0
"""Width of the rim of the mask that spectra leave out."""
_PLANES_AT_ONCE = 24


@dataclass(frozen=True)
class Evaluation:
    """Errors and similarity of a synthetic CT and a reference; HU unless said, NaN where there is nothing to measure.

    Attributes
    ----------
    mae, bias
        Mean of the absolute and of the signed error (CT - reference) within the mask.
    psnr, ssim
        Similarity in dB, and from -1 to 1; range and window as `definitions` say.
    air, soft, bone
        Mean absolute error by the reference's class: below -400, between, above 250 HU.
    bone_edge
        Mean absolute error within 2.5 mm of the reference's bone edges.
    high_frequency
        Mean absolute error of the high bands.
    bone_dice
        Overlap of what is above 250 HU.
    spectrum
        (longest, shortest wavelength in mm, power of the CT over the reference's).
    voxels
        Counts within the mask, and of the reference's classes there.
    error
        float32 CT - reference on the CT's grid, 0 outside the mask.
    mask
        uint8, where the two were compared.
    definitions
        Sentences on what the numbers mean.
    notes
        Sentences for the user.
    """

    mae: float
    bias: float
    psnr: float
    ssim: float
    air: float
    soft: float
    bone: float
    bone_edge: float
    high_frequency: float
    bone_dice: float
    spectrum: list[tuple[float, float, float]]
    voxels: dict[str, int]
    error: Volume
    mask: Volume
    definitions: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> list[tuple[str, float, str]]:
        """(name, value, unit), in the order in which people read them."""
        rows = [
            ("MAE", self.mae, "HU"),
            ("mean error", self.bias, "HU"),
            ("PSNR", self.psnr, "dB"),
            ("SSIM", self.ssim, ""),
            ("MAE in air", self.air, "HU"),
            ("MAE in soft tissue", self.soft, "HU"),
            ("MAE in bone", self.bone, "HU"),
            (f"MAE in the {BAND_MM:g} mm around bone edges", self.bone_edge, "HU"),
            ("MAE of the high band", self.high_frequency, "HU"),
            ("bone Dice", self.bone_dice, ""),
        ]
        return rows + [(f"power ratio, {a:g} to {b:g} mm", ratio, "") for a, b, ratio in self.spectrum]

    def as_text(self) -> str:
        """The numbers and what they mean."""
        lines = [f"{name}: {_number(value)}{' ' + unit if unit else ''}" for name, value, unit in self.rows]
        return "\n".join([*lines, *self.definitions, *self.notes])

    def as_json(self) -> dict[str, Any]:
        """The same for programs; null where there is nothing to measure, PSNR of equal images included."""
        numbers = ("mae", "bias", "psnr", "ssim", "air", "soft", "bone", "bone_edge", "high_frequency", "bone_dice")
        found: dict[str, Any] = {name: _finite(getattr(self, name)) for name in numbers}
        found["spectrum"] = [
            {"longest_mm": a, "shortest_mm": b, "power_ratio": _finite(ratio)} for a, b, ratio in self.spectrum
        ]
        return {**found, "voxels": self.voxels, "definitions": self.definitions, "notes": self.notes}


def evaluate(
    ct: Volume,
    reference: Volume,
    mask: Volume | None = None,
    *,
    window: HuWindow | None = None,
    sigma_mm: float = SIGMA_MM,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare a synthetic CT with a reference, on the synthetic CT's grid.

    Parameters
    ----------
    ct, reference
        HU; the reference may be on another grid.
    mask
        The place to compare, on any grid (non-zero is inside); None: the body in the reference.
    window
        Both are clipped to it, and its width is the data range of PSNR and SSIM; None: -1024 to 3000.
    sigma_mm
        Sigma between the bands.
    progress
        Hears of the stages; may cancel.

    Raises
    ------
    InputError
        One of them has NaN within the image, the mask is empty, or there is no place that both and the mask have in
        common.
    """
    progress = progress or Progress()
    window = window or HuWindow()
    progress(0.0, "comparing")
    known, _ = field_of_view(ct), field_of_view(reference)
    # The table and the air beyond the mask must not count, nor make edges that both share.
    true = reference.array if reference.grid.same_as(ct.grid) else on_grid(reference, ct.grid)
    there = np.isfinite(true)
    given = body_mask(reference, AIR_BELOW) if mask is None else mask
    inside = mask_on(given, ct.grid)
    notes = _notes(ct, reference, inside, there)
    if known is not None:
        there &= known
        ct = ct.with_array(np.where(known, ct.array, window.minimum).astype(np.float32))
    inside &= there
    if not inside.any():
        if mask is not None and not mask.array.any():
            raise InputError(f"The mask {mask.name} is empty; choose another one or none.")
        if mask is not None and there.any():
            raise InputError(
                f"The mask {mask.name} lies outside what {ct.name or 'the CT'} and {reference.name or 'the reference'} "
                "have in common; choose another one or none."
            )
        both = f"{ct.name or 'The CT'} and {reference.name or 'the reference'}"
        raise InputError(f"{both} have no place in common; register them first.")
    part = bounding_slices(inside, SSIM_WINDOW)
    grid = ct.grid.cropped(part)
    inside = inside[part]
    made, true = (_within(array[part], inside, window) for array in (ct.array, true))
    error = made - true
    progress(0.3, "similarity")
    bone, made_bone = ((array > BONE_ABOVE) & inside for array in (true, made))
    air = (true < AIR_BELOW) & inside
    spacing = grid.spacing_kji
    edge = grown(bone, BAND_MM / 2, spacing) & ~grown(bone, -BAND_MM / 2, spacing) & inside
    similarity = ssim(made, true, inside, window.width)
    progress(0.6, "bands")
    high = _high_band(Volume(error, grid.ijk_to_ras), sigma_mm)
    progress(0.8, "spectrum")
    spectrum = spectrum_ratio(made, true, inside, spacing.tolist())
    whole = np.zeros(ct.shape, np.float32)
    whole[part] = error
    where = np.zeros(ct.shape, np.uint8)
    where[part] = inside
    progress(1.0, "done")
    return Evaluation(
        mae=mean_absolute(error, inside),
        bias=float(error[inside].mean(dtype=np.float64)),
        psnr=psnr(made, true, inside, window.width),
        ssim=similarity,
        air=mean_absolute(error, air),
        soft=mean_absolute(error, inside & ~air & ~bone),
        bone=mean_absolute(error, bone),
        bone_edge=mean_absolute(error, edge),
        high_frequency=mean_absolute(high, inside),
        bone_dice=dice(made_bone, bone) if made_bone.any() or bone.any() else math.nan,
        spectrum=spectrum,
        voxels={name: int(np.count_nonzero(m)) for name, m in (("mask", inside), ("air", air), ("bone", bone))},
        error=ct.with_array(whole, f"{ct.name} error".strip()),
        mask=ct.with_array(where, f"{ct.name} mask".strip()),
        definitions=_definitions(window, sigma_mm, mask is None),
        notes=notes,
    )


def _within(array: np.ndarray, inside: np.ndarray, window: HuWindow) -> np.ndarray:
    """float32, clipped to the window; its minimum outside the mask."""
    values = np.clip(np.asarray(array, dtype=np.float32), window.minimum, window.maximum)
    return np.where(inside, values, np.float32(window.minimum))


def _high_band(error: Volume, sigma_mm: float) -> np.ndarray:
    """The high band of the difference, which is the difference of the high bands."""
    coarse = shrunk(error, sigma_mm / 4)  # far below what the low band holds
    low, _ = split_bands(coarse, sigma_mm)
    return error.array - low.resampled_to(error.grid).array


def _notes(ct: Volume, reference: Volume, inside: np.ndarray, there: np.ndarray) -> list[str]:
    notes = []
    for volume, what in ((ct, "The CT"), (reference, "The reference")):
        if np.nanmin(volume.array) > -200:
            notes.append(f"{volume.name or what} has no air (its minimum is {np.nanmin(volume.array):g}); is it in HU?")
        if np.isnan(volume.array).any():
            notes.append(f"{volume.name or what} is NaN at its border; it was left out as beyond the image.")
    missing = np.count_nonzero(inside & ~there)
    if missing:
        share = missing / np.count_nonzero(inside)
        notes.append(f"{share:.1%} of the mask lies beyond {reference.name or 'the reference'} and was left out.")
    return notes


def _definitions(window: HuWindow, sigma_mm: float, own_mask: bool) -> list[str]:
    where = f"the reference's body (above {AIR_BELOW:g} HU, closed and filled)" if own_mask else "the given mask"
    return [
        f"All within {where}; both images clipped to {window.minimum:g} to {window.maximum:g} HU and set to "
        f"{window.minimum:g} HU outside.",
        f"PSNR and SSIM have a data range of {window.width:g} HU; SSIM is scikit-image's with a uniform window of "
        f"{SSIM_WINDOW} voxels along each side, its map averaged within the mask.",
        f"Air is below {AIR_BELOW:g} HU and bone above {BONE_ABOVE:g} HU in the reference; the band around bone edges "
        f"reaches {BAND_MM / 2:g} mm to either side.",
        f"The high band is what a Gaussian of {sigma_mm:g} mm leaves; power ratios are of the CT over the reference by "
        f"wavelength, without the outer {TAPER_MM:g} mm of the mask.",
    ]


def _number(value: float) -> str:
    if math.isnan(value):
        return "none"
    return "equal" if math.isinf(value) else f"{value:.4f}" if abs(value) < 2 else f"{value:.2f}"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def mean_absolute(error: np.ndarray, where: np.ndarray) -> float:
    """Mean of |error| over a mask; NaN where it is empty."""
    chosen = error[where]
    return float(np.abs(chosen).mean(dtype=np.float64)) if chosen.size else float("nan")


def psnr(one: np.ndarray, other: np.ndarray, where: np.ndarray, data_range: float) -> float:
    """Peak signal-to-noise ratio within a mask in dB; infinite for equal arrays."""
    from skimage.metrics import mean_squared_error

    error = mean_squared_error(one[where], other[where])
    return float(10 * np.log10(data_range**2 / error)) if error > 0 else float("inf")


def ssim(one: np.ndarray, other: np.ndarray, where: np.ndarray, data_range: float) -> float:
    """Mean over a mask of scikit-image's map of structural similarity with a uniform window of `SSIM_WINDOW` voxels.

    A few planes at a time: the map takes ten times the memory of its input. Sides shorter than the window are padded
    by their edge.
    """
    from skimage.metrics import structural_similarity

    reach = SSIM_WINDOW // 2
    short = [max(0, SSIM_WINDOW - size) for size in one.shape]
    pads = [(0, length) for length in short]
    one, other = (np.pad(array, pads, mode="edge").astype(np.float32, copy=False) for array in (one, other))
    where = np.pad(where, pads)
    planes = one.shape[0]
    total = 0.0
    for start in range(0, planes, _PLANES_AT_ONCE):
        stop = min(start + _PLANES_AT_ONCE, planes)
        if not where[start:stop].any():
            continue
        low, high = max(start - reach, 0), min(stop + reach, planes)
        if high - low < SSIM_WINDOW:
            low = max(high - SSIM_WINDOW, 0)
            high = min(low + SSIM_WINDOW, planes)
        _, found = structural_similarity(
            one[low:high], other[low:high], win_size=SSIM_WINDOW, data_range=data_range, full=True
        )
        total += float(found[start - low : stop - low][where[start:stop]].sum(dtype=np.float64))
    return total / int(np.count_nonzero(where))


def spectrum_ratio(
    one: np.ndarray, other: np.ndarray, where: np.ndarray, spacing_kji: Sequence[float]
) -> list[tuple[float, float, float]]:
    """Radial power of `one` over that of `other` within a mask.

    Parameters
    ----------
    one, other
        (K, J, I); both fade to the mean of `other` from `TAPER_MM` within the mask, so that neither its edge nor the
        skin is seen.
    where
        (K, J, I) bool.
    spacing_kji
        Voxel size along K, J, I in mm.

    Returns
    -------
    list
        (longest, shortest wavelength in mm, ratio) for the bands of `WAVELENGTHS_MM` that the voxels can hold; below 1,
        the first image is smoother.
    """
    from scipy import fft

    spacing = np.asarray(spacing_kji, dtype=np.float64)
    inner = grown(np.pad(where, 1), -TAPER_MM, spacing)[1:-1, 1:-1, 1:-1]
    weight = ndimage.gaussian_filter((inner if inner.any() else where).astype(np.float32), TAPER_MM / 3 / spacing)
    middle = np.float32((other * weight).sum(dtype=np.float64) / weight.sum(dtype=np.float64))
    powers = [np.abs(fft.rfftn((array - middle) * weight)) ** 2 for array in (one, other)]
    axes = [fft.fftfreq(size, step) for size, step in zip(where.shape[:2], spacing_kji[:2], strict=True)]
    axes.append(fft.rfftfreq(where.shape[2], spacing_kji[2]))
    squared = sum(
        np.square(axis, dtype=np.float64).astype(np.float32).reshape([-1 if o == n else 1 for o in range(3)])
        for n, axis in enumerate(axes)
    )
    finest = 2 * max(spacing_kji)
    edges = [length for length in WAVELENGTHS_MM if length >= finest * 0.999]
    found = []
    for longest, shortest in zip(edges, edges[1:], strict=False):
        band = (squared > 1 / longest**2) & (squared <= 1 / shortest**2)
        sums = [float(power[band].sum(dtype=np.float64)) for power in powers]
        if sums[1] > 0:
            found.append((longest, shortest, sums[0] / sums[1]))
    return found
