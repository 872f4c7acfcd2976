"""Registrations by other tools from a pose that is handed to them: SimpleITK's demons, elastix, greedy.

All of them get the same two patches around the structure, along RAS, and give landmarks in the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from SparseToPreciseLib.core.itk_images import moved
from SparseToPreciseLib.core.resampling import on_grid
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.landmarks.reference import Reference

from . import itk_recipes

VOXELS = 40
"""Of the patch along the structure's diameter."""
_MARGIN, _MASK, _REACH = 0.3, 0.15, 0.15
"""Of the patch, of what counts in it and of the target around it, in diameters: as the tool's own."""
_GRID = 0.25
"""Between the control points at the finest level of elastix, in diameters."""
ELASTIX = "its default parameter maps with 3 levels of 256 iterations, control points a quarter of the structure apart"
GREEDY = "an affine and a deformation by local correlation (NCC 2x2x2, 60 x 40 x 20 iterations, -s 2.0vox 0.5vox)"


@dataclass(frozen=True)
class Patches:
    """A reference and a target under a pose.

    Attributes
    ----------
    reference, pose
        The annotated image; 4x4, reference to target, RAS.
    patch, wide
        Grids along RAS around the structure in the reference, the second one with some room.
    fixed, moving
        (K, J, I) the reference on `patch` and the target under the pose on `wide`.
    """

    reference: Reference
    pose: np.ndarray
    patch: Grid
    wide: Grid
    fixed: np.ndarray
    moving: np.ndarray

    @staticmethod
    def of(reference: Reference, target: Volume, pose: np.ndarray, voxels: int = VOXELS) -> Patches:
        """Patches with so many voxels along the structure's diameter, but none finer than the reference's own."""
        size = reference.diameter_mm
        spacing = max(size / voxels, float(np.prod(reference.image.spacing)) ** (1 / 3))
        inside = reference.soi.grid.to_ras(np.argwhere(reference.soi.array != 0)[:, ::-1])
        points = np.concatenate([inside, np.stack(list(reference.landmarks.values()))])
        patch = Grid.around(points, _MARGIN * size, spacing)
        wide = Grid.around(points, (_MARGIN + _REACH) * size, spacing)
        moving = _filled(target, Grid(wide.shape, pose @ wide.ijk_to_ras))
        return Patches(reference, pose, patch, wide, _filled(reference.image, patch), moving)

    @property
    def marks(self) -> np.ndarray:
        """(N, 3) landmarks of the reference, RAS."""
        return np.stack(list(self.reference.landmarks.values()))

    def named(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Name to RAS position in the target for (N, 3) points of the posed target."""
        return dict(zip(self.reference.landmarks, moved(self.pose, points), strict=True))

    def near(self) -> np.ndarray:
        """(K, J, I) bool on `patch`: in and close to the structure."""
        soi = self.reference.soi.with_array((self.reference.soi.array != 0).astype(np.float32))
        outside = np.nan_to_num(on_grid(soi, self.patch), nan=0.0) <= 0.5
        away = ndimage.distance_transform_edt(outside, sampling=float(self.patch.spacing[0]))
        return away <= _MASK * self.reference.diameter_mm


def demons(patches: Patches) -> dict[str, np.ndarray]:
    """SimpleITK's diffeomorphic demons after histogram matching, at a quarter, half and full resolution."""
    fixed = itk_recipes.to_image(patches.fixed, patches.patch)
    moving = sitk.Resample(itk_recipes.to_image(patches.moving, patches.wide), fixed)
    found = itk_recipes.demons(fixed, moving, itk_recipes.ITERATIONS)
    return patches.named(itk_recipes.through(found, patches.marks))


def greedy_available() -> bool:
    try:
        import picsl_greedy
    except ImportError:
        return False
    return picsl_greedy is not None


def greedy(patches: Patches) -> dict[str, np.ndarray]:
    """greedy (Yushkevich et al., 2016): affine, then a deformation."""
    from picsl_greedy import Greedy3D

    # It takes RAS from the LPS of an image; so an image whose coordinates are RAS comes back turned, twice the same.
    fixed, moving = (
        itk_recipes.to_image(array, grid)
        for array, grid in ((patches.fixed, patches.patch), (patches.moving, patches.wide))
    )
    tool = Greedy3D()
    common = "-d 3 -threads 1 -V 0 -i fixed moving -m NCC 2x2x2"
    given = {"fixed": fixed, "moving": moving}
    tool.execute(f"{common} -a -dof 12 -ia-identity -n 60x40x0 -o affine", **given, affine=None)
    tool.execute(f"{common} -n 60x40x20 -s 2.0vox 0.5vox -it affine -o warp", **given, warp=None)
    turned = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine = turned @ np.array(tool["affine"]) @ turned
    warp = sitk.DisplacementFieldTransform(sitk.Cast(tool["warp"], sitk.sitkVectorFloat64))
    return patches.named(moved(affine, itk_recipes.through(warp, patches.marks)))


def elastix_available() -> bool:
    try:
        import itk

        return hasattr(itk, "elastix_registration_method")
    except ImportError:
        return False


def elastix(patches: Patches) -> dict[str, np.ndarray]:
    """elastix (Klein et al., 2010): rigid, then B-splines; nothing where it gave up."""
    import itk

    fixed, moving = _image(itk, patches.fixed, patches.patch), _image(itk, patches.moving, patches.wide)
    parameters = itk.ParameterObject.New()
    for kind in ("rigid", "bspline"):
        chosen = parameters.GetDefaultParameterMap(kind, 3, _GRID * patches.reference.diameter_mm)
        chosen["WriteResultImage"] = ["false"]
        if kind == "bspline":  # without the bending energy, as in most published parameter files
            chosen["Registration"] = ["MultiResolutionRegistration"]
            chosen["Metric"] = ["AdvancedMattesMutualInformation"]
        chosen["ImageSampler"] = ["RandomSparseMask"]  # the default one gives up on a mask as small as this
        chosen["RandomSeed"] = ["1"]
        parameters.AddParameterMap(chosen)
    mask = _image(itk, patches.near().astype(np.uint8), patches.patch)
    options = {"parameter_object": parameters, "fixed_mask": mask, "log_to_console": False, "number_of_threads": 1}
    try:
        _, found = itk.elastix_registration_method(fixed, moving, **options)
    except RuntimeError:  # it ends so when too little of the patch lies within the target
        return {}
    with TemporaryDirectory() as folder:  # it leaves a file of the field behind
        field = np.asarray(itk.transformix_deformation_field(moving, found, output_directory=folder))
    where = patches.patch.to_ijk(patches.marks).T[::-1]
    shifts = [ndimage.map_coordinates(field[..., axis], where, order=1, mode="nearest") for axis in range(3)]
    return patches.named(patches.marks + np.stack(shifts, axis=1))


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
