"""The committed recipe made so small that it trains in a second."""

from __future__ import annotations

from pathlib import Path

from SparseToPreciseLib.core.training.recipe import packaged_config

#: Values of configs/train.json, by MONAI's ids.
TINY = {
    "simulation::segmenter_share": 0,
    "simulation::edits_per_phantom": 1,
    "validation_phantoms": 2,
    "validation_cubes": 2,
    "batch_size": 1,
    "validations": 2,
    "network": {
        "name": "UNet",
        "arguments": {
            "spatial_dims": 3,
            "in_channels": len(packaged_config("editing", "train.json")["form"]["parameters"]["inputs"]),
            "out_channels": 1,
            "channels": [4, 8],
            "strides": [2],
        },
    },
}


def tiny_options(folder: Path) -> dict:
    """For `train_editing`: two steps on three phantoms, which stay in folder/cache for the next call."""
    return {
        "phantoms": 3,
        "steps": 2,
        "device": "cpu",
        "workers": 0,
        "cache": folder / "cache",
        "overrides": TINY,
    }
