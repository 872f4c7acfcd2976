"""Hounsfield units: the CT window of a model, and air, soft tissue and bone by thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from ..core.volume import Volume
from .body import mask_on

OUTSIDE = -1024
"""HU of a synthetic CT outside the body."""
AIR_BELOW = -400.0
"""HU below which a voxel is air."""
BONE_ABOVE = 250.0
"""HU above which a voxel is bone."""
AIR, SOFT, BONE = 1, 2, 3
CLASSES = {AIR: "air", SOFT: "soft tissue", BONE: "bone"}
"""Label value to name; 0 is outside the body."""
COLORS = {AIR: (0.35, 0.6, 0.9), SOFT: (0.86, 0.62, 0.55), BONE: (0.95, 0.84, 0.57)}
"""Label value to RGB from 0 to 1."""


@dataclass(frozen=True)
class HuWindow:
    """The range of HU that a model knows.

    Parameters
    ----------
    minimum, maximum
        HU that become 0 and 1.

    Raises
    ------
    InputError
        The minimum is not below the maximum, or one of them does not fit into a CT of 16 bits.
    """

    minimum: float = -1024.0
    maximum: float = 3000.0

    def __post_init__(self) -> None:
        limits = np.iinfo(np.int16)
        if not limits.min <= self.minimum < self.maximum <= limits.max:
            raise InputError(
                f"A CT window must rise from -32768 to 32767 HU, not {self.minimum:g} to {self.maximum:g}."
            )

    @staticmethod
    def from_parameters(values: Sequence[float]) -> HuWindow:
        """The window of a bundle's parameters: [minimum, maximum].

        Raises
        ------
        InputError
            It is not two numbers in order.
        """
        try:
            minimum, maximum = (float(value) for value in values)
        except (TypeError, ValueError) as error:
            raise InputError(f"hu_window must be two numbers, not {values!r}.") from error
        return HuWindow(minimum, maximum)

    @property
    def width(self) -> float:
        """HU between 0 and 1."""
        return self.maximum - self.minimum

    def to_unit(self, hu: np.ndarray) -> np.ndarray:
        """HU clipped to the window as float32 from 0 to 1."""
        unit = (np.asarray(hu, dtype=np.float32) - np.float32(self.minimum)) / np.float32(self.width)
        return np.clip(unit, 0, 1, out=unit)

    def to_hu(self, unit: np.ndarray) -> np.ndarray:
        """0..1 (clipped) as float32 HU."""
        return np.clip(unit, 0, 1).astype(np.float32, copy=False) * np.float32(self.width) + np.float32(self.minimum)

    def as_int16(self, hu: np.ndarray) -> np.ndarray:
        """HU clipped to the window and rounded."""
        return np.rint(np.clip(hu, self.minimum, self.maximum)).astype(np.int16)


def classify(ct: Volume, body: Volume | None = None) -> Volume:
    """The three classes of a CT.

    Parameters
    ----------
    ct
        HU.
    body
        Mask on any grid, non-zero is inside; None: everywhere.

    Returns
    -------
    Volume
        uint8 labels of `CLASSES` on the CT's grid.

    Raises
    ------
    InputError
        The mask has no voxel within the CT.
    """
    labels = np.full(ct.shape, SOFT, np.uint8)
    labels[ct.array < AIR_BELOW] = AIR
    labels[ct.array > BONE_ABOVE] = BONE
    if body is not None:
        inside = mask_on(body, ct.grid)
        if not inside.any():
            raise InputError(f"The body mask {body.name} is empty within {ct.name or 'the CT'}; choose another one.")
        labels[~inside] = 0
    return ct.with_array(labels, f"{ct.name} classes".strip())
