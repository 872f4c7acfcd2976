"""`make_blob`: one whole object in its surroundings, for boxes. `make_phantom` shows what surrounds a boundary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import InputError
from ..core.masks import bounding_slices
from ..core.volume import Volume
from . import families, shapes
from .families import Anatomy
from .fields import UNITS_PER_CUBE
from .imaging import COARSEST, Scanner, TissueValues, annotate, ct_values, form_image, free_values, random_scanner
from .neighbourhood import FIRST_TARGET_LABEL, LabelMap, build_label_map
from .packing import FAT, OUTSIDE, at_border, build_packed


def liver(rng: np.random.Generator) -> Anatomy:
    """A large lobe that tapers into a tail, lesser lobes, a fissure and a hollow: several components on some slices."""
    size = 24.0
    main = shapes.superellipsoid(size * np.exp(rng.normal((0.1, -0.05, -0.1), 0.15, 3)), rng.uniform(2, 3), 0.3)
    lobes = [main]
    tail = shapes.smooth_path(rng, 2.2 * size, rng.uniform(0.2, 1.2), 6)
    tail = tail - tail[0] + rng.normal(0, 0.2 * size, 3)
    lobes.append(shapes.tube(tail, np.linspace(rng.uniform(0.4, 0.75), rng.uniform(0.08, 0.25), 6) * size, 1.4))
    for _ in range(rng.integers(1, 4)):
        lobe = shapes.superellipsoid(size * np.exp(rng.normal(-0.7, 0.25, 3)))
        lobes.append(shapes.moved(lobe, shapes.random_rotation(rng), rng.normal(0, 0.65 * size, 3)))
    body = shapes.union(lobes, rng.uniform(0.03, 0.12) * size)
    if rng.random() < 0.7:
        plate = shapes.superellipsoid((rng.uniform(1.0, 3.5), 1.6 * size, 0.9 * size))
        body = shapes.cut(body, shapes.moved(plate, shapes.random_rotation(rng), rng.normal(0, 0.6 * size, 3)))
    if rng.random() < 0.7:
        hollow = shapes.superellipsoid(size * np.exp(rng.normal(-0.7, 0.25, 3)))
        towards = shapes.random_rotation(rng)[0] * size * rng.uniform(0.7, 1.1)
        body = shapes.cut(body, shapes.moved(hollow, shapes.random_rotation(rng), towards), 2.0)
    rotation = shapes.random_rotation(rng)
    vessels = []
    for _ in range(rng.integers(0, 4)):
        path = shapes.smooth_path(rng, 1.6 * size, 1.2, 5) + rng.normal(0, 0.25 * size, 3)
        vessels.append(shapes.moved(shapes.tube(path, np.linspace(2.4, 1.0, 5)), rotation, (0, 0, 0)))
    return Anatomy(shapes.moved(body, rotation, (0, 0, 0)), vessels)


def sac(rng: np.random.Generator) -> Anatomy:
    """A smooth pear: gallbladder, bladder, cyst."""
    length = 20.0
    width = length * rng.uniform(0.3, 0.8)
    path = shapes.smooth_path(rng, 2 * (length - width) + 2, rng.uniform(0, 0.8), 5)
    radii = width * np.linspace(1.0, rng.uniform(0.35, 1.0), 5)
    return Anatomy(shapes.tube(path, radii, rng.uniform(1, 1.3)))


def ball(rng: np.random.Generator) -> Anatomy:
    """Nearly a sphere: a node, a tumour, a femoral head; sometimes with another core."""
    body = shapes.superellipsoid(20 * np.exp(rng.normal(0, 0.08, 3)))
    core = shapes.superellipsoid(20 * rng.uniform(0.4, 0.8) * np.exp(rng.normal(0, 0.1, 3)))
    return Anatomy(body, [core] if rng.random() < 0.3 else [])


# Mean in Hounsfield units, its spread between cases, how often a neighbour is made of it


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
        A key of `LOOKS`: what the images look like. None: CT or MR of any contrast.
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
    extent = bounding_slices(mask)[axis]
    last = int(round(extent.start + (extent.stop - extent.start) * rng.uniform(0.5, 0.9)))
    kept = tuple(slice(0, max(last, 8)) if other == axis else slice(None) for other in range(3))
    return np.ascontiguousarray(image[kept]), np.ascontiguousarray(mask[kept])


ABDOMEN = (
    (-95, 8, 0.34),  # fat
    (55, 8, 0.18),  # muscle
    (112, 16, 0.16),  # an organ that looks like the target
    (20, 15, 0.14),  # bowel, fluid
    (160, 25, 0.08),  # vessel, kidney
    (-850, 60, 0.06),  # lung, gas
    (350, 120, 0.04),  # bone
)
FAT_ROW = 0


def portal_venous_liver(
    rng: np.random.Generator, regions: LabelMap, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means and textures (HU) of a liver CT; the contrast phase shifts the target by some 15 HU between cases."""
    share = np.array([row[2] for row in ABDOMEN])
    means, texture = np.zeros(count), rng.uniform(3, 10, count)
    own = rng.normal(108, 14)
    for label in range(count):
        mean, spread, _ = ABDOMEN[rng.choice(len(ABDOMEN), p=share / share.sum())]
        means[label] = rng.normal(mean, spread)
        if label in regions.bone:
            means[label], texture[label] = rng.uniform(300, 900), 60
    means[FIRST_TARGET_LABEL] = own
    means[FIRST_TARGET_LABEL + 1 :] = own + rng.uniform(15, 60)
    return means, texture


def distinct(values: TissueValues, least: float) -> TissueValues:
    """Tissues of which most differ from the target by at least so much; what cannot be seen cannot be learnt."""

    def chosen(rng: np.random.Generator, regions: LabelMap, count: int) -> tuple[np.ndarray, np.ndarray]:
        means, texture = values(rng, regions, count)
        own = means[FIRST_TARGET_LABEL]
        for label in range(min(FIRST_TARGET_LABEL, count)):
            if abs(means[label] - own) < least and rng.random() < 0.85:
                means[label] = own + rng.choice([-1, 1]) * rng.uniform(1, 2.5) * least
        return means, texture

    return chosen


def in_a_body(values: TissueValues, modality: str) -> TissueValues:
    """As `values`, with air around a packed body and mostly fat between its organs."""

    def chosen(rng: np.random.Generator, regions: LabelMap, count: int) -> tuple[np.ndarray, np.ndarray]:
        means, texture = values(rng, regions, count)
        means[OUTSIDE], texture[OUTSIDE] = (rng.uniform(-1000, -960), 4) if modality == "ct" else (0.01, 0.003)
        if modality == "ct" and rng.random() < 0.8:
            means[FAT], texture[FAT] = rng.uniform(-115, -75), rng.uniform(4, 14)
        return means, texture

    return chosen


LOOKS: dict[str, tuple[str, TissueValues]] = {
    "liver-ct": ("ct", portal_venous_liver),
    "any-ct": ("ct", distinct(ct_values, 28.0)),
    "any-mr": ("mr", distinct(free_values, 0.14)),
}
"""Name to the modality and the tissues."""
