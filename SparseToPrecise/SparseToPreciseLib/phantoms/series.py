"""`make_patient`: the same abdomen in one patient after another, as a few masks of one organ are annotated.

The organs, their tissues and where they lie are the same in all; each patient's are shifted, bent and scanned
differently. So there is something to learn from a few masks, which phantoms of unrelated shapes do not have.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..core.volume import Volume
from . import shapes
from .blobs import ABDOMEN, FAT_ROW, Blob, fitted, liver
from .fields import coordinates, enlarged, smooth_field
from .imaging import annotate, form_image, random_scanner
from .neighbourhood import FIRST_TARGET_LABEL, LabelMap
from .packing import FAT, FIRST_ORGAN, OUTSIDE, random_organ

_TEMPLATE = 16
_BEFORE, _AFTER = 16, 6
"""Organs that the liver presses into, and that press into it."""
_EXTENT = 30.0
_FINEST, _COARSEST = 0.5, 1.2
"""A liver is 23 to 56 voxels of the scanner long then, as kidneys are in CT of 2 to 5 mm."""
_SHIFT, _BEND = 1.5, 0.09


@lru_cache(maxsize=1)
def _template() -> tuple[list[shapes.Shape], shapes.Shape, list[shapes.Shape], list[int]]:
    """Organs, liver and its vessels in units around the liver's middle; the row of `ABDOMEN` of every label."""
    rng = np.random.default_rng([_TEMPLATE, 505])
    anatomy, centre = fitted(liver(rng), _EXTENT)
    at = -centre
    organs = [random_organ(rng, 30.0 if one < _BEFORE else 9.0) for one in range(_BEFORE + _AFTER)]
    share = np.array([row[2] for row in ABDOMEN])
    tissues = [FAT_ROW, FAT_ROW, *rng.choice(len(ABDOMEN), len(organs), p=share / share.sum()).tolist()]
    vessels = [shapes.moved(one, np.eye(3, dtype=np.float32), at) for one in anatomy.inside]
    return organs, shapes.moved(anatomy.target, np.eye(3, dtype=np.float32), at), vessels, tissues


def make_patient(number: int, *, size: int = 128, spacing_mm: float = 1.25) -> Blob:
    """Patient `number` of the series; the same arguments always give the same case.

    Parameters
    ----------
    size
        Voxels along each side of the cube; the liver is some 0.4 of it long.
    spacing_mm
        Of a voxel.
    """
    rng = np.random.default_rng([number, 606])
    regions = _regions(rng, (size,) * 3)
    scanner = random_scanner(rng, (size,) * 3, _COARSEST, _FINEST)
    mask = annotate(rng, regions, scanner)
    image = form_image(rng, regions, scanner, ("ct", _values))
    matrix = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    matrix[:3, 3] = -(size - 1) / 2 * spacing_mm
    name = f"patient {number}"
    return Blob(Volume(image, matrix, name), Volume(mask.astype(np.uint8), matrix, name), "liver", number, False)


def _regions(rng: np.random.Generator, shape: tuple[int, int, int]) -> LabelMap:
    organs, target, vessels, _ = _template()
    coarse = tuple(-(-side // 2) for side in shape)
    period = rng.uniform(16, 28)
    turn = shapes.random_rotation(rng)
    angle = np.radians(rng.normal(0, 7))
    axis = turn[0]
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    pose = (np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross) * np.exp(rng.normal(0, 0.08, 3))
    points = np.tensordot(pose.astype(np.float32), coordinates(coarse), 1)
    points = points + smooth_field(rng, coarse, period, 3) * period * _BEND
    rough = smooth_field(rng, shape, rng.uniform(4, 9)) * rng.uniform(0, 0.4)
    labels = np.full(shape, FAT, np.uint8)
    inside = np.zeros(shape, bool)

    def drawn(shape_: shapes.Shape) -> np.ndarray:
        shift = rng.normal(0, _SHIFT, 3).astype(np.float32).reshape(3, 1, 1, 1)
        return enlarged(shape_(points + shift), shape) + rough

    for number, organ in enumerate(organs):
        if number == _BEFORE:
            inside = drawn(target) < 0
            labels[inside] = FIRST_TARGET_LABEL
        distance = drawn(organ)
        labels[(distance < rng.normal(0.4, 0.6)) & (distance >= 0)] = FAT
        labels[distance < 0] = FIRST_ORGAN + number
    inside &= labels == FIRST_TARGET_LABEL
    for vessel in vessels:
        labels[inside & (enlarged(vessel(points), shape) < 0)] = FIRST_TARGET_LABEL + 1
    outline = shapes.superellipsoid((30.0, 29.0, 60.0), 2.5)
    labels[(enlarged(outline(points), shape) > 0) & ~inside] = OUTSIDE
    return LabelMap(labels, inside, set())


def _values(rng: np.random.Generator, regions: LabelMap, count: int) -> tuple[np.ndarray, np.ndarray]:
    """HU: an organ has the same tissue in all patients, but not the same mean; the contrast phase shifts the liver."""
    tissues = _template()[3]
    means, texture = np.zeros(count), rng.uniform(3, 10, count)
    for label in range(min(count, FIRST_TARGET_LABEL)):
        mean, spread, _ = ABDOMEN[tissues[label] if label < len(tissues) else FAT_ROW]
        means[label] = rng.normal(mean, spread)
    means[OUTSIDE], texture[OUTSIDE] = -990, 4
    means[FIRST_TARGET_LABEL] = rng.normal(108, 14)
    means[FIRST_TARGET_LABEL + 1 :] = means[FIRST_TARGET_LABEL] + rng.uniform(15, 60)
    return means, texture
