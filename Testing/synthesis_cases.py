"""A small head that can be stored on any grid, its CT, and a bundle of hand-set weights that maps one to the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from edit_cases import grid_around, rotation

from SparseToPreciseLib.core.volume import Grid, Volume

CENTRE = np.array([5.0, -8.0, 12.0])  # RAS, mm, as of grid_around
RADII = np.array([34.0, 42.0, 38.0])  # along R, A, S
# On the lattice of a model with voxels of 2 mm, so that nothing is interpolated.
GRID = Grid((52, 52, 52), np.array([[2.0, 0, 0, -46], [0, 2.0, 0, -60], [0, 0, 2.0, -40], [0, 0, 0, 1]]))
GRIDS = {
    "oblique": grid_around((2.0, 2.0, 2.0), rotation((1, 2, 3), 25), half_mm=60),
    "LAS": grid_around((2.0, 2.0, 2.0), np.diag([-1.0, 1.0, 1.0]), half_mm=52),
    "axes in another order": grid_around((2.0, 2.0, 2.0), np.eye(3)[:, [2, 0, 1]], half_mm=52),
    "anisotropic": grid_around((1.0, 1.0, 4.0), half_mm=52),
}
GAIN, LOW, HIGH = 0.06, 0.05, 0.01
"""Of the hand-set weights: CT = 0.22 + GAIN z in units of the window; z = -2 is -621 HU, z = 2 is 344 HU."""
MIDDLE = 0.22
HEAD = {"backbone": {"name": "BasicUNet", "arguments": {"features": [4, 4, 4, 4, 4, 4]}}}
FREQUENCY = {"in_channels": 1, "out_channels": 3, **HEAD, "head": {"name": "frequency", "arguments": {"kernel": 3}}}
PLAIN = {"in_channels": 1, "out_channels": 1, **HEAD, "head": {"name": "plain"}}
TINY_SYNTHESIS = {  # overrides of the recipe
    "spacing_mm": 6.0,
    "validation_phantoms": 1,
    "tile": 32,
    "sampling::patch": 32,
    "network": {"name": "BackboneWithHead", "arguments": FREQUENCY},
    "batch_size": 1,
    "validations": 1,
    "bfloat16": False,
}


def depth(points: np.ndarray) -> np.ndarray:
    """About how many mm (..., 3) RAS points lie inside the head; negative outside."""
    return (1 - np.linalg.norm((points - CENTRE) / RADII, axis=-1)) * RADII.mean()


def mr_on(grid: Grid, name: str = "MR") -> Volume:
    """Bright scalp, dark skull, a brain with texture and a dark sinus; 20 is air."""
    points = grid.points_ras()
    d = depth(points)
    x, y, z = np.moveaxis(points, -1, 0)
    brain = 600 + 120 * np.sin(x / 6 + 0.5) * np.cos(y / 7) + 60 * np.sin(z / 5)
    image = np.full(grid.shape, 20.0)
    for level, value in ((0.0, 900.0), (5.0, 60.0), (11.0, brain)):
        image = image + (value - image) / (1 + np.exp(-(d - level) / 0.8))
    sinus = np.linalg.norm(points - CENTRE - [4.0, 24.0, -12.0], axis=-1) - 7
    image = image + (30 - image) / (1 + np.exp(sinus / 0.8))
    return Volume(image.astype(np.float32), grid.ijk_to_ras, name)


def ct_on(grid: Grid, name: str = "CT") -> Volume:
    """Air, soft tissue and bone at the places of `mr_on`, HU."""
    points = grid.points_ras()
    d = depth(points)
    image = np.full(grid.shape, -1000.0)
    for level, value in ((0.0, -80.0), (5.0, 900.0), (11.0, 35.0)):
        image = image + (value - image) / (1 + np.exp(-(d - level) / 0.8))
    sinus = np.linalg.norm(points - CENTRE - [4.0, 24.0, -12.0], axis=-1) - 7
    image = image + (-950 - image) / (1 + np.exp(sinus / 0.8))
    return Volume(image.astype(np.float32), grid.ijk_to_ras, name)


def ball_on(grid: Grid, name: str = "body") -> Volume:
    """The head as a mask."""
    return Volume((depth(grid.points_ras()) > 0).astype(np.uint8), grid.ijk_to_ras, name)


def tiny_model(
    folder: Path, *, bands: bool = True, middle: float = MIDDLE, parameters: dict[str, Any] | None = None
) -> Path:
    """A bundle whose CT is a straight line of the standardised MR at the same place.

    Parameters
    ----------
    folder
        Of the bundle.
    bands
        Whether it has heads of frequencies: the low band is then `middle` + LOW z, the high one HIGH z.
    middle
        The CT where z is 0, in units of the window.
    parameters
        In the place of the usual ones.
    """
    import torch

    from SparseToPreciseLib.core.networks import build_network
    from SparseToPreciseLib.core.training.writing import write_bundle
    from SparseToPreciseLib.synthesis.model import BANDS

    outputs = list(BANDS) if bands else ["ct"]
    description = {
        "name": "BackboneWithHead",
        "arguments": {
            "in_channels": 1,
            "out_channels": len(outputs),
            "backbone": {"name": "BasicUNet", "arguments": {"features": [2] * 6, "norm": None}},
            "head": {"name": "frequency", "arguments": {"kernel": 1, "norm": None}} if bands else {"name": "plain"},
        },
    }
    network = build_network(description)
    state = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    shift = 4.0  # features are z + 4 > 0, so that no activation bends them
    # The U-Net's shortest path hands the image on, and nothing comes from its deeper levels.
    for layer in ("conv_0.conv_0", "conv_0.conv_1", "upcat_1.convs.conv_0", "upcat_1.convs.conv_1"):
        state[f"backbone.{layer}.conv.weight"][0, 0, 1, 1, 1] = 1.0
    state["backbone.conv_0.conv_0.conv.bias"][0] = shift
    for name in state:
        if "chains.0" in name:
            state[name][0, 0] = 1.0
    # Both probabilities are a half, so that each band sees half of the features.
    slopes = {"low": (2 * LOW, middle - LOW * shift), "high": (2 * HIGH, -HIGH * shift)}
    for head, (slope, start) in slopes.items() if bands else [("image", (GAIN, middle - GAIN * shift))]:
        layer = network.head.get_submodule(head)
        # What the last layer adds to its convolution, and by what it multiplies it.
        answers = []
        for bias in (0.0, 1.0):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.constant_(layer.bias, bias)
            answers.append(float(layer(torch.zeros(1, 2, 3, 3, 3))[0, 0, 1, 1, 1].detach()))
        factor = answers[1] - answers[0]
        state[f"head.{head}.weight"][0, 0, 1, 1, 1] = slope / factor
        state[f"head.{head}.bias"][0] = (start - answers[0]) / factor
    usual = {
        "spacing_mm": 2.0,
        "hu_window": [-1024, 3000],
        "sigma_mm": 15.0,
        "outputs": outputs,
        "tile": 64,
        "modality": "MR",
        "flips": "RAS",
    }
    content = {"name": folder.name, "family": "synthesis", "network": description}
    content["parameters"] = usual | (parameters or {})
    write_bundle(folder, content, state, inference={}, training={}, card="# Tiny\n")
    return folder
