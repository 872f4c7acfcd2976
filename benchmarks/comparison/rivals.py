"""The same distances by other libraries, each by its own definition; those that are not installed are left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from SparseToPreciseLib.comparison.surface import Surface, surface_distances
from SparseToPreciseLib.core.volume import Volume

Measured = dict[str, float]


def ours(a: Volume, b: Volume) -> Measured:
    found = surface_distances(Surface.of(a), Surface.of(b))
    return {"mean": found.mean, "hd95": found.hd95}


def monai(a: Volume, b: Volume) -> Measured:
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    one, other = (torch.from_numpy(mask.array[None, None].astype(np.float32)) for mask in (a, b))
    options = {"include_background": True, "spacing": tuple(a.grid.spacing_kji.tolist())}
    return {
        "mean": float(compute_average_surface_distance(one, other, symmetric=True, **options)),
        "hd95": float(compute_hausdorff_distance(one, other, percentile=95, **options)),
    }


def simpleitk(a: Volume, b: Volume) -> Measured:
    """Its contours and distance maps, put together as in its notebook on evaluating segmentations; it has no HD95."""
    import SimpleITK as sitk

    images = [sitk.GetImageFromArray(mask.array.astype(np.uint8)) for mask in (a, b)]
    for image in images:
        image.SetSpacing(a.spacing.tolist())
    maps = [sitk.Abs(sitk.SignedMaurerDistanceMap(one, squaredDistance=False, useImageSpacing=True)) for one in images]
    contours = [sitk.GetArrayViewFromImage(sitk.LabelContour(one)) > 0 for one in images]
    there, back = sitk.GetArrayViewFromImage(maps[1])[contours[0]], sitk.GetArrayViewFromImage(maps[0])[contours[1]]
    return {
        "mean": float(np.concatenate([there, back]).mean()),
        "hd95": float(max(np.percentile(there, 95), np.percentile(back, 95))),
    }


def deepmind(a: Volume, b: Volume) -> Measured:
    import surface_distance

    # One plane of background around, without which surfaces at the border would be missed.
    found = surface_distance.compute_surface_distances(
        np.pad(a.array, 1), np.pad(b.array, 1), a.grid.spacing_kji.tolist()
    )
    parts = [(found[f"distances_{one}"], found[f"surfel_areas_{two}"])
             for one, two in (("gt_to_pred", "gt"), ("pred_to_gt", "pred"))]  # fmt: skip
    return {
        "mean": float(sum((d * w).sum() for d, w in parts) / sum(w.sum() for _, w in parts)),
        "hd95": float(surface_distance.compute_robust_hausdorff(found, 95)),
    }


def panoptica(a: Volume, b: Volume) -> Measured:
    from panoptica.metrics import Metric

    spacing = tuple(a.grid.spacing_kji.tolist())
    return {
        "mean": float(Metric.ASSD(a.array, b.array, voxelspacing=spacing)),
        "hd95": float(Metric.HD95(a.array, b.array, voxelspacing=spacing)),
    }


NAMES: dict[str, Callable[[Volume, Volume], Measured]] = {
    "ours": ours,
    "MONAI": monai,
    "SimpleITK": simpleitk,
    "surface-distance": deepmind,
    "panoptica": panoptica,
}


def installed() -> dict[str, Callable[[Volume, Volume], Measured]]:
    """Those that can be imported."""
    tiny = Volume(np.pad(np.ones((3, 3, 3), bool), 2), np.eye(4))
    found = {}
    for name, measure in NAMES.items():
        try:
            measure(tiny, tiny)
        except ImportError:
            continue
        found[name] = measure
    return found
