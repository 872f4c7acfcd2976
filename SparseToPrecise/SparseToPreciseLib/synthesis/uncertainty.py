"""How much the answers of several models, and of one model to mirrored images, differ."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np


def flips(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Every way to mirror along some of the axes, the unmirrored one first; 8 for three axes."""
    return [chosen for count in range(len(axes) + 1) for chosen in combinations(axes, count)]


class Spread:
    """Mean and standard deviation of arrays that come one after the other (Welford, 1962): three arrays of memory."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: np.ndarray | None = None
        self._squares: np.ndarray | None = None

    def add(self, array: np.ndarray) -> None:
        """One more array of the same shape."""
        self.count += 1
        if self._mean is None:
            self._mean = array.astype(np.float32)
            self._squares = np.zeros_like(self._mean)
            return
        before = array - self._mean
        self._mean += before / np.float32(self.count)
        self._squares += before * (array - self._mean)

    @property
    def mean(self) -> np.ndarray:
        """float32."""
        if self._mean is None:
            raise ValueError("nothing was added")
        return self._mean

    @property
    def deviation(self) -> np.ndarray:
        """float32, with n - 1; zero after a single array."""
        if self._squares is None:
            raise ValueError("nothing was added")
        return np.sqrt(np.maximum(self._squares, 0) / np.float32(max(self.count - 1, 1)))
