"""A small object that can be stored on any grid, loose boxes around it, and a corrector that finds it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from edit_cases import grid_around, rotation

from SparseToPreciseLib.boxes.corrector.inputs import CHANNELS
from SparseToPreciseLib.boxes.segmenter.inputs import SEEN
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.volume import Grid, Volume

CENTRE = np.array([5.0, -8.0, 12.0])  # RAS, mm
RADII = np.array([9.0, 12.0, 15.0])  # along R, A, S
TIGHT = Box(CENTRE, np.eye(3), 2 * RADII)
LOOSE = TIGHT.grown([5.0, 9.0, 8.0], [8.0, 5.0, 7.0])
GRID = grid_around((1.5, 1.5, 1.5), half_mm=33)
SIDE = 48  # pixels of the box, of the tiny corrector
GRIDS = {
    "oblique": grid_around((1.5, 1.5, 1.5), rotation((1, 2, 3), 33), half_mm=42),
    "LAS": grid_around((1.5, 1.5, 1.5), np.diag([-1.0, 1.0, 1.0]), half_mm=33),
    "axes in another order": grid_around((1.5, 1.5, 1.5), np.eye(3)[:, [2, 0, 1]], half_mm=33),
    "anisotropic": grid_around((1.0, 1.0, 3.0), half_mm=33),
    "cropped": grid_around((1.5, 1.5, 1.5), half_mm=28),
}
SEGMENTER_ARGUMENTS = {"spatial_dims": 2, "in_channels": SEEN, "out_channels": 1, "channels": [4, 8], "strides": [2]}
TINY_SEGMENTER = {  # overrides of the segmenter's recipe
    "validation_phantoms": 1,
    "batch_size": 1,
    "validations": 1,
    "sampling::side": 32,
    "sampling::planes": 3,
    "network": {"name": "UNet", "arguments": SEGMENTER_ARGUMENTS},
}
TINY_CORRECTOR = {  # overrides of the corrector's recipe
    "network": {"name": "UNet", "arguments": {**SEGMENTER_ARGUMENTS, "spatial_dims": 3, "in_channels": CHANNELS}},
    "start": None,
    "validation_phantoms": 1,
    "calibration_boxes": 4,
    "batch_size": 1,
    "validations": 1,
    "sampling::view::side": 32,
}


def depth(points: np.ndarray) -> np.ndarray:
    """About how many mm (..., 3) RAS points lie inside the object; negative outside."""
    return (1 - np.linalg.norm((points - CENTRE) / RADII, axis=-1)) * RADII.mean()


def image_on(grid: Grid, name: str = "image") -> Volume:
    """Bright object, textured surroundings with a bright rod that never touches it."""
    points = grid.points_ras()
    image = 100.0 / (1.0 + np.exp(-2 * depth(points)))
    image += 6.0 * np.sin(points @ (0.9, 0.5, 0.2)) * np.cos(points[..., 2])
    return Volume(image.astype(np.float32), grid.ijk_to_ras, name)


def mask_on(grid: Grid, name: str = "mask") -> Volume:
    return Volume((depth(grid.points_ras()) > 0).astype(np.uint8), grid.ijk_to_ras, name)


def tiny_corrector(folder: Path, seed: int = 0) -> Path:
    """A bundle of the corrector's family, trained for seconds on one bright object and calibrated on it."""
    import torch

    from SparseToPreciseLib.boxes.corrector.confidence import CalibrationCase, calibrated
    from SparseToPreciseLib.boxes.corrector.inference import predict
    from SparseToPreciseLib.boxes.corrector.inputs import CHANNELS
    from SparseToPreciseLib.boxes.corrector.model import CORRECTOR_FAMILY
    from SparseToPreciseLib.boxes.corrector.trainer import CorrectorTrainer, Sampling, drawn_frame
    from SparseToPreciseLib.boxes.corrector.working_grid import View
    from SparseToPreciseLib.boxes.scenes import Scene
    from SparseToPreciseLib.boxes.scenes import mask_on as share_on
    from SparseToPreciseLib.core.networks import build_network
    from SparseToPreciseLib.core.training.loop import LoopOptions
    from SparseToPreciseLib.core.training.writing import write_bundle

    arguments = {"spatial_dims": 3, "in_channels": CHANNELS, "out_channels": 1, "channels": [8, 16], "strides": [2]}
    description = {"name": "UNet", "arguments": arguments}
    scene, sampling = Scene(image_on(GRID), mask_on(GRID)), Sampling(View(SIDE), inverted_share=0.0)
    torch.manual_seed(seed)
    network = build_network(description)
    options = LoopOptions(steps=30, learning_rate=1e-2, batch_size=2, validations=1, seed=seed, bfloat16=False)
    CorrectorTrainer(network, [scene], [scene], sampling, 16, options).run()
    rng = np.random.default_rng(seed)
    frames = [drawn_frame(scene, sampling, rng) for _ in range(30)]
    predictions = [predict(network.eval(), scene.image, one, sampling.view, 16, torch.device("cpu")) for one in frames]
    cases = [CalibrationCase(one, share_on(one.given, scene.mask)) for one in predictions]
    parameters = {"patch": 16, **asdict(sampling.view), "calibration": calibrated(cases, 16).as_parameters()}
    metadata = {"name": "tiny", "family": CORRECTOR_FAMILY, "network": description, "parameters": parameters}
    write_bundle(folder, metadata, network.state_dict(), inference={}, training={}, card="# Tiny\n")
    return folder


def tiny_segmenter(folder: Path, seed: int = 0) -> Path:
    """A bundle of the segmenter's family, trained for seconds on the object's mask."""
    import torch

    from SparseToPreciseLib.boxes.scenes import Scene
    from SparseToPreciseLib.boxes.segmenter.inputs import SEEN
    from SparseToPreciseLib.boxes.segmenter.model import SEGMENTER_FAMILY
    from SparseToPreciseLib.boxes.segmenter.trainer import PlaneSampling, SegmenterTrainer, mask_loss
    from SparseToPreciseLib.core.networks import build_network
    from SparseToPreciseLib.core.training.loop import LoopOptions
    from SparseToPreciseLib.core.training.writing import write_bundle

    arguments = {"spatial_dims": 2, "in_channels": SEEN, "out_channels": 1, "channels": [8, 16], "strides": [2]}
    description = {"name": "UNet", "arguments": arguments}
    scene = Scene(image_on(GRID), mask_on(GRID))
    torch.manual_seed(seed)
    network = build_network(description)
    options = LoopOptions(steps=30, learning_rate=1e-2, batch_size=2, validations=1, seed=seed, bfloat16=False)
    sampling = PlaneSampling(side=SIDE, inverted_share=0.0)
    SegmenterTrainer(network, [scene], [scene], sampling, mask_loss, options).run()
    parameters = {"side": SIDE, "spacing_mm": None, "all_axes": False}
    metadata = {"name": "tiny", "family": SEGMENTER_FAMILY, "network": description, "parameters": parameters}
    write_bundle(folder, metadata, network.state_dict(), inference={}, training={}, card="# Tiny\n")
    return folder


def find_nothing(corrector: Path) -> None:
    """Change a corrector's bundle so that nothing looks like the object."""
    path = corrector / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    for level in metadata["parameters"]["calibration"]["levels"].values():
        level["threshold"] = 1.0
    path.write_text(json.dumps(metadata))
