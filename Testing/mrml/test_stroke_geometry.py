"""A stroke changes a segment exactly as the library does on whole volumes, however both are stored and placed."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from edit_cases import INFLUENCE, distance_to_polyline, grid_around, rotation

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.mrml.segmentations import (
    segment_to_volume,
    set_reference_grid,
    stored_segment,
    volume_to_segment,
)
from SparseToPreciseLib.mrml.volumes import parent_to_world
from stroke_cases import BALL, bench

OBLIQUE = rotation((3, -1, 2), 40)
GRIDS = {
    "axis-aligned": grid_around((1.5, 1.5, 1.5)),
    "oblique": grid_around((1.5, 1.5, 1.5), OBLIQUE),
    "LAS": grid_around((1.5, 1.5, 1.5), np.diag([-1, 1, 1])),
    "anisotropic": grid_around((0.9, 1.1, 3.0)),
    "oblique and anisotropic": grid_around((1.0, 1.2, 2.5), OBLIQUE),
}


def moved(degrees: float, shift) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((1, 2, -1), degrees)
    matrix[:3, 3] = shift
    return matrix


def assert_nothing_far_has_changed(before: Volume, after: Volume, stroke: np.ndarray) -> None:
    changed = np.argwhere(before.array != after.array)[:, ::-1]
    assert len(changed)
    assert distance_to_polyline(before.grid.to_ras(changed), stroke).max() < INFLUENCE


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_the_segment_becomes_what_the_library_makes_of_whole_volumes(scene, grid) -> None:
    place = bench(scene, grid)
    before = segment_to_volume(place.segmentation, BALL)
    expected = place.expected()
    applied = place.draw()
    after = segment_to_volume(place.segmentation, BALL, before.grid)
    np.testing.assert_array_equal(place.mask(grid=before.grid), expected)
    assert applied.changed == np.count_nonzero(before.array != after.array)
    assert applied.changed_mm3 == pytest.approx(applied.changed * grid.voxel_volume_mm3)
    assert applied.withheld == 0
    assert_nothing_far_has_changed(before, after, place.case.stroke)


def test_a_small_radius_on_a_large_image_sees_only_a_part_and_gives_the_same(scene) -> None:
    place = bench(scene, grid_around((1.0, 1.0, 1.0), OBLIQUE, half_mm=60))
    expected = place.expected()
    place.draw()
    np.testing.assert_array_equal(place.mask(), expected)


@pytest.mark.parametrize("which", ["volume", "segmentation", "both", "different", "nested"])
def test_parent_transforms(scene, linear, which) -> None:
    place = bench(scene, GRIDS["anisotropic"])
    if which in ("volume", "both", "different", "nested"):
        place.volume.SetAndObserveTransformNodeID(linear(moved(30, (40, -10, 5))).GetID())
    if which == "both":
        place.segmentation.SetAndObserveTransformNodeID(place.volume.GetTransformNodeID())
    if which in ("segmentation", "different"):
        place.segmentation.SetAndObserveTransformNodeID(linear(moved(-20, (0, 15, 60))).GetID())
    if which == "nested":
        upper = linear(moved(-50, (7, 8, 9)))
        place.segmentation.SetAndObserveTransformNodeID(linear(moved(80, (-40, 0, 0)), upper).GetID())
    # The labels are put where they lie on the image in the world, and the stroke is drawn there.
    image_moved = parent_to_world(place.volume)
    world = Volume(place.case.before.array, image_moved @ place.case.before.ijk_to_ras)
    volume_to_segment(world, place.segmentation, BALL)
    stroke = place.case.stroke @ image_moved[:3, :3].T + image_moved[:3, 3]
    before = segment_to_volume(place.segmentation, BALL)
    expected = place.expected(stroke)
    place.draw(stroke)
    after = segment_to_volume(place.segmentation, BALL, before.grid)
    np.testing.assert_array_equal(after.array != 0, expected)
    assert_nothing_far_has_changed(before, after, stroke)


def test_earlier_strokes_travel_with_the_segmentation(scene, linear) -> None:
    from SparseToPreciseLib.mrml.stroke_editing import prepare
    from stroke_cases import WARP

    place = bench(scene, GRIDS["oblique"])
    place.draw()
    both = linear(moved(33, (10, 20, 30)))
    for node in (place.volume, place.segmentation):
        node.SetAndObserveTransformNodeID(both.GetID())
    matrix = parent_to_world(place.volume)
    stroke = place.case.stroke @ matrix[:3, :3].T + matrix[:3, 3]
    job = prepare(place.target, [stroke[:4]], WARP, place.histories)
    np.testing.assert_allclose(job.earlier_strokes[0], stroke, atol=1e-9)


def test_a_segment_larger_than_image_and_reference_geometry(scene) -> None:
    """What lies beyond the image stays, voxel by voxel."""
    place = bench(scene, grid_around((1.0, 1.0, 1.0), half_mm=16), grid_around((1.0, 1.0, 1.0), half_mm=40))
    set_reference_grid(place.segmentation, place.case.image.grid)
    stroke = place.case.stroke + [-4.0, 0, 0]  # the ball's radius is 18 mm and the image ends at 16
    assert place.case.image.grid.contains(stroke).all()
    before = segment_to_volume(place.segmentation, BALL, place.case.before.grid)
    beyond = ~place.case.image.grid.contains(before.grid.points_ras()) & (before.array != 0)
    assert np.count_nonzero(beyond) > 1000
    expected = place.expected(stroke, before)
    place.draw(stroke)
    after = segment_to_volume(place.segmentation, BALL, before.grid)
    np.testing.assert_array_equal(after.array != 0, expected)
    assert_nothing_far_has_changed(before, after, stroke)


def test_a_cropped_segment_grows_beyond_what_is_stored(scene) -> None:
    place = bench(scene, grid_around((1.0, 1.0, 1.0)))
    volume_to_segment(place.case.before, place.segmentation, BALL)  # crops the labelmap to the segment
    stored = stored_segment(place.segmentation, BALL)
    outward = place.case.stroke.copy()
    outward[:, 0] += 5.0  # beyond the ball, and so beyond the labelmap's extent
    place.draw()
    expected = place.expected(outward)
    applied = place.draw(outward)
    grown = stored_segment(place.segmentation, BALL)
    assert applied.changed and grown.shape[2] > stored.shape[2]
    np.testing.assert_array_equal(place.mask(), expected)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0), (0.7, 1.3, 2.0)])
def test_a_reference_geometry_of_another_resolution_than_the_image(scene, spacing) -> None:
    place = bench(scene, grid_around((1.4, 1.4, 1.4)), grid_around(spacing, OBLIQUE))
    before = segment_to_volume(place.segmentation, BALL)
    expected = place.expected()
    place.draw()
    after = segment_to_volume(place.segmentation, BALL, before.grid)
    np.testing.assert_array_equal(after.array != 0, expected)
    assert_nothing_far_has_changed(before, after, place.case.stroke)


def test_a_segment_stored_on_another_grid_than_the_reference_is_not_resampled(scene) -> None:
    place = bench(scene, grid_around((1.4, 1.4, 1.4)), grid_around((1.0, 1.2, 1.9), OBLIQUE))
    set_reference_grid(place.segmentation, place.case.image.grid)
    fine = place.case.before.grid
    before = place.mask(grid=fine)
    place.draw()
    after = place.mask(grid=fine)
    changed = np.argwhere(before != after)[:, ::-1]
    assert len(changed) > 100
    assert distance_to_polyline(fine.to_ras(changed), place.case.stroke).max() < INFLUENCE
    assert stored_segment(place.segmentation, BALL).grid.spacing == pytest.approx(fine.spacing)


def test_masks_are_refused_where_slicer_could_not_apply_them(scene) -> None:
    place = bench(scene, grid_around((1.4, 1.4, 1.4)), grid_around((1.0, 1.2, 1.9), OBLIQUE))
    set_reference_grid(place.segmentation, place.case.image.grid)
    place.parameters.SetSourceVolumeIntensityMask(True)
    with pytest.raises(InputError, match="editable area to everywhere"):
        place.draw()


def test_only_the_part_near_the_stroke_is_copied(scene) -> None:
    from SparseToPreciseLib.mrml.stroke_editing import Options, prepare
    from stroke_cases import WARP

    place = bench(scene, grid_around((1.0, 1.0, 1.0), half_mm=70))
    job = prepare(place.target, [place.case.stroke[3:6]], Options(4.0, model=WARP.model), place.histories)
    assert job.image.array.size < 0.1 * place.case.image.array.size
    assert job.segment.array.size < 0.1 * place.case.image.array.size
    assert not np.shares_memory(job.image.array, slicer.util.arrayFromVolume(place.volume))
    inside = Grid(job.image.shape, job.image.ijk_to_ras)
    assert inside.contains(place.case.stroke[3:6]).all()
