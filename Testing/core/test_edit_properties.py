"""The promise, over random geometries: beyond the influence radius not one voxel changes, bit for bit."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from edit_cases import distance_to_polyline, rotation
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.editing.edit import edit
from SparseToPreciseLib.editing.editors import WARPS, Warp

# Editors that would change everything if they were let.
WILD = {
    "all inside": Warp("all inside", lambda case: np.full_like(case.image, 1e6)),
    "all outside": Warp("all outside", lambda case: np.full_like(case.image, -1e6)),
    "inside out": Warp("inside out", lambda case: -case.signed_distance),
    "noise": Warp("noise", lambda case: np.random.default_rng(0).normal(0, 50, case.image.shape).astype(np.float32)),
    "not numbers": Warp("not numbers", lambda case: np.full_like(case.image, np.nan)),
}


@dataclass(frozen=True)
class Given:
    image: Volume
    segmentation: Volume
    strokes: list[np.ndarray]
    radius: float


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Any orientation, handedness, order of axes and spacing."""
    shape = draw(st.tuples(*[st.integers(1, 26)] * 3))
    spacing = np.array(draw(st.tuples(*[st.floats(0.4, 4.0)] * 3)))
    axis = draw(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1))
    degrees = draw(st.sampled_from([0.0, 90.0, 180.0]) | st.floats(0, 360))
    flips = np.array(draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3)))
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(axis, degrees)[:, draw(st.permutations(range(3)))] * (spacing * flips)
    origin = np.array(draw(st.tuples(*[st.floats(-500, 500)] * 3)))
    matrix[:3, 3] = origin - matrix[:3, :3] @ (np.array(shape[::-1]) - 1) / 2
    return Grid(shape, matrix)


@st.composite
def cases(draw: st.DrawFn) -> Given:
    """A segmentation with a wavy boundary through the image's middle, on the image's grid or on any other there."""
    grid = draw(grids())
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    middle = grid.to_ras((np.array(grid.shape[::-1]) - 1) / 2)
    own = grid
    if draw(st.booleans()):
        other = draw(grids())
        matrix = other.ijk_to_ras.copy()
        matrix[:3, 3] += middle - other.to_ras((np.array(other.shape[::-1]) - 1) / 2)
        own = Grid(other.shape, matrix)
    away = own.points_ras() - middle
    wave = float(grid.spacing.max()) * 2
    mask = away @ rng.normal(size=3) + wave * np.sin(away @ rng.normal(size=3) / wave) > 0
    image = rng.normal(size=grid.shape).astype(np.float32)
    size = np.array(grid.shape[::-1])
    strokes = []
    for _ in range(draw(st.integers(1, 3))):
        ends = rng.uniform(-0.49, size - 0.51, (2, 3))
        ends[1] = ends[0] + (ends[1] - ends[0]) * rng.uniform(0, 1)
        between = np.linspace(ends[0], ends[1], draw(st.integers(2, 6)))
        strokes.append(grid.to_ras(np.clip(between + rng.normal(0, 0.5, between.shape), -0.45, size - 0.55)))
    extent = float(np.linalg.norm(grid.spacing * size))
    radius = extent * draw(st.floats(0.03, 0.9))
    dtype = draw(st.sampled_from([bool, np.uint8, np.int16]))
    volume = Volume(mask.astype(dtype), own.ijk_to_ras, "segment")
    return Given(Volume(image, grid.ijk_to_ras, "image"), volume, strokes, radius)


# A random stroke may lie where there is nothing to edit; any other refusal would be a fault.
REFUSALS = (
    r"The segment segment is empty; ",
    r"The stroke is farther from the boundary of segment than the influence radius can reach; ",
    r"The segmentation segment does not reach the stroke, ",
)
NO_NUMBERS = r"The editor not numbers answered with values that are not numbers; "


def test_nothing_changes_beyond_the_influence_radius() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(case=cases(), name=st.sampled_from([*WARPS, *WILD]), keep=st.booleans(), share=st.sampled_from([0, 0.4]))
    def examine(case: Given, name: str, keep: bool, share: float) -> None:
        outcome = _edited(case, name, keep, share)
        event(outcome)
        seen[outcome] += 1

    examine()
    # Else the promise would be kept by doing nothing.
    assert seen["changed"] >= 20, seen


def _edited(case: Given, name: str, keep: bool, share: float) -> str:
    """What became of a case, after all strokes that could be applied: "changed", "unchanged" or "refused".

    A share of the voxels, in clumps, is protected and must not change at all.
    """
    noise = np.random.default_rng(case.segmentation.array.size).random(case.segmentation.shape)
    held = ndimage.uniform_filter(noise, 3) < np.quantile(ndimage.uniform_filter(noise, 3), share)
    editor = (WARPS | WILD)[name]
    points = case.segmentation.grid.points_ras().reshape(-1, 3)
    before = case.segmentation
    outcome = "unchanged"
    for number, stroke in enumerate(case.strokes):
        try:
            result = edit(
                case.image,
                before,
                stroke,
                case.radius,
                editor=editor,
                earlier_strokes=case.strokes[:number],
                keep_earlier_edits=keep,
                protected=case.segmentation.with_array(held) if share else None,
            )
        except InputError as error:
            allowed = (*REFUSALS, NO_NUMBERS) if name == "not numbers" else REFUSALS
            assert any(re.match(sentence, str(error)) for sentence in allowed), error
            return outcome if outcome == "changed" else "refused"
        away = distance_to_polyline(points, stroke).reshape(before.shape)
        beyond = away > case.radius * (1 + 1e-5)
        was = before.array != 0
        after = result.segmentation.array
        changed = was != (after != 0)
        if changed.any():
            outcome = "changed"
        assert not changed[beyond].any() and not (share and changed[held].any())
        assert result.changed_outside == 0
        assert result.changed_inside == np.count_nonzero(changed)
        assert set(np.unique(after)) <= {0, 1}
        assert result.segmentation.grid.same_as(before.grid, 0.0)
        before = result.segmentation
    return outcome
