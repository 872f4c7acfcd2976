"""Another tool's segmentation as an editor: any model, any server, any hand, inside the influence zone alone."""

from __future__ import annotations

import numpy as np

from ..core.errors import InputError
from ..core.volume import Volume
from .warps import FOLLOW_WIDTH, moved_to_stroke
from .working_grid import WorkingCase, around, signed_distance


class Proposal:
    """An editor that takes over, near each stroke, what a proposed mask has there, and follows the stroke itself.

    Parameters
    ----------
    mask
        Not 0 inside; on any grid, beyond which is background.

    Examples
    --------
    >>> k, j, i = np.ogrid[-16:17, -16:17, -16:17]
    >>> ball = Volume(np.uint8(k**2 + j**2 + i**2 < 10**2), np.eye(4), "ball")
    >>> cut = ball.with_array(ball.array * (abs(i) < 5))
    >>> stroke = 16 + np.array([[9.5, 0, 0], [9.4, 1, 0], [9.4, -1, 0]])
    >>> from SparseToPreciseLib.editing.edit import edit
    >>> result = edit(ball, cut, stroke, influence_radius_mm=12.0, editor=Proposal(ball))
    >>> near, far = (bool(result.segmentation.array[16, 16, 16 + step]) for step in (8, -8))
    >>> near, far, result.changed_outside  # the other side of the ball is not near the stroke
    (True, False, 0)
    """

    device = "cpu"
    multiple = 16
    note = ""

    def __init__(self, mask: Volume) -> None:
        self.mask = mask.with_array((mask.array != 0).astype(np.uint8))
        self.name = f"proposal {mask.name}".strip()

    def __call__(self, case: WorkingCase) -> np.ndarray:
        """The proposal's signed distance, moved onto the stroke; (K, J, I) float32, voxels.

        Raises
        ------
        InputError
            The proposal has no boundary there.
        """
        part = around(self.mask, case.grid, case.grid)
        distance = part.with_array(signed_distance(part.array >= 0.5, part.grid.spacing_kji))
        answer = distance.resampled_to(case.grid).array / np.float32(case.grid.spacing[0])
        inside = answer[case.distance < case.radius] > 0
        if inside.all() or not inside.any():
            raise InputError(
                f"The {self.name} has no boundary near the stroke; draw the stroke where it has one, or give another."
            )
        return moved_to_stroke(case, answer, FOLLOW_WIDTH)
