"""Pairs of MR and CT as a network is trained on them: on the working grid, in units of body and window, with bands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from ..core.progress import Progress
from ..core.volume import Grid, Volume
from .bands import split_bands
from .body import field_of_view
from .hu import HuWindow
from .inputs import BACKGROUND, BRIGHT, HIGHEST, check_mr, network_input
from .modality import refuse_mask, refuse_no_hu
from .working_grid import onto_working_grid

CHECKED_MM = 5.0
"""Voxels on which a pair is checked."""
FIELDS = ("mr", "ct", "high", "mask")
LEAST_COVERED = 0.05
"""Share of the body that a CT must show, else the pair does not belong together."""


@dataclass(frozen=True)
class TrainingCase:
    """One pair on the working grid of a model; arrays are (K, J, I).

    Attributes
    ----------
    mr
        float16, standardised, `inputs.BACKGROUND` outside the body.
    ct, high
        float16, in units of the CT window, and its high band.
    mask
        bool, the body where there is a CT.
    coarsest_mm
        The longest side of a voxel of the MR as it was given.
    """

    mr: np.ndarray
    ct: np.ndarray
    high: np.ndarray
    mask: np.ndarray
    coarsest_mm: float


@dataclass(frozen=True)
class Sampling:
    """Rules by which patches are drawn from cases.

    Attributes
    ----------
    patch
        Voxels along a side, a multiple of 16.
    flips
        Axes of "RAS" along which every other patch is mirrored.
    gamma
        Standard deviation of the logarithm of an exponent on the MR's intensities.
    cut_share
        Share of patches that lose a slab of their MR, as at the border of a field of view.

    Raises
    ------
    InputError
        A value is out of range.
    """

    patch: int = 64
    flips: str = "R"
    gamma: float = 0.2
    cut_share: float = 0.15

    def __post_init__(self) -> None:
        if not (isinstance(self.patch, int) and self.patch >= 32 and self.patch % 16 == 0):
            raise InputError(f"A patch must have 32, 48, 64 or another multiple of 16 voxels, not {self.patch}.")
        if set(self.flips) - set("RAS"):
            raise InputError(f"Patches can be mirrored along R, A and S, not {self.flips!r}.")
        if self.gamma < 0 or not 0 <= self.cut_share < 1:
            raise InputError(f"Gamma must be at least 0 ({self.gamma}), the share of cuts 0 to 1 ({self.cut_share}).")


def prepared(mr: Volume, ct: Volume, spacing_mm: float, window: HuWindow, sigma_mm: float) -> TrainingCase:
    """A pair on the working grid of its MR.

    Outside the body the CT is air, so that neither a table nor a headrest reaches into the low band of the head.

    Parameters
    ----------
    mr, ct
        On any grids, registered to each other; HU. What is NaN at the border of one of them lies beyond it.
    spacing_mm, window, sigma_mm
        Those of the model.

    Raises
    ------
    InputError
        The CT is none (`check_ct`) or lies elsewhere, or the MR is not usable (`network_input`).
    """
    check_ct(ct)
    given = network_input(mr, spacing_mm)
    # What is darker than air lies around a mask or a field of view; the skin beside it must not be blurred with it.
    hu = _known_on(ct.with_array(np.maximum(ct.array, ct.array.dtype.type(window.minimum))), given.grid)
    there = np.isfinite(hu)
    mask = given.mask & there
    _check_common(mr, ct, mask, given.mask)
    # Beyond the CT the nearest is unknown; soft tissue there keeps the band from an edge that is none.
    hu[~there] = 0.0
    hu[~given.mask] = window.minimum
    unit = Volume(window.to_unit(hu), given.grid.ijk_to_ras)
    high = split_bands(unit, sigma_mm)[1].array
    half = [array.astype(np.float16) for array in (given.z, unit.array, high)]
    return TrainingCase(*half, mask, float(mr.spacing.max()))


def check_pair(mr: Volume, ct: Volume) -> None:
    """Refuse what `prepared` would, and an MR that is none, on coarse voxels: in a fraction of its time.

    Raises
    ------
    InputError
        As `prepared` and `inputs.check_mr`.
    """
    check_ct(ct)
    check_mr(mr)
    given = network_input(mr, CHECKED_MM)
    _check_common(mr, ct, given.mask & np.isfinite(_known_on(ct, given.grid)), given.mask)


def _check_common(mr: Volume, ct: Volume, common: np.ndarray, body: np.ndarray) -> None:
    if common.sum() < LEAST_COVERED * body.sum():
        raise InputError(
            f"{ct.name or 'The CT'} shows next to nothing of the body in {mr.name or 'the MR'}; register the two first."
        )


def check_ct(ct: Volume) -> None:
    """Refuse what is no CT to learn from.

    Raises
    ------
    InputError
        NaN within the image, a mask, no Hounsfield units, or an offset or a mask that leaves none where there is air.
    """
    field_of_view(ct)
    refuse_mask(ct, "CT")
    refuse_no_hu(ct, 'has no Hounsfield units; give the MR as "image" and the CT as "label"')


def _known_on(ct: Volume, grid: Grid) -> np.ndarray:
    """HU on a working grid; NaN where the CT has none or fills less than half of the voxel."""
    known = np.isfinite(ct.array)
    if known.all():
        return onto_working_grid(ct, grid)
    values = onto_working_grid(ct.with_array(np.where(known, ct.array, np.float32(0.0))), grid)
    weights = onto_working_grid(ct.with_array(known.astype(np.float32)), grid)
    return np.divide(values, weights, out=np.full_like(values, np.nan), where=weights >= 0.5)


def phantom_pairs(use: str, numbers: Iterable[int], spacing_mm: float) -> Iterable[tuple[Volume, Volume]]:
    """MR and CT of head phantoms, made one by one."""
    from ..phantoms.head import head_case

    for number in numbers:
        case = head_case(number, use, spacing_mm=spacing_mm)
        yield case.mr, case.ct


def prepared_cases(
    pairs: Iterable[tuple[Volume, Volume]],
    spacing_mm: float,
    window: HuWindow,
    sigma_mm: float,
    count: int | None = None,
    progress: Progress | None = None,
) -> list[TrainingCase]:
    """All pairs, `prepared`; `count` is how many there will be, for the progress."""
    progress = progress or Progress()
    cases = []
    for number, (mr, ct) in enumerate(pairs, 1):
        of = f" of {count}" if count else ""
        progress(number / count if count else 0.0, f"preparing pairs: {number}{of}")
        cases.append(prepared(mr, ct, spacing_mm, window, sigma_mm))
    return cases


def patch_of(case: TrainingCase, sampling: Sampling, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A patch around a random voxel of the body, mirrored and with another contrast; (patch,) * 3 float32 by field."""
    inside = np.argwhere(case.mask)
    middle = inside[rng.integers(len(inside))]
    patch = cut_out(case, middle, sampling.patch)
    flips = [2 - "RAS".index(axis) for axis in sampling.flips if rng.random() < 0.5]
    patch = {name: np.flip(array, flips) for name, array in patch.items()}
    mr = patch["mr"]
    exponent = np.float32(np.exp(rng.normal(0, sampling.gamma)))
    span = np.float32(BRIGHT - BACKGROUND)
    # Around the ends that standardising fixes.
    mr = np.clip((mr - np.float32(BACKGROUND)) / span, 0, None) ** exponent * span + np.float32(BACKGROUND)
    patch["mr"] = np.minimum(mr, np.float32(HIGHEST))
    if rng.random() < sampling.cut_share:
        _cut(patch, rng)
    return patch


def cut_out(case: TrainingCase, middle: Sequence[int], size: int) -> dict[str, np.ndarray]:
    """A cube of a case, float32 by field, moved into the case where that is large enough and padded where it is not."""
    starts = [
        int(np.clip(at - size // 2, 0, max(length - size, 0)))
        for at, length in zip(middle, case.mask.shape, strict=True)
    ]
    region = tuple(slice(start, start + size) for start in starts)
    fill = {"mr": BACKGROUND, "ct": 0.0, "high": 0.0, "mask": 0.0}
    patch = {}
    for name in FIELDS:
        part = getattr(case, name)[region]
        cube = np.full((size,) * 3, fill[name], np.float32)
        cube[tuple(slice(0, length) for length in part.shape)] = part
        patch[name] = cube
    return patch


def _cut(patch: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    axis = int(rng.integers(3))
    size = patch["mask"].shape[axis]
    thick = int(rng.integers(1, size // 2))
    slab = slice(0, thick) if rng.random() < 0.5 else slice(size - thick, size)
    there = (slice(None),) * axis + (slab,)
    patch["mr"] = patch["mr"].copy()
    patch["mask"] = patch["mask"].copy()
    patch["mr"][there] = BACKGROUND
    patch["mask"][there] = 0.0
