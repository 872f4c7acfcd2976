"""`make_blob`: one whole object in its surroundings, for boxes. `make_phantom` shows what surrounds a boundary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import InputError
from ..core.volume import Volume
from . import families, shapes
from .blob_families import ball, liver, sac
from .blob_looks import LOOKS, in_a_body
from .families import Anatomy
from .fields import UNITS_PER_CUBE
from .imaging import COARSEST, Scanner, annotate, form_image, random_scanner
from .neighbourhood import build_label_map
from .packing import at_border, build_packed

BLOBS: dict[str, tuple[Callable[[np.random.Generator], Anatomy], float]] = {
    "liver": (liver, 0.20),
    "organ": (families.organ, 0.16),
    "lobed": (families.lobed, 0.11),
    "bean": (families.bean, 0.18),
    "vertebra": (families.vertebra, 0.16),
    "sac": (sac, 0.11),
    "ball": (ball, 0.08),
    "rod": (families.rod, 0.0),
    "partition": (families.partition, 0.0),
    "cavity": (families.cavity, 0.0),
}
"""Kind to (family, how often it is drawn among these)."""

PACKED = "packed"
"""The further kind: any organ of a body full of them (`packing`)."""

_ATTEMPTS = 20
_SMALLEST, _LARGEST = 20.0, 40.0
_LEAST_SAMPLES = 8
_CUT_SHARE = 0.15
_PACKED_SHARE = 0.6
_PACKED_COARSEST = 2.2
_TWINS_SHARE = 0.75


@dataclass(frozen=True)
class Blob:
    """One case.

    Attributes
    ----------
    image, mask
        On one isotropic grid along RAS, float32 and uint8; the object lies whole inside, except where it is `cut`.
    kind, seed
        What it was made from.
    cut
        The field of view ends within the object.
    """

    image: Volume
    mask: Volume
    kind: str
    seed: int
    cut: bool


def make_blob(
    seed: int,
    kind: str | None = None,
    *,
    size: int = 80,
    spacing_mm: float = 2.0,
    look: str | None = None,
    cut: bool | None = None,
) -> Blob:
    """Make the case number `seed`; the same arguments always give the same case.

    Parameters
    ----------
    kind
        A key of `BLOBS`, or `PACKED`; None draws one.
    size
        Voxels along each side of the cube (fewer where the object is cut).
    spacing_mm
        Of a voxel.
    look
        A key of `blob_looks.LOOKS`: what the images look like. None: CT or MR of any contrast.
    cut
        Whether the field of view ends within the object; None: sometimes. Of a packed one it does where it happens to.

    Raises
    ------
    InputError
        Unknown kind or look, or a size below 32.
    """
    if kind is not None and kind not in (*BLOBS, PACKED):
        raise InputError(f"There is no kind of blob {kind!r}; choose one of {', '.join((*BLOBS, PACKED))}.")
    if look is not None and look not in LOOKS:
        raise InputError(f"There is no look {look!r}; choose one of {', '.join(LOOKS)}.")
    if size < 32:
        raise InputError(f"A blob in a cube of {size} voxels is too small; give at least 32.")
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, attempt, 77])
        drawn = kind or (PACKED if rng.random() < _PACKED_SHARE else _drawn(rng))
        if drawn == PACKED:
            regions = build_packed(rng, (size,) * 3)
            if regions is not None:
                break
            continue
        anatomy, centre = fitted(BLOBS[drawn][0](rng), np.exp(rng.uniform(np.log(_SMALLEST), np.log(_LARGEST))))
        centre = centre + rng.normal(0, 2.5, 3)
        regions = build_label_map(rng, anatomy, (size,) * 3, centre, twins=rng.random() < _TWINS_SHARE)
        if _whole(regions.target):
            break
    else:
        raise InputError(f"Seed {seed} gives no usable blob of the kind {kind!r}; choose another seed.")
    packed = drawn == PACKED
    scanner = random_scanner(rng, (size,) * 3, _PACKED_COARSEST if packed else COARSEST)
    scanner = _fine_enough(scanner, regions.target)
    mask = annotate(rng, regions, scanner)
    modality, values = LOOKS[look or rng.choice(["any-ct", "any-mr"])]
    image = form_image(rng, regions, scanner, (modality, in_a_body(values, modality) if packed else values))
    if packed:
        cut = at_border(mask)
    else:
        cut = rng.random() < _CUT_SHARE if cut is None else cut
        if cut:
            image, mask = _cut_by_field_of_view(rng, image, mask)
    matrix = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    matrix[:3, 3] = -(size - 1) / 2 * spacing_mm
    name = f"{drawn} {seed}"
    return Blob(Volume(image, matrix, name), Volume(mask.astype(np.uint8), matrix, name), str(drawn), seed, cut)


def _drawn(rng: np.random.Generator) -> str:
    return str(rng.choice(list(BLOBS), p=[share for _, share in BLOBS.values()]))


def fitted(anatomy: Anatomy, extent: float) -> tuple[Anatomy, np.ndarray]:
    """The anatomy scaled to `extent` units along its longest side, and the middle of its bounding box."""
    steps = np.linspace(-90, 90, 46, dtype=np.float32)
    points = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"))
    inside = anatomy.target(points) < 0
    for lumen in anatomy.beside:
        inside &= lumen(points) > 0
    there = points[:, inside]
    if there.shape[1] < 8:  # thinner than the lattice: as large as it may be
        there = np.array([[-20.0, 20.0]] * 3)
    low, high = there.min(axis=1), there.max(axis=1)
    scale = float((high - low).max() + 4.0) / extent
    return _scaled(anatomy, scale), (low + high) / 2 / scale


def _scaled(anatomy: Anatomy, scale: float) -> Anatomy:
    def one(shape: shapes.Shape) -> shapes.Shape:
        return lambda points: shape(points * np.float32(scale)) / np.float32(scale)

    territory = anatomy.territory
    return replace(
        anatomy,
        target=one(anatomy.target),
        inside=[one(shape) for shape in anatomy.inside],
        beside=[one(shape) for shape in anatomy.beside],
        territory=None if territory is None else lambda points: territory(points * np.float32(scale)),
        twins=[np.asarray(shift) / scale for shift in anatomy.twins],
    )


def _fine_enough(scanner: Scanner, target: np.ndarray) -> Scanner:
    """A scanner that has `_LEAST_SAMPLES` across the object at least, along every axis."""
    steps = [
        min(step, max((np.ptp(at) + 1) / _LEAST_SAMPLES, 1.0))
        for step, at in zip(scanner.steps, np.nonzero(target), strict=True)
    ]
    samples = tuple(round(size / step) for size, step in zip(target.shape, steps, strict=True))
    return Scanner(samples, tuple(size / count for size, count in zip(target.shape, samples, strict=True)))


def _whole(target: np.ndarray) -> bool:
    """Whether the object is there and touches no face of the cube."""
    extent = [np.ptp(axis) + 1 for axis in np.nonzero(target)] if target.any() else [0]
    least = 0.1 * target.shape[0]
    longest = target.shape[0] * _LARGEST * 1.2 / UNITS_PER_CUBE
    return min(extent) >= least and max(extent) <= longest and not at_border(target)


def _cut_by_field_of_view(
    rng: np.random.Generator, image: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rest of an image that ends somewhere within the object, at the upper end of an axis."""
    axis = int(rng.integers(3))
    extent = np.nonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))[0]
    last = int(round(extent[0] + (extent[-1] - extent[0] + 1) * rng.uniform(0.5, 0.9)))
    kept = tuple(slice(0, max(last, 8)) if other == axis else slice(None) for other in range(3))
    return np.ascontiguousarray(image[kept]), np.ascontiguousarray(mask[kept])
