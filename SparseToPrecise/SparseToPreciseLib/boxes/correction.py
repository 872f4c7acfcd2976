"""Corrected boxes to learn a segmentation from: loose ones that a corrector has tightened slice by slice.

After Redekop and Chernyavskiy, "Medical Image Segmentation with Imperfect 3D Bounding Boxes" (2021): a corrector learns
from a few masks, and a segmenter from the many boxes that it has corrected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.box import Box
from ..core.errors import InputError
from ..core.volume import Volume
from .corrector.model import Corrector
from .corrector.tighten import tighten
from .hull import box_hull

LEARNING_COVERAGE = 0.9
"""A little of an object that lies outside its box does less harm than much that is needlessly inside: in the benchmark,
segmenters learn more from boxes that are corrected with this than from those with 0.99."""


@dataclass
class BoxCorrection:
    """Corrects boxes one after another, and counts them.

    Attributes
    ----------
    corrector
        From `load_corrector`.
    coverage
        As `tighten` takes it.
    boxes, kept
        Numbers of boxes so far, and of those that stayed as they were: the corrector was not sure, or nothing of the
        labelmap was left.
    reason
        Reason why the last of those stayed.

    Raises
    ------
    InputError
        The corrector was not calibrated for so high a coverage, or it makes no sense.
    """

    corrector: Corrector
    coverage: float = LEARNING_COVERAGE
    boxes: int = 0
    kept: int = 0
    reason: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.coverage <= 1:
            raise InputError(f"The coverage must lie between 0 and 1, not {self.coverage:g}.")
        self.corrector.calibration.stored_coverage(self.coverage)

    def corrected(self, image: Volume, given: Volume | Box) -> Volume:
        """The tightened boxes of the slices of a box or labelmap: on the image's grid, 1 within them.

        Where the corrector is not sure, the given one itself.

        Parameters
        ----------
        image
            The image that the box lies in.
        given
            A box, or a labelmap whose bounding box is meant; all outside the labelmap's own extent on any plane
            (`box_hull`) stays outside. A labelmap that does not meet the image is returned as it is.

        Raises
        ------
        InputError
            As `tighten`.
        """
        if isinstance(given, Box):
            box, extent = given, given.mask_on(image.grid)
        else:
            mask = given.resampled_to(image.grid, "nearest", fill=0)
            if not mask.array.any():
                return given
            extent = box_hull(mask.array != 0)
            box = Box.bounding(mask.with_array(extent.astype(np.uint8)))
        result = tighten(image, box, self.corrector, coverage=self.coverage)
        inside = extent & (result.slices_as_volume(image.grid).array > 0)
        self.boxes += 1
        if not (result.safe and inside.any()):
            self.kept += 1
            self.reason = result.reason or "what was found lies outside the given extent"
            inside = extent
        return Volume(inside.astype(np.uint8), image.ijk_to_ras, image.name)
