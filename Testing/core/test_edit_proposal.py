"""Another tool's mask near the stroke, and the old segmentation everywhere else."""

from __future__ import annotations

import numpy as np
import pytest
from edit_cases import CENTRE, INFLUENCE, arc, case_on, distance_to_polyline, grid_around, resized, rotation

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.editing.edit import edit
from SparseToPreciseLib.editing.proposal import Proposal

PLAIN = grid_around((1.5, 1.5, 1.5))
OBLIQUE = grid_around((1.0, 2.0, 3.0), rotation((1, 2, 3), 40) * [1, -1, 1])


@pytest.mark.parametrize("of_mask", [PLAIN, OBLIQUE], ids=["plain", "oblique and flipped"])
@pytest.mark.parametrize("of_proposal", [PLAIN, OBLIQUE], ids=["plain", "oblique and flipped"])
def test_the_dent_is_filled_from_the_proposal_and_nothing_else_changes(of_mask: Grid, of_proposal: Grid) -> None:
    case = case_on(PLAIN, of_mask)
    proposed = case_on(PLAIN, of_proposal).truth
    # Far from the stroke the proposal is wrong: half of the ball is missing.
    there = of_proposal.points_ras()[..., 0] > CENTRE[0]
    result = edit(
        case.image,
        case.before,
        case.stroke,
        INFLUENCE,
        editor=Proposal(proposed.with_array(proposed.array * there, "other.nrrd")),
    )
    far = distance_to_polyline(of_mask.points_ras().reshape(-1, 3), case.stroke).reshape(of_mask.shape) > INFLUENCE
    after, before, truth = (volume.array > 0 for volume in (result.segmentation, case.before, case.truth))
    assert np.array_equal(after[far], before[far]) and result.changed_outside == 0
    assert dice(after, truth) > 1 - 0.5 * (1 - dice(before, truth))
    assert result.editor == "proposal other.nrrd"


def test_the_boundary_passes_through_the_stroke_where_the_proposal_says_otherwise() -> None:
    case = case_on(PLAIN)
    larger = np.linalg.norm(PLAIN.points_ras() - CENTRE, axis=-1) < np.linalg.norm(case.stroke[0] - CENTRE) + 4
    result = edit(case.image, case.before, case.stroke, INFLUENCE, editor=Proposal(case.truth.with_array(larger)))
    outwards = (case.stroke - CENTRE) / np.linalg.norm(case.stroke - CENTRE, axis=1)[:, None]
    for step, expected in ((-2.0, True), (2.5, False)):
        k, j, i = np.round(PLAIN.to_ijk(case.stroke + step * outwards)).astype(int)[:, ::-1].T
        assert (result.segmentation.array[k, j, i] > 0).mean() == float(expected)


def test_beyond_a_cropped_proposal_is_background() -> None:
    case = case_on(PLAIN)
    box = tuple(slice(part.min() - 1, part.max() + 2) for part in np.nonzero(case.truth.array))
    whole, cropped = (
        edit(case.image, case.before, case.stroke, INFLUENCE, editor=Proposal(mask)).segmentation.array
        for mask in (case.truth, case.truth.cropped(box))
    )
    assert np.array_equal(whole, cropped)


@pytest.mark.parametrize("scale", [1e-3, 10.0])
def test_micrometres_and_centimetres(scale: float) -> None:
    case = case_on(PLAIN)
    image, before, truth = (resized(volume, scale) for volume in (case.image, case.before, case.truth))
    result = edit(image, before, case.stroke * scale, INFLUENCE * scale, editor=Proposal(truth))
    plain = edit(case.image, case.before, case.stroke, INFLUENCE, editor=Proposal(case.truth))
    assert np.count_nonzero(result.segmentation.array != plain.segmentation.array) <= 2


@pytest.mark.parametrize("value", [0, 1])
def test_a_proposal_without_a_boundary_near_the_stroke_is_refused(value: int) -> None:
    case = case_on(PLAIN)
    mask = Volume(np.full(PLAIN.shape, value, np.uint8), PLAIN.ijk_to_ras, "far.nrrd")
    mask.array[:2, :2, :2] = 1 - value
    with pytest.raises(InputError, match="The proposal far.nrrd has no boundary near the stroke; draw the stroke"):
        edit(case.image, case.before, arc(), INFLUENCE, editor=Proposal(mask))
