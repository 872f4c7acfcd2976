"""Components, tunnels and cavities of a mask: how many, and where.

Voxels of the mask that share a face, an edge or a corner are joined (26-connectivity), those of the background by faces
(6). The numbers are Betti's: components b0, tunnels b1 (the handle of a cup has one), cavities b2 (closed in). Beyond
the grid is background. An empty mask has none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.errors import in_digits
from ..core.masks import bounding_slices
from ..core.volume import Grid, Volume
from .place import Place

TOUCHING = np.ones((3, 3, 3), bool)
"""26-connectivity."""


@dataclass(frozen=True)
class Topology:
    """Betti numbers of a mask, and the places of what they count.

    Attributes
    ----------
    components, tunnels, cavities
        Counts. The tunnels follow from the others and scikit-image's Euler number: b1 = b0 + b2 − χ.
    places
        Of every component but the largest, every cavity, and every tunnel that could be located.
    """

    components: int
    tunnels: int
    cavities: int
    places: tuple[Place, ...] = ()


def topology(mask: Volume, *, places: bool = True) -> Topology:
    """Components, tunnels and cavities of a mask.

    Parameters
    ----------
    mask
        Not 0 inside.
    places
        Also say where they are. A component and a cavity: the voxel nearest to its middle. A tunnel: where the ring of
        voxels around it is thinnest, which is where to cut it open. It takes a skeleton (Lee et al. 1994, scikit-image)
        of the components that have tunnels, seconds for a large solid one.

    Examples
    --------
    >>> ring = np.zeros((3, 5, 5), np.uint8)
    >>> ring[1, 1:4, 1:4] = 1
    >>> ring[1, 2, 2] = 0
    >>> found = topology(Volume(ring, np.eye(4)))
    >>> found.components, found.tunnels, found.cavities, [place.kind for place in found.places]
    (1, 1, 0, ['tunnel'])
    """
    from skimage.measure import euler_number

    part = bounding_slices(mask.array)
    if part is None:
        return Topology(0, 0, 0)
    grid = mask.grid.cropped(part)
    array = np.pad(mask.array[part] != 0, 1)
    labels, components = ndimage.label(array, TOUCHING)
    background, hollows = ndimage.label(~array)
    cavities = hollows - 1  # the first is what is around
    tunnels = components + cavities - int(euler_number(array, connectivity=3))
    if not places:
        return Topology(components, tunnels, cavities)
    found = []
    if components > 1:
        sizes = np.bincount(labels.ravel())[1:]
        found += _pieces("component", labels, set(range(1, components + 1)) - {1 + int(sizes.argmax())}, grid)
    if cavities:
        outside = background[0, 0, 0]
        found += _pieces("cavity", background, set(range(1, hollows + 1)) - {outside}, grid)
        array |= (background != outside) & ~array  # a filled cavity is no ring around a tunnel
    if tunnels > 0:
        found += _tunnels(array, labels, grid)
    return Topology(components, tunnels, cavities, tuple(found))


def _pieces(kind: str, labels: np.ndarray, wanted: set[int], grid: Grid) -> list[Place]:
    pieces = []
    boxes = ndimage.find_objects(labels)
    for label in sorted(wanted):
        box = boxes[label - 1]
        voxels = np.argwhere(labels[box] == label) + [part.start - 1 for part in box]
        middle = voxels[np.square(voxels - voxels.mean(axis=0)).sum(axis=1).argmin()]
        volume = len(voxels) * grid.voxel_volume_mm3
        text = f"{'separate piece' if kind == 'component' else kind} of {in_digits(volume)} mm³"
        pieces.append(Place(kind, grid.to_ras(middle[::-1]), volume, "mm³", text))
    return pieces


def _tunnels(array: np.ndarray, labels: np.ndarray, grid: Grid) -> list[Place]:
    """Where rings close last when their skeletons are put together from the thickest voxel to the thinnest."""
    from skimage.measure import euler_number
    from skimage.morphology import skeletonize

    found = []
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        box = tuple(slice(part.start - 1, part.stop + 1) for part in box)  # a border of background
        piece = array[box] & ((labels[box] == label) | (labels[box] == 0))
        wanted = 1 - int(euler_number(piece, connectivity=3))
        if wanted <= 0:
            continue
        depth = ndimage.distance_transform_edt(piece, grid.spacing_kji)
        for voxel in _closing(np.argwhere(skeletonize(piece)), depth)[:wanted]:
            width = 2 * float(depth[tuple(voxel)])
            place = grid.to_ras((voxel + [part.start - 1 for part in box])[::-1])
            found.append(
                Place("tunnel", place, width, "mm", f"ring around a tunnel, {in_digits(width, 1)} mm thick here")
            )
    return found


def _closing(voxels: np.ndarray, depth: np.ndarray) -> list[np.ndarray]:
    """Voxels that join what is joined already, put together in the order of their depth; the thinnest first.

    A voxel closes as many rings as it has groups of touching neighbours beyond the components that these belong to.
    """
    order = voxels[np.argsort(-depth[tuple(voxels.T)], kind="stable")]
    parent: dict[tuple[int, ...], tuple[int, ...]] = {}

    def root(voxel: tuple[int, ...]) -> tuple[int, ...]:
        while parent[voxel] != voxel:
            parent[voxel] = parent[parent[voxel]]
            voxel = parent[voxel]
        return voxel

    closing = []
    for at in map(tuple, order.tolist()):
        around = np.zeros((3, 3, 3), bool)
        neighbours = {}
        for step in np.ndindex(3, 3, 3):
            voxel = (at[0] + step[0] - 1, at[1] + step[1] - 1, at[2] + step[2] - 1)
            if step != (1, 1, 1) and voxel in parent:
                around[step] = True
                neighbours[step] = voxel
        parent[at] = at
        groups, count = ndimage.label(around, TOUCHING)
        roots = []
        for group in range(1, count + 1):
            step = tuple(np.argwhere(groups == group)[0])
            roots.append(root(neighbours[step]))
        closing += [np.array(at)] * (count - len(set(roots)))
        for one in roots:
            parent[root(one)] = at
    return closing[::-1]
