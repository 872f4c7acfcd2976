"""Centre lines of tubes: clDice, and the gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.errors import in_digits
from ..core.masks import bounding_slices, on_one_grid
from ..core.volume import Grid, Volume
from .place import Place
from .topology import TOUCHING


@dataclass(frozen=True)
class Centerlines:
    """How far two tubes hold each other's centre lines.

    Attributes
    ----------
    precision
        T_prec: share of the centre line of A that lies in B; 1 where A is empty.
    sensitivity
        T_sens: share of the centre line of B that lies in A; 1 where B is empty.
    gaps
        Pieces of either centre line outside the other mask, the longest first.
    """

    precision: float
    sensitivity: float
    gaps: tuple[Place, ...]

    @property
    def cldice(self) -> float:
        """The harmonic mean of both (not their IoU, as some texts have it): 0 where both are 0."""
        total = self.precision + self.sensitivity
        return 2 * self.precision * self.sensitivity / total if total else 0.0


def centerlines(a: Volume, b: Volume) -> Centerlines:
    """clDice of two tubes, A the prediction and B the reference, and where the centre line of one leaves the other.

    Shit et al., *clDice: a Novel Topology-Preserving Loss Function for Tubular Structure Segmentation* (CVPR 2021),
    Eq. 1 to 3, in voxels of the centre line as there, with scikit-image's skeleton (Lee et al. 1994). Both empty: 1;
    one: 0.

    Parameters
    ----------
    a, b
        On one grid, not 0 inside.

    Raises
    ------
    InputError
        They have different shapes.

    Examples
    --------
    >>> whole = np.zeros((5, 5, 20), np.uint8)
    >>> whole[1:4, 1:4, 2:18] = 1
    >>> broken = whole.copy()
    >>> broken[:, :, 9:11] = 0
    >>> found = centerlines(Volume(broken, np.eye(4)), Volume(whole, np.eye(4)))
    >>> found.precision, len(found.gaps), found.gaps[0].position.tolist()[1:]
    (1.0, 1, [2.0, 2.0])
    """
    one, other = on_one_grid(a.array, b.array)
    part = bounding_slices(one | other, 1) or (slice(0, 1),) * 3
    one, other, grid = one[part], other[part], a.grid.cropped(part)
    lines = [_line(mask) for mask in (one, other)]
    outside = [lines[0] & ~other, lines[1] & ~one]
    shares = [
        1 - np.count_nonzero(gone) / np.count_nonzero(line) if line.any() else 1.0
        for gone, line in zip(outside, lines, strict=True)
    ]
    gaps = [
        place
        for gone, where in zip(outside, ("A without B", "B without A"), strict=True)
        for place in _gaps(gone, where, grid)
    ]
    return Centerlines(*map(float, shares), tuple(sorted(gaps, key=lambda gap: -gap.size)))


def _line(mask: np.ndarray) -> np.ndarray:
    """The skeleton; the mask itself where it has none, as some small blobs have."""
    from skimage.morphology import skeletonize

    line = np.asarray(skeletonize(mask), bool) if mask.any() else mask
    return line if line.any() else mask


def _gaps(gone: np.ndarray, where: str, grid: Grid) -> list[Place]:
    gaps = []
    labels, count = ndimage.label(gone, TOUCHING)
    for label, box in zip(range(1, count + 1), ndimage.find_objects(labels), strict=True):
        voxels = np.argwhere(labels[box] == label) + [part.start for part in box]
        middle = voxels[np.square(voxels - voxels.mean(axis=0)).sum(axis=1).argmin()]
        points = grid.to_ras(voxels[:, ::-1])
        # From end to end, and half a voxel on either side.
        length = float(np.ptp(points, axis=0).max() + grid.spacing.min())
        text = f"centre line of {where} for {in_digits(length, 1)} mm"
        gaps.append(Place("gap", grid.to_ras(middle[::-1]), length, "mm", text))
    return gaps
