"""The 2D networks that a template may be trained with."""

from __future__ import annotations

from typing import Any

NETWORKS: dict[str, dict[str, Any]] = {
    "small": {
        "name": "BasicUNet",
        "arguments": {
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": 1,
            "features": [16, 32, 64, 64, 64, 16],
            "norm": "batch",
            "act": "relu",
        },
    },
    "paper": {
        "name": "UNet",
        "arguments": {
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": 1,
            "channels": [64, 128],
            "strides": [2],
            "num_res_units": 4,
            "norm": "batch",
            "act": "relu",
        },
    },
}
"""Networks by name: `small` sees as wide as the patch and trains in minutes on a CPU, which is why it is the default;
`paper` has the one level and the widths of Wang et al., section 3.2."""

DEFAULT_NETWORK = "small"
