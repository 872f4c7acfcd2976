"""The planes through a stroke, and the picture."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from edit_cases import CENTRE, INFLUENCE, arc, case_on, grid_around, rotation

from SparseToPreciseLib.editing.edit import edit
from SparseToPreciseLib.pictures.editing import draw_edit, planes_through


def turned(degrees: float) -> np.ndarray:
    """The arc, turned out of the axial plane."""
    return (arc() - CENTRE) @ rotation((1, 1, 0), degrees).T + CENTRE


@pytest.mark.parametrize("degrees", [0, 3, 20, 50])
def test_the_first_plane_holds_the_stroke_and_all_three_are_orthogonal(degrees: float) -> None:
    stroke = turned(degrees)
    planes = planes_through(stroke, grid_around())
    _, depth = planes[0].project(stroke)
    assert np.abs(depth).max() < (1.0 if degrees == 3 else 1e-6)  # 3 degrees are taken for the image's own slice
    normals = np.array([plane.normal for plane in planes])
    np.testing.assert_allclose(normals @ normals.T, np.eye(3), atol=1e-9)
    for plane in planes:
        frame = np.array([plane.right, plane.up, plane.normal])
        np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-9)
        assert np.abs(plane.centre - stroke[4]).max() < 0.1  # the stroke's middle
    assert planes[0].name == ("axial" if degrees <= 3 else "oblique axial" if degrees < 45 else planes[0].name)


def test_views_are_as_radiologists_know_them() -> None:
    planes = {plane.name: plane for plane in planes_through(arc(), grid_around())}
    assert planes["axial"].letters == ("R", "L", "A", "P")
    assert planes["coronal"].letters == ("R", "L", "S", "I")
    assert planes["sagittal"].letters == ("A", "P", "S", "I")


def test_pixels_lie_where_the_plane_says() -> None:
    plane = planes_through(turned(20), grid_around())[0]
    grid = plane.grid(10.0, 40)
    np.testing.assert_allclose(grid.spacing, 0.5)
    corner = grid.to_ras([0, 0, 0])  # upper left
    flat, depth = plane.project(corner[None])
    np.testing.assert_allclose(flat, [[-9.75, 9.75]], atol=1e-9)
    assert abs(depth[0]) < 1e-9


@pytest.mark.parametrize("axis", range(3))
def test_a_straight_stroke_is_seen_on_the_images_own_slices(axis: int) -> None:
    grid = grid_around((1.0, 1.0, 3.0), rotation((1, 2, 3), 25))
    along = grid.ijk_to_ras[:3, axis] / grid.spacing[axis]
    stroke = CENTRE + np.outer([0.0, 5.0], along)
    plane = planes_through(stroke, grid)[0]
    slices = grid.ijk_to_ras[:3, 2] / grid.spacing[2]
    if axis != 2:
        assert abs(plane.normal @ slices) == pytest.approx(1.0)
    assert abs(plane.normal @ along) < 1e-9


@pytest.mark.parametrize("degrees", [0, 30])
def test_the_picture_shows_every_part(tmp_path: Path, degrees: float) -> None:
    import matplotlib.image
    from matplotlib.colors import to_rgb

    from SparseToPreciseLib.pictures.editing import AFTER, BEFORE, STROKE

    case, stroke = case_on(grid_around((1.5, 1.5, 1.5), half_mm=27)), turned(degrees)
    result = edit(case.image, case.before, stroke, INFLUENCE)
    applied = SimpleNamespace(points=stroke, influence_radius_mm=INFLUENCE, result=result)
    outcome = SimpleNamespace(image=case.image, before=case.before, after=result.segmentation, strokes=[applied])
    draw_edit(tmp_path / "p.png", outcome.image, outcome, case.truth)
    picture = matplotlib.image.imread(tmp_path / "p.png")[..., :3]
    height, width = picture.shape[:2]
    assert 900 < width < 1300 and 900 < height < 1300

    def count(color: str, column: int) -> int:
        panel = picture[: int(height * 0.95), column * width // 3 : (column + 1) * width // 3]
        return int((np.abs(panel - to_rgb(color)).max(axis=2) < 0.1).sum())

    assert count(BEFORE, 0) > 300 and count(STROKE, 0) == 0
    assert count(STROKE, 1) > 150 and count(BEFORE, 1) > 300
    assert count(AFTER, 2) > 300 and count(AFTER, 0) == 0
