"""Air, soft tissue and bone in a CT, by thresholds."""

from __future__ import annotations

import numpy as np

from ..core.errors import InputError
from ..core.volume import Volume
from .working_grid import mask_on

AIR_BELOW = -400.0
"""HU below which a voxel is air."""
BONE_ABOVE = 250.0
"""HU above which a voxel is bone."""
AIR, SOFT, BONE = 1, 2, 3
CLASSES = {AIR: "air", SOFT: "soft tissue", BONE: "bone"}
"""Label value to name; 0 is outside the body."""
COLORS = {AIR: (0.35, 0.6, 0.9), SOFT: (0.86, 0.62, 0.55), BONE: (0.95, 0.84, 0.57)}
"""Label value to RGB from 0 to 1."""


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
