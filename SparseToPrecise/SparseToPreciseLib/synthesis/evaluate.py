"""A synthetic CT against a reference."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.progress import Progress
from ..core.resampling import on_grid, shrunk
from ..core.volume import Volume
from .bands import split_bands
from .body import body_mask, grown
from .classes import AIR_BELOW, BONE_ABOVE
from .hu import HuWindow
from .metrics import SSIM_WINDOW, TAPER_MM, dice, mean_absolute, psnr, spectrum_ratio, ssim
from .working_grid import box_around, mask_on

BAND_MM = 5.0
"""Width of the band around the reference's bone edges, half of it on either side."""
SIGMA_MM = 15.0
"""Between the bands, where nothing else is asked for."""


@dataclass(frozen=True)
class Evaluation:
    """How near a synthetic CT is to a reference; HU unless said, NaN where there is nothing to measure.

    Attributes
    ----------
    mae, bias
        Mean of the absolute and of the signed error (CT - reference) within the mask.
    psnr, ssim
        In dB, and from -1 to 1; range and window as `definitions` say.
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
        Within the mask, and of the reference's classes there.
    error
        float32 CT - reference on the CT's grid, 0 outside the mask.
    mask
        uint8, where the two were compared.
    definitions
        What the numbers mean, in sentences.
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
        Where to compare, on any grid (non-zero is inside); None: the body in the reference.
    window
        Both are clipped to it, and its width is the data range of PSNR and SSIM; None: -1024 to 3000.
    sigma_mm
        Between the bands.
    progress
        Told about the stages; may cancel.

    Raises
    ------
    InputError
        One of them has NaN, the mask is empty, or there is no place that both and the mask have in common.
    """
    progress = progress or Progress()
    window = window or HuWindow()
    progress(0.0, "comparing")
    for volume, what in ((ct, "The CT"), (reference, "The reference")):
        if volume.array.dtype.kind == "f" and not np.isfinite(volume.array).all():
            raise InputError(f"{volume.name or what} has NaN or infinite values; replace them first.")
    # The table and the air beyond the mask must not count, nor make edges that both share.
    true = reference.array if reference.grid.same_as(ct.grid) else on_grid(reference, ct.grid)
    there = np.isfinite(true)
    given = body_mask(reference, AIR_BELOW) if mask is None else mask
    inside = mask_on(given, ct.grid)
    notes = _notes(ct, reference, inside, there)
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
    part = box_around(inside, SSIM_WINDOW)
    grid = ct.grid.cropped(part)
    inside = inside[part]
    made, true = (_within(array[part], inside, window) for array in (ct.array, true))
    error = made - true
    progress(0.3, "similarity")
    bone = (true > BONE_ABOVE) & inside
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
        bone_dice=dice((made > BONE_ABOVE) & inside, bone),
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
        if volume.array.min() > -200:
            notes.append(f"{volume.name or what} has no air (its minimum is {volume.array.min():g}); is it in HU?")
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
