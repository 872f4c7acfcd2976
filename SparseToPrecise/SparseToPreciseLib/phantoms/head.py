"""`head_case`: a head as MR and as CT, with a different anatomy and a different MR contrast for every number.

Anatomy in the order in which it is painted: skin, fat and muscle of scalp, face and neck; the bones of face and spine;
the vault with its tables and marrow; what lies in it; the base of the skull; the hollows of nose, sinuses and ears; the
orbits. In the MR air and compact bone are both dark,
as they are in patients: only where they lie tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.volume import Grid, Volume
from .head_anatomy import paint_base, paint_brain, paint_eyes, paint_face, paint_hollows, paint_soft, paint_vault
from .head_canvas import Canvas
from .head_outline import outline
from .head_scan import OUTSIDE_HU, averaged, displaced, scan_ct, scan_mr
from .head_tissues import AIR, BLOOD, CONTRASTS, CSF, DURA, GREY, LESION, OEDEMA, WHITE, ct_tissues, mr_tissues

FIRST_SEED = {
    "train": 0,
    "validation": 1_000_000,
    "test": 2_000_000,
    "benchmark": 3_000_000,
    "demo": 4_000_000,
}
"""Where the seeds of each use begin; numbers below `SEEDS_PER_USE` are added, so no case serves two uses."""

SEEDS_PER_USE = 1_000_000

KINDS = ("head", "stripped", "average")
"""A whole head; the brain alone; a blurred one like the mean of many heads."""

_KIND_SHARES = (0.58, 0.28, 0.14)
_THICK_SHARE = 0.2
_STILL_SHARE = 0.4
_FARTHEST_MM = 4.0
_BRAIN_HU = (np.float32(0), np.float32(75))
_CLEFT_MM = 7.0


@dataclass(frozen=True)
class HeadCase:
    """One case; all volumes lie on one grid along RAS.

    Attributes
    ----------
    mr
        Arbitrary units, float32.
    ct
        Hounsfield units, float32; -1000 outside the body. Moved against the MR by `misregistration_mm`.
    body
        The head with all its hollows, where the MR has it, uint8; of a skull-stripped case the brain with its clefts.
    labels
        Tissues where the MR has them, uint8; see `head_tissues.TISSUES`.
    seed, kind, contrast
        What it was made from: a key of `KINDS` and of `head_tissues.CONTRASTS`.
    misregistration_mm
        Root mean square over the grid.
    """

    mr: Volume
    ct: Volume
    body: Volume
    labels: Volume
    seed: int
    kind: str
    contrast: str
    misregistration_mm: float


def head_case(
    number: int,
    use: str = "train",
    *,
    spacing_mm: float = 2.0,
    kind: str | None = None,
    contrast: str | None = None,
    misregistration_mm: float | None = None,
    thick_slices: bool | None = None,
    whole: bool = False,
) -> HeadCase:
    """Make case `number` of a use; the same arguments always give the same case.

    Parameters
    ----------
    number
        From 0 to `SEEDS_PER_USE` - 1.
    use
        A key of `FIRST_SEED`.
    spacing_mm
        Of a voxel, the same along every axis.
    kind
        One of `KINDS`; None draws one.
    contrast
        One of `head_tissues.CONTRASTS`; None draws one.
    misregistration_mm
        How far the CT lies from the MR (root mean square); None: often 0, at most 4.
    thick_slices
        Whether the MR was acquired in thick slices; None: sometimes.
    whole
        The field of view holds the whole head down to the neck; otherwise it is drawn and may cut the head.

    Raises
    ------
    InputError
        An unknown use, kind or contrast, a number out of range, or voxels finer than 0.5 or coarser than 6 mm.
    """
    if use not in FIRST_SEED or not 0 <= number < SEEDS_PER_USE:
        raise InputError(f"There is no head {number} for {use!r}; uses are {', '.join(FIRST_SEED)}.")
    if kind is not None and kind not in KINDS:
        raise InputError(f"There is no kind of head {kind!r}; choose one of {', '.join(KINDS)}.")
    if contrast is not None and contrast not in CONTRASTS:
        raise InputError(f"There is no contrast {contrast!r}; choose one of {', '.join(CONTRASTS)}.")
    if not 0.5 <= spacing_mm <= 6:
        raise InputError(f"Voxels of {spacing_mm} mm do not suit a head; choose 0.5 to 6 mm.")
    seed = FIRST_SEED[use] + number
    draws, place, shape, look, scan = (np.random.default_rng([seed, 404, part]) for part in range(5))
    drawn = str(draws.choice(KINDS, p=_KIND_SHARES))
    kind = kind or drawn
    still, far = draws.random() < _STILL_SHARE, draws.uniform(0, _FARTHEST_MM) * draws.uniform(0.3, 1)
    if misregistration_mm is None:
        misregistration_mm = 0.0 if still else float(far)
    thick = bool(draws.random() < _THICK_SHARE)
    thick = thick if thick_slices is None else thick_slices

    ct_means, ct_textures = ct_tissues(look)
    contrast, mr_means, mr_textures = mr_tissues(look, contrast)
    pose = _pose(place)
    grid = _field_of_view(place, pose, spacing_mm, whole)
    canvas = Canvas(grid, np.linalg.inv(pose), shape, shape.uniform(0.8, 2.6), ct_means, mr_means)
    head = outline(canvas, shape)
    paint_soft(canvas, head, shape)
    paint_face(canvas, shape)
    paint_vault(canvas, head, shape)
    paint_brain(canvas, head, shape)
    paint_base(canvas, shape)
    paint_hollows(canvas, head, shape)
    paint_eyes(canvas, head, shape)
    blur = averaged(scan) if kind == "average" else None
    ct = scan_ct(canvas, ct_textures.astype(np.float32), scan, blur)
    mr = scan_mr(canvas, mr_textures.astype(np.float32), scan, blur, head.cavity, thick)
    ct = displaced(ct, canvas, scan, misregistration_mm)
    body, labels = head.body > 0, canvas.labels
    if kind == "stripped":
        brain, body = _stripped(canvas, head.cavity, scan)
        labels = np.where(brain, labels, np.where(body, CSF, AIR)).astype(np.uint8)
        mr = np.where(brain, mr, np.float32(0))
        # Where the tool took fluid away there is fluid; the skull's blur does not belong to what is left.
        ct = np.where(body, np.clip(ct, *_BRAIN_HU), np.float32(OUTSIDE_HU))
    name = f"head {use} {number}"

    def volume(array: np.ndarray, what: str) -> Volume:
        return Volume(array, grid.ijk_to_ras, f"{name} {what}")

    return HeadCase(
        volume(mr, f"MR {contrast}"),
        volume(ct, "CT"),
        volume(body.astype(np.uint8), "body"),
        volume(labels, "tissues"),
        seed,
        kind,
        contrast,
        misregistration_mm,
    )


def _pose(rng: np.random.Generator) -> np.ndarray:
    """4x4, the head's own coordinates to RAS: size, a tilted head, a shift."""
    angles = np.radians(np.clip(rng.normal(0, (7, 4, 5)), -18, 18))
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (one for one in range(3) if one != axis)
        step = np.eye(3)
        step[first, first] = step[second, second] = np.cos(angle)
        step[first, second], step[second, first] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    size = rng.uniform(0.90, 1.06) * np.exp(rng.normal(0, 0.03, 3))
    pose = np.eye(4)
    pose[:3, :3] = turn * size
    pose[:3, 3] = rng.normal(0, 12, 3)
    return pose


def _field_of_view(rng: np.random.Generator, pose: np.ndarray, spacing_mm: float, whole: bool) -> Grid:
    """Mostly all of the head's width, from somewhere between the eyes and the neck to above its top."""
    low = np.array([-92.0, -124, rng.uniform(-150, -45)]) - rng.uniform(0, 10, 3)
    high = np.array([92.0, 108, 92]) + rng.uniform(0, 12, 3)
    cut = rng.random(4) < (0.08, 0.08, 0.12, 0.1)
    if whole:
        low[2] = -150.0
    else:
        low[0] += 40 * cut[0]
        high[0] -= 40 * cut[1]
        high[2] -= rng.uniform(15, 60) * cut[2] * (low[2] < -80)
        low[1] += rng.uniform(10, 60) * cut[3]
    centre = pose[:3, :3] @ ((low + high) / 2) + pose[:3, 3]
    half = np.abs(np.diag(pose[:3, :3])) * (high - low) / 2
    return Grid.around(np.stack([centre - half, centre + half]), 0.0, spacing_mm)


def _stripped(canvas: Canvas, cavity: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A skull-stripping tool's mask, with a rim that is too wide here and too narrow there; and that with its clefts.

    Some tools keep the fluid around the brain, others take it away deep into the sulci.
    """
    depth = cavity - rng.uniform(-1.0, 3.5) + rng.uniform(0.3, 1.5) * canvas.noise(20.0)
    depth = np.minimum(depth, canvas.points[2] + rng.uniform(62, 85))
    brain = (depth > 0) & np.isin(canvas.labels, (CSF, DURA, GREY, WHITE, BLOOD, LESION, OEDEMA))
    if rng.random() < 0.7:
        brain &= ~(np.isin(canvas.labels, (CSF, DURA, BLOOD)) & (cavity < rng.uniform(2, 25)))
    width = round(_CLEFT_MM / canvas.softness)
    closed = ndimage.binary_closing(np.pad(brain, width), iterations=width)[(slice(width, -width),) * 3]
    return brain, closed & (cavity > -1)
