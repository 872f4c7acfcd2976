"""What a user has without this tool: a sphere brush, and Slicer's grow-from-seeds."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from scipy import ndimage

from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.editing.guidance import densify, nearest_on_stroke
from SparseToPreciseLib.editing.working_grid import sampled, signed_distance
from SparseToPreciseLib.mrml.volumes import fill_image

_STRAIGHT = 0.05
SEED_VOXELS = 1.5
"""Seeds beside the stroke lie this many voxels (of the coarsest axis) inside and outside of it."""


def sphere_brush(truth: Volume, current: Volume, stroke: np.ndarray, radius: float) -> np.ndarray:
    """The stroke painted with a ball whose diameter is the influence radius.

    A strong user: told by the truth on which side of the stroke the object lies. Where the old segmentation does not
    reach the stroke the ball adds and touches the true boundary from the object's side; where it reaches beyond, the
    ball erases and touches from the other side. The centres are moved from the stroke by half the influence radius
    along the true boundary's normal in the stroke's plane, so no ball leaves the influence zone.

    Returns
    -------
    ndarray
        (K, J, I) bool on the segmentation's grid.
    """
    grid = current.grid
    region = grid.slices_around(stroke, 1.5 * radius)
    part = grid.cropped(region)
    dense = densify(stroke, radius / 10)
    inward = _inward(truth.cropped(region), dense)
    old = signed_distance(current.array[region] != 0, part.spacing_kji)
    adds = sampled(old, part.to_ijk(dense)[:, ::-1]) < 0
    points = part.points_ras().reshape(-1, 3)
    after = current.array.copy() != 0
    painted = after[region]
    for paints, side in ((True, adds), (False, ~adds)):
        if side.any():
            centres = dense[side] + (radius / 2 if paints else -radius / 2) * inward[side]
            painted[(nearest_on_stroke(points, centres)[0] < radius / 2).reshape(part.shape)] = paints
    return after


def grow_from_seeds(
    image: Volume, truth: Volume, current: Volume, stroke: np.ndarray, radius: float, distance_penalty: float = 0.0
) -> np.ndarray:
    """Slicer's grow-from-seeds (`vtkImageGrowCutSegment`) in the influence zone.

    Seeds: the old segmentation and its background outside the zone, each without the voxels at their common border,
    and both sides of the stroke within the zone (the user knows which is which). The rest of the zone is grown, the
    old segmentation stays outside it. Image and segmentation share one grid.

    Returns
    -------
    ndarray
        (K, J, I) bool on the segmentation's grid.
    """
    grid = current.grid
    region = grid.slices_around(stroke, 1.7 * radius)
    part = grid.cropped(region)
    old = current.array[region] != 0
    distance = nearest_on_stroke(part.points_ras().reshape(-1, 3), densify(stroke, radius / 10))[0].reshape(part.shape)
    seeds = np.zeros(part.shape, np.uint8)
    for label, mask in ((1, old), (2, ~old)):
        seeds[ndimage.binary_erosion(mask, border_value=1) & (distance >= radius)] = label
    dense = densify(stroke, float(part.spacing.min()) / 2)
    inward = _inward(truth.cropped(region), dense)
    shift = min(SEED_VOXELS * float(part.spacing.max()), radius / 2)
    for label, sign in ((1, 1.0), (2, -1.0)):
        ijk = np.round(part.to_ijk(dense + sign * shift * inward)).astype(int)
        ijk = ijk[((ijk >= 0) & (ijk < part.shape[::-1])).all(axis=1)]
        seeds[ijk[:, 2], ijk[:, 1], ijk[:, 0]] = label
    if not (seeds == 1).any() or not (seeds == 2).any():
        return current.array != 0
    after_growing = grown(image.array[region], seeds, distance_penalty)
    after = current.array.copy() != 0
    after[region] = np.where(distance < radius, after_growing == 1, old)
    return after


def grown(values: np.ndarray, seeds: np.ndarray, distance_penalty: float) -> np.ndarray:
    filled = []
    for array in (np.asarray(values, np.float32), seeds):
        oriented = slicer.vtkOrientedImageData()
        fill_image(oriented, array)
        filled.append(oriented)
    grow = slicer.vtkImageGrowCutSegment()
    grow.SetIntensityVolume(filled[0])
    grow.SetSeedLabelVolume(filled[1])
    grow.SetDistancePenalty(distance_penalty)
    grow.Update()
    scalars = vtk.util.numpy_support.vtk_to_numpy(grow.GetOutput().GetPointData().GetScalars())
    return scalars.reshape(seeds.shape)


def _inward(truth: Volume, points: np.ndarray) -> np.ndarray:
    """Unit normals (N, 3), RAS, of the true boundary at points of a stroke, in its plane, into the object."""
    distance = ndimage.gaussian_filter(signed_distance(truth.array != 0, truth.grid.spacing_kji), 1.0)
    ijk = truth.grid.to_ijk(points)[:, ::-1]
    # d/dRAS = (d/dIJK) . (dIJK/dRAS)
    slope = (
        np.stack([sampled(along, ijk) for along in np.gradient(distance)[::-1]], axis=1) @ truth.grid.ras_to_ijk[:3, :3]
    )
    centred = points - points.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    if sizes[1] > _STRAIGHT * sizes[0]:  # a straight stroke lies in many planes
        slope -= (slope @ directions[2])[:, None] * directions[2]
    return slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)
