"""The CT window of a model: Hounsfield units to 0..1 and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError

OUTSIDE = -1024
"""What a synthetic CT has outside the body, HU."""


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
