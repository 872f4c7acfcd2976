"""elastix (Klein et al., 2010) as a row: rigid, then B-splines, from a pose that is handed to it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SparseToPreciseLib.core.itk_images import moved
from SparseToPreciseLib.core.resampling import on_grid
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.landmarks.reference import Reference

_VOXELS = 40
"""Of the patch along the structure's diameter."""
_MARGIN, _MASK, _REACH = 0.3, 0.15, 0.15
"""Of the patch, of what counts in it and of the target around it, in diameters: as the tool's own."""
_GRID = 0.25
"""Between the control points at the finest level, in diameters."""
SETTINGS = "its default parameter maps with 3 levels of 256 iterations, control points a quarter of the structure apart"


def available() -> bool:
    try:
        import itk

        return hasattr(itk, "elastix_registration_method")
    except ImportError:
        return False


def elastix(reference: Reference, target: Volume, pose: np.ndarray) -> dict[str, np.ndarray]:
    """Name to RAS position in the target; nothing where elastix gave up.

    Parameters
    ----------
    reference, target
        The annotated image, and the other one.
    pose
        4x4, reference to target, RAS: where it begins.
    """
    import itk

    size = reference.diameter_mm
    inside = reference.soi.grid.to_ras(np.argwhere(reference.soi.array != 0)[:, ::-1])
    marks = np.stack(list(reference.landmarks.values()))
    points = np.concatenate([inside, marks])
    patch = Grid.around(points, _MARGIN * size, size / _VOXELS)
    wide = Grid.around(points, (_MARGIN + _REACH) * size, size / _VOXELS)
    fixed = _image(itk, _filled(reference.image, patch), patch)
    moving = _image(itk, _filled(target, Grid(wide.shape, pose @ wide.ijk_to_ras)), wide)
    soi = reference.soi.with_array((reference.soi.array != 0).astype(np.float32))
    outside = np.nan_to_num(on_grid(soi, patch), nan=0.0) <= 0.5
    near = ndimage.distance_transform_edt(outside, sampling=float(patch.spacing[0])) <= _MASK * size
    parameters = itk.ParameterObject.New()
    for kind in ("rigid", "bspline"):
        chosen = parameters.GetDefaultParameterMap(kind, 3, _GRID * size)
        chosen["WriteResultImage"] = ["false"]
        if kind == "bspline":  # without the bending energy, as in most published parameter files
            chosen["Registration"] = ["MultiResolutionRegistration"]
            chosen["Metric"] = ["AdvancedMattesMutualInformation"]
        chosen["ImageSampler"] = ["RandomSparseMask"]  # the default one gives up on a mask as small as this
        chosen["RandomSeed"] = ["1"]
        parameters.AddParameterMap(chosen)
    mask = _image(itk, near.astype(np.uint8), patch)
    options = {"parameter_object": parameters, "fixed_mask": mask, "log_to_console": False, "number_of_threads": 1}
    try:
        _, found = itk.elastix_registration_method(fixed, moving, **options)
    except RuntimeError:  # it ends so when too little of the patch lies within the target
        return {}
    field = np.asarray(itk.transformix_deformation_field(moving, found))
    where = patch.to_ijk(marks).T[::-1]
    shifts = [ndimage.map_coordinates(field[..., axis], where, order=1, mode="nearest") for axis in range(3)]
    return dict(zip(reference.landmarks, moved(pose, marks + np.stack(shifts, axis=1)), strict=True))


def _filled(image: Volume, grid: Grid) -> np.ndarray:
    values = on_grid(image, grid)
    return np.nan_to_num(values, nan=float(np.nanmin(values)) if np.isfinite(values).any() else 0.0)


def _image(itk, array: np.ndarray, grid: Grid):
    """On a grid along RAS, its coordinates being RAS."""
    kind = np.uint8 if array.dtype == np.uint8 else np.float32
    image = itk.image_from_array(np.ascontiguousarray(array, dtype=kind))
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(grid.ijk_to_ras[:3, 3].tolist())
    return image
