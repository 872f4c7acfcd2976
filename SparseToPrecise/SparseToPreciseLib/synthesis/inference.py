"""Running the networks: several models, mirrored images, their mean and their spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..core.progress import Progress
from ..core.tiles import Tiling
from ..core.volume import Volume
from .hu import HuWindow
from .inputs import NetworkInput
from .model import Synthesizer


@dataclass(frozen=True)
class Prediction:
    """The networks' mean on the first model's working grid.

    Attributes
    ----------
    outputs
        "ct", and "low", "high", "high_probability", "uncertainty" where they were wanted: (K, J, I) in units of the
        window, uncertainty in HU.
    notes
        Sentences on what gave way to the hardware.
    tile
        Voxels along a tile.
    runs
        Network runs over the whole volume.
    """

    outputs: dict[str, Volume]
    notes: list[str]
    tile: int
    runs: int


def predict(
    models: Sequence[Synthesizer],
    tilings: Sequence[Tiling],
    inputs: Mapping[float, NetworkInput],
    *,
    bands: bool,
    uncertainty: bool,
    window: HuWindow,
    progress: Progress,
) -> Prediction:
    """Run every model on the MR, and for the uncertainty on the MR mirrored as in the models' training.

    Parameters
    ----------
    models, tilings
        The networks, and the tiles of each.
    inputs
        Spacing of a model's working grid in mm to the MR on it.
    bands
        Also the low and the high band and the probability of the high one.
    uncertainty
        Also the standard deviation over models and mirrored images.
    window
        CT window of the models.
    progress
        Hears of every tile; may cancel.
    """
    runs = [
        (number, flip)
        for number, model in enumerate(models)
        for flip in (flips(model.flip_axes()) if uncertainty else [()])
    ]
    first = inputs[models[0].spacing_mm].grid
    means = Spread()
    spread = Spread() if uncertainty else None
    tilings, notes = list(tilings), []
    for step, (number, flip) in enumerate(runs):
        model = models[number]
        given = inputs[model.spacing_mm]
        part = progress.part(step / len(runs), (step + 1) / len(runs))
        # A mirrored image is asked only for its CT.
        predicted = model(given.z, tilings[number], bands=bands and not flip, flip=flip, progress=part)
        tilings[number] = predicted.tiling
        notes += predicted.notes
        array = predicted.array
        if model.spacing_mm != models[0].spacing_mm:
            array = np.stack([Volume(one, given.grid.ijk_to_ras).resampled_to(first).array for one in array])
        # What is clipped later does not count as disagreement.
        np.clip(array[0], 0, 1, out=array[0])
        if spread is not None:
            spread.add(array[0])
        if not flip:
            means.add(array)
    names = ("ct", "low", "high", "high_probability") if bands else ("ct",)
    arrays = dict(zip(names, means.mean, strict=True))
    if spread is not None:
        arrays["uncertainty"] = spread.deviation * np.float32(window.width)
    outputs = {name: Volume(array, first.ijk_to_ras) for name, array in arrays.items()}
    return Prediction(outputs, notes, tilings[0].size, len(runs))


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
