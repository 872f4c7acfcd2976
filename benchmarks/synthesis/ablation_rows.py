"""The rows of the ablation: each changes one thing of the base network's training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FEATURES = 8
"""Channels of every backbone's last features."""
SIGMA_MM = 15.0
WEIGHT = 0.001
"""Of a discriminator, from the authors' code."""

BACKBONES: dict[str, dict[str, Any]] = {
    "U-Net": {
        "name": "BasicUNet",
        "arguments": {"features": [FEATURES, 16, 32, 64, 64, FEATURES], "norm": ["instance", {"affine": True}]},
    },
    "SegResNet": {
        "name": "SegResNet",
        "arguments": {"init_filters": FEATURES, "blocks_down": [1, 2, 2], "blocks_up": [1, 1]},
    },
    "FC-Net": {"name": "FCNet", "arguments": {"channels": FEATURES, "layers": 6}},
}


@dataclass(frozen=True)
class Row:
    """One network and how it is trained.

    Attributes
    ----------
    label
        In the table.
    against
        The row that it is compared with.
    """

    label: str
    backbone: str = "U-Net"
    head: str = "plain"
    objective: str = "l1"
    adversarial: bool = False
    sigma_mm: float = SIGMA_MM
    against: str = "base"
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def network(self) -> dict[str, Any]:
        """As `core.networks.build_network` takes it."""
        return {
            "name": "BackboneWithHead",
            "arguments": {
                "in_channels": 1,
                "out_channels": 3 if self.head == "frequency" else 1,
                "backbone": BACKBONES[self.backbone],
                "head": {"name": self.head, "arguments": self.arguments},
            },
        }


def _frequency(label: str, **more: Any) -> Row:
    return Row(label, head="frequency", objective="frequency", **more)


ROWS: dict[str, Row] = {
    "base": Row("U-Net, L1 (base)"),
    "matched": Row("capacity-matched U-Net, L1", head="matched"),
    "boundary": Row("U-Net + boundary refinement, L1", head="boundary"),
    "gradient": Row("U-Net, L1 + gradient difference", objective="l1-gradient"),
    "gan": Row("U-Net, L1 + 3D GAN", adversarial=True),
    "frequency": _frequency("U-Net, frequency-supervised (σ 15 mm)"),
    "frequency-adversarial": _frequency("… + adversarial on the high band", adversarial=True),
    "frequency-5": _frequency("U-Net, frequency-supervised, σ 5 mm", sigma_mm=5.0),
    "frequency-2": _frequency("U-Net, frequency-supervised, σ 2 mm", sigma_mm=2.0),
    "segresnet": Row("SegResNet, L1", backbone="SegResNet"),
    "segresnet-frequency": _frequency("SegResNet, frequency-supervised", backbone="SegResNet", against="segresnet"),
    "fcnet": Row("FC-Net, L1", backbone="FC-Net"),
    "fcnet-frequency": _frequency("FC-Net, frequency-supervised", backbone="FC-Net", against="fcnet"),
}
