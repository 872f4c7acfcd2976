"""Segmentation in a box: within the box alone, one component, and the same answer however the image is stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from box_cases import GRID, GRIDS, LOOSE, TIGHT, image_on, mask_on  # noqa: E402
from edit_cases import resized, rotation  # noqa: E402

from SparseToPreciseLib.boxes.corrector.model import Corrector  # noqa: E402
from SparseToPreciseLib.boxes.corrector.slice_boxes import SliceBox  # noqa: E402
from SparseToPreciseLib.boxes.corrector.tighten import TightenResult  # noqa: E402
from SparseToPreciseLib.boxes.segmenter.inputs import (  # noqa: E402
    CHANNEL_NAMES,
    POSITIONS,
    RANK,
    SEEN,
    box_cells,
    plane_channels,
    turned,
)
from SparseToPreciseLib.boxes.segmenter.model import Segmenter, load_segmenter  # noqa: E402
from SparseToPreciseLib.boxes.segmenter.segment import SegmentResult, segment  # noqa: E402
from SparseToPreciseLib.boxes.slices import Frame, slice_step  # noqa: E402
from SparseToPreciseLib.core.box import Box  # noqa: E402
from SparseToPreciseLib.core.bundles import open_bundle  # noqa: E402
from SparseToPreciseLib.core.devices import Device  # noqa: E402
from SparseToPreciseLib.core.errors import Cancelled, InputError  # noqa: E402
from SparseToPreciseLib.core.masks import dice  # noqa: E402
from SparseToPreciseLib.core.progress import Progress  # noqa: E402

WIDE = Box(LOOSE.center, LOOSE.axes, 1.25 * LOOSE.size)
TURNED = Box(TIGHT.center, rotation((1, 1, 0), 25), TIGHT.size + 12)


class Rule(torch.nn.Module):
    """Object is what ranks high among the intensities of the box: an answer that nothing but the image decides."""

    def __init__(self, channel: int = RANK, level: float = 0.72) -> None:
        super().__init__()
        self.channel, self.level = channel, level

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return 6 * (given[:, self.channel : self.channel + 1] - self.level)


def by_rule(network: torch.nn.Module, **parameters) -> Segmenter:
    parameters = {"side": 80, "spacing_mm": None, "all_axes": True} | parameters
    bundle = SimpleNamespace(
        name="rule", path="nowhere", sha256="", parameters=parameters, load_network=lambda *channels: network
    )
    return Segmenter(bundle, Device("cpu"))


@pytest.fixture(scope="module")
def segmenter(segmenter_bundle: Path) -> Segmenter:
    """Trained for seconds on the object of `box_cases`."""
    return load_segmenter(segmenter_bundle, "cpu")


@pytest.fixture(scope="module")
def finder(corrector_bundle: Path) -> Corrector:
    """A corrector, which segments by the chances of its cells; trained for seconds on the same object."""
    return load_segmenter(corrector_bundle, "cpu")


def of_truth(result: SegmentResult) -> float:
    return dice(result.segmentation.array > 0, mask_on(result.segmentation.grid).array > 0)


# ------------------------------------------------------------------------------------------------ geometry


@pytest.mark.parametrize("box", [LOOSE, TURNED], ids=["along RAS", "turned"])
@pytest.mark.parametrize("name", GRIDS)
def test_the_same_object_is_found_however_the_image_is_stored(segmenter: Segmenter, name: str, box: Box):
    straight = segment(image_on(GRID), box, segmenter)
    other = segment(image_on(GRIDS[name]), box, segmenter)
    assert of_truth(straight) > 0.7 and of_truth(other) > 0.7
    assert other.volume_mm3 == pytest.approx(straight.volume_mm3, rel=0.1)
    there = straight.segmentation
    share = there.with_array(there.array.astype(np.float32)).resampled_to(other.segmentation.grid, fill=0)
    assert dice(share.array >= 0.5, other.segmentation.array > 0) > 0.92


@pytest.mark.parametrize("box", [LOOSE, TURNED], ids=["along RAS", "turned"])
@pytest.mark.parametrize("name", GRIDS)
def test_a_corrector_finds_the_same_object_however_the_image_is_stored(finder: Corrector, name: str, box: Box):
    assert isinstance(finder, Corrector)
    straight = segment(image_on(GRID), box, finder)
    other = segment(image_on(GRIDS[name]), box, finder)
    assert of_truth(straight) > 0.8 and of_truth(other) > 0.8
    there = straight.segmentation
    share = there.with_array(there.array.astype(np.float32)).resampled_to(other.segmentation.grid, fill=0)
    assert dice(share.array >= 0.5, other.segmentation.array > 0) > 0.92


def test_what_a_corrector_looked_at_last_ends_without_object(finder: Corrector):
    found = finder.probabilities(image_on(GRID), WIDE, 2)
    inner = found.array[1:-1, 1:-1, 1:-1]
    assert inner.max() > 0.8 and found.array.sum() == pytest.approx(inner.sum())
    whole = finder.view.frame(WIDE, 2, slice_step(GRID, WIDE, 2))
    assert found.spacing.max() < 0.95 * whole.cell, "a part of the box, more closely"
    assert of_truth(segment(image_on(GRID), WIDE, finder)) > 0.75


def test_a_correctors_level_is_read_from_its_bundle(corrector_bundle: Path, finder: Corrector):
    bundle = open_bundle(corrector_bundle)
    assert finder.level == 0.5
    stricter = Corrector(
        replace(bundle, metadata={**bundle.metadata, "parameters": {**bundle.parameters, "level": 0.9}}), Device("cpu")
    )
    volumes = [segment(image_on(GRID), LOOSE, one).volume_mm3 for one in (finder, stricter)]
    assert 0 < volumes[1] < volumes[0]
    wrong = replace(bundle, metadata={**bundle.metadata, "parameters": {**bundle.parameters, "level": 1.0}})
    with pytest.raises(InputError, match="it cannot work with the level 1.0"):
        Corrector(wrong, Device("cpu"))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_cutting_along_any_axis_of_the_box_gives_the_same_object(axis: int):
    one = by_rule(Rule(), all_axes=False).probabilities(image_on(GRID), LOOSE, axis)
    all_three = by_rule(Rule()).probabilities(image_on(GRID), LOOSE, axis)
    # The rule looks at one cell at a time, so that all views of it agree to the bit.
    assert np.allclose(one.array, all_three.array, atol=1e-3)
    assert dice((one.array > 0.5) & LOOSE.mask_on(one.grid), mask_on(one.grid).array > 0) > 0.9


def test_cells_turned_are_the_cells_of_a_box_that_is_cut_along_the_next_axis():
    image = image_on(GRID)
    for axis in range(3):
        cut = [box_cells(image, Frame.cut(LOOSE, one, 10.0, side=48)) for one in (axis, (axis + 1) % 3)]
        # K J I are the axes (axis, axis + 2, axis + 1) of the box; turned twice, (axis + 1, axis, axis + 2).
        assert np.allclose(turned(cut[0], 2), cut[1], atol=1e-5)
        assert np.array_equal(turned(cut[0], 3), cut[0])


def test_planes_have_their_neighbours_and_the_ends_themselves():
    cells = np.arange(7 * 4 * 2 * 3, dtype=np.float32).reshape(7, 4, 2, 3)
    planes = plane_channels(cells, np.array([0, 2, 3]))
    assert planes.shape == (3, SEEN, 2, 3) and len(CHANNEL_NAMES) == SEEN
    assert np.array_equal(planes[:, :7], cells[:, [0, 2, 3]].swapaxes(0, 1))
    assert np.array_equal(planes[:, 7], cells[0, [0, 1, 2]]) and np.array_equal(planes[:, 8], cells[0, [1, 3, 3]])


def test_what_is_seen_does_not_depend_on_the_unit_of_intensities():
    image = image_on(GRID)
    frame = Frame.cut(LOOSE, 2, 10.0, side=48)
    other = image.with_array(image.array * 37.0 - 1000.0)
    assert np.allclose(box_cells(image, frame), box_cells(other, frame), atol=1e-3)


def test_distances_are_one_at_the_faces_of_the_box():
    frame = Frame.cut(LOOSE, 2, 10.0, side=48)
    cells = box_cells(image_on(GRID), frame)
    inside = (cells[POSITIONS] <= 1).all(axis=0)
    assert inside.sum() * frame.cell**3 == pytest.approx(LOOSE.volume_mm3, rel=0.12)
    assert np.array_equal(inside, LOOSE.mask_on(frame.cells(0, frame.planes)))


@pytest.mark.parametrize("factor", [1e-3, 10])
@pytest.mark.parametrize("name", ["oblique", "anisotropic"])
def test_the_same_voxels_however_large_they_are(segmenter: Segmenter, name: str, factor: float):
    image = image_on(GRIDS[name])
    expected = segment(image, LOOSE, segmenter)
    large = Box(factor * LOOSE.center, LOOSE.axes, factor * LOOSE.size)
    found = segment(resized(image, factor), large, segmenter)
    assert np.array_equal(found.segmentation.array, expected.segmentation.array)
    assert found.volume_mm3 == pytest.approx(factor**3 * expected.volume_mm3, rel=1e-6)


# ------------------------------------------------------------------------------------------------ limits


@pytest.mark.parametrize("box", [LOOSE, TURNED], ids=["along RAS", "turned"])
def test_nothing_outside_the_box_is_object(box: Box):
    everything = by_rule(Rule(level=-9.0))
    result = segment(image_on(GRID), box, everything)
    assert np.array_equal(result.segmentation.array > 0, box.mask_on(GRID))
    assert result.segmentation.array.dtype == np.uint8 and result.segmentation.grid.same_as(GRID)
    assert result.volume_mm3 == pytest.approx(box.volume_mm3, rel=0.1)


def sliced(box: Box, axis: int, half_mm: float) -> TightenResult:
    """Boxes of slices of one size around the middle; the first third of the slices has none."""
    frame = Frame.cut(box, axis, 1.5)
    bounds = np.full((2, 2), half_mm) * (-1, 1)
    slices = [
        SliceBox(n, float(at), bounds if n >= frame.slices // 3 else None, (), 1.0, False)
        for n, at in enumerate(frame.positions())
    ]
    volumes = (box.volume_mm3, box.volume_mm3)
    return TightenResult(box, slices, axis, True, "", *volumes, 0.99, frame, {}, "cpu", "none")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_nothing_outside_the_boxes_of_slices_is_object(axis: int):
    slices = sliced(LOOSE, axis, 6.0)
    result = segment(image_on(GRID), LOOSE, by_rule(Rule(level=-9.0)), slices=slices)
    wanted = (slices.slices_as_volume(GRID).array > 0) & LOOSE.mask_on(GRID)
    assert wanted.any() and np.array_equal(result.segmentation.array > 0, wanted)


def test_of_several_components_the_largest_remains():
    points = GRID.points_ras()
    image = image_on(GRID)
    corner = np.linalg.norm(points - LOOSE.center - LOOSE.size * 0.4, axis=-1) < 4.5
    image = image.with_array(np.where(corner, np.float32(110), image.array))
    assert corner[LOOSE.mask_on(GRID)].any()
    result = segment(image, LOOSE, by_rule(Rule()))
    assert not (result.segmentation.array[corner] > 0).any() and of_truth(result) > 0.9


def test_an_empty_answer_is_a_note_and_no_error():
    result = segment(image_on(GRID), LOOSE, by_rule(Rule(level=9.0)))
    assert not result.segmentation.array.any() and result.volume_mm3 == 0
    assert result.notes == ["Nothing in the box looks like one object: the segmentation is empty."]


def test_noise_is_hardly_an_object_and_what_is_the_same_everywhere_is_none():
    noise = image_on(GRID).with_array(np.random.default_rng(0).normal(0, 10, GRID.shape).astype(np.float32))
    everywhere = by_rule(Rule(POSITIONS.start, 0.3))  # by where a cell lies, whatever the image
    assert segment(image_on(GRID), LOOSE, everywhere).segmentation.array.any()
    assert not segment(image_on(GRID), LOOSE, everywhere).notes
    told = "There may be no object: what was found looks like all that surrounds it. Check the segmentation."
    assert segment(noise, LOOSE, everywhere).notes == [told]
    result = segment(noise.with_array(np.full(GRID.shape, 7, np.float32)), LOOSE, everywhere)
    assert not result.segmentation.array.any()
    assert result.notes == ["The image is the same everywhere in the box: the segmentation is empty."]


def test_the_boundary_lies_between_voxels_not_on_the_coarse_cells():
    """Probabilities are interpolated: on a grid five times finer the surface has no steps of a cell."""
    fine = TIGHT.grown(3, 3).grid(0.3)
    result = segment(image_on(fine), TIGHT.grown(2, 2), by_rule(Rule(level=0.35)))
    assert of_truth(result) > 0.95


# ------------------------------------------------------------------------------------------------ bad input


def test_bad_boxes_and_images_are_refused_in_one_sentence():
    rule = by_rule(Rule())
    with pytest.raises(InputError, match="reaches beyond the image|larger than the image"):
        segment(image_on(GRID), LOOSE.grown(60, 60), rule)
    image = image_on(GRID)
    broken = image.with_array(np.where(mask_on(GRID).array > 0, np.nan, image.array))
    with pytest.raises(InputError, match="no numbers"):
        segment(broken, LOOSE, rule)
    flat = image.with_array(np.full_like(image.array, 7.0))
    assert segment(flat, LOOSE, rule).segmentation.array.dtype == np.uint8


@pytest.mark.parametrize(
    "wrong", [{"side": 4}, {"side": None}, {"spacing_mm": -1.0}, {"spacing_mm": "thin"}], ids=lambda one: str(one)
)
def test_a_bundle_with_wrong_parameters_is_refused_by_name(wrong: dict):
    with pytest.raises(InputError, match="The bundle rule .* is refused"):
        by_rule(Rule(), **wrong)


def test_a_bundle_of_another_family_is_refused():
    with pytest.raises(InputError, match="is of the family editing, not boxes-segmenter"):
        load_segmenter("editing", "cpu")


def test_cancel_ends_it_and_progress_rises():
    seen: list[float] = []
    segment(image_on(GRID), LOOSE, by_rule(Rule()), progress=Progress(lambda fraction, _: seen.append(fraction)))
    assert seen == sorted(seen) and seen[-1] == 1 and len(seen) > 4
    with pytest.raises(Cancelled):
        segment(image_on(GRID), LOOSE, by_rule(Rule()), progress=Progress(None, lambda: len(seen) > 0))


def test_a_large_box_is_seen_on_a_lattice_of_bounded_size():
    # 512 x 512 x 300 voxels; only the lattice is made, which is all that grows with the box besides the result.
    frame = Frame.cut(Box(np.zeros(3), np.eye(3), [358.0, 358.0, 450.0]), 2, 450.0, None, 80)
    assert np.prod(frame.cells(0, frame.planes).shape) < 64**3
