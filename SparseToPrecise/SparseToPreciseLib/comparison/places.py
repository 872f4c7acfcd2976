"""Places to look at: the largest differences of two masks."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from ..core.errors import in_digits
from ..core.volume import Volume
from .place import Place
from .surface import Surface, SurfaceDistances

MOST = 10


def largest_differences(
    a: Volume, b: Volume, a_surface: Surface, b_surface: Surface, distances: SurfaceDistances, most: int = MOST
) -> list[Place]:
    """The places where one surface is farthest from the other, the farthest first, one for each bulge or dent.

    Parameters
    ----------
    a, b
        The masks on one grid.
    a_surface, b_surface
        Their surfaces.
    distances
        Of all points of one to the other.
    most
        So many places at most, each where the distance is larger than around it. What lies within twice its distance
        or three voxels of a place belongs to it, and all that goes on from there with at least half its distance.
        Nothing nearer than one voxel (its longest side) is listed.

    Returns
    -------
    list of Place
        On either surface, with the distance in mm as the size.
    """
    points = np.concatenate([a_surface.points, b_surface.points])
    if not len(points):
        return []
    if not len(a_surface.points) or not len(b_surface.points):
        name, missing, mask = ("A", "B", a) if len(a_surface.points) else ("B", "A", b)
        voxels = np.argwhere(mask.array)
        middle = voxels[np.square(voxels - voxels.mean(axis=0)).sum(axis=1).argmin()]
        volume = len(voxels) * mask.grid.voxel_volume_mm3
        text = f"only in {name}, {missing} is empty"
        return [Place("difference", mask.grid.to_ras(middle[::-1]), volume, "mm³", text)]
    far = np.concatenate([distances.a_to_b, distances.b_to_a])
    longest = float(a.spacing.max())
    triangles = np.concatenate([a_surface.triangles, b_surface.triangles + len(a_surface.points)])
    sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    around = far.copy()  # the largest distance among a point's neighbours and itself
    for one, other in (sides.T, sides.T[::-1]):
        np.maximum.at(around, one, far[other])
    candidates = np.flatnonzero((far >= longest) & (far == around))
    tree, left, found = cKDTree(points), np.ones(len(points), bool), []
    for index in candidates[np.argsort(-far[candidates], kind="stable")]:
        if len(found) == most:
            break
        if left[index]:
            found.append(_difference(points[index], float(far[index]), index < len(a_surface.points), a, b))
            joined = sides[(far[sides] >= far[index] / 2).all(axis=1)]
            links = sparse.coo_matrix((np.ones(len(joined), bool), joined.T), (len(points), len(points)))
            pieces = csgraph.connected_components(links, directed=False)[1]
            near = tree.query_ball_point(points[index], max(2 * far[index], 3 * longest))
            left[np.isin(pieces, pieces[near])] = False
    return found


def _difference(position: np.ndarray, distance: float, of_a: bool, a: Volume, b: Volume) -> Place:
    name, other = ("A", "B") if of_a else ("B", "A")
    ijk = np.clip(np.rint(a.grid.to_ijk(position)).astype(int), 0, np.array(a.shape[::-1]) - 1)
    within = (b if of_a else a).array[tuple(ijk[::-1])]
    text = f"{name} {'ends inside' if within else 'reaches beyond'} {other} by {in_digits(distance, 1)} mm"
    return Place("difference", position, distance, "mm", text)
