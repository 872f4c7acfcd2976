"""Protected segments never change, bit for bit, and what the others lose is told to the voxel."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.editing.edit_series import Stroke, edit_series
from SparseToPreciseLib.editing.editors import Warp
from SparseToPreciseLib.mrml.labelmaps import labelmap_from_segmentation, segmentation_from_labelmap
from SparseToPreciseLib.mrml.other_segments import lost_to, overlapped_by, protected_segments, voxels_of
from SparseToPreciseLib.mrml.segmentations import segment_to_volume, volume_to_segment

LABELS = (3, 7, 300, 70000)
SHAPE = (9, 10, 11)
# Takes every voxel that it is let have, or gives up all.
GREEDY = Warp("greedy", lambda case: np.full_like(case.image, 1e6))
WASTEFUL = Warp("wasteful", lambda case: np.full_like(case.image, -1e6))


@st.composite
def labelmaps(draw: st.DrawFn) -> np.ndarray:
    """Clumps of up to four labels and background."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    noise = np.stack([ndimage.gaussian_filter(rng.random(SHAPE), 1.2) for _ in range(len(LABELS) + 1)])
    return np.array([0, *LABELS])[noise.argmax(axis=0)]


def test_a_protected_segment_stays_and_the_others_losses_are_told(scene) -> None:
    seen = {"lost": 0, "held": 0}

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(
        labels=labelmaps(),
        protect=st.lists(st.sampled_from([*map(str, LABELS[1:]), "all"]), max_size=3),
        greedy=st.booleans(),
        crop=st.booleans(),
    )
    def examine(labels: np.ndarray, protect: list[str], greedy: bool, crop: bool) -> None:
        present = {str(label) for label in np.unique(labels)}
        protect = [name for name in protect if name in present or name == "all"]
        if "3" not in present:
            return
        scene.Clear(False)
        image = Volume(np.random.default_rng(0).normal(size=SHAPE), np.diag([1.5, 1.5, 2.0, 1.0]))
        whole = image.with_array(labels)
        node = segmentation_from_labelmap(whole.cropped((slice(0, 6), *[slice(None)] * 2)) if crop else whole)
        if "Segment_3" not in node.GetSegmentation().GetSegmentIDs():
            return
        ids = set(node.GetSegmentation().GetSegmentIDs())
        protect = [name for name in protect if name == "all" or f"Segment_{name}" in ids]
        was = labelmap_from_segmentation(node)
        protected = protected_segments(node, "Segment_3", protect)
        before = segment_to_volume(node, "Segment_3")
        middle = np.argwhere(before.array)[len(np.argwhere(before.array)) // 2][::-1]
        ends = np.clip([middle - [2, 0, 0], middle + [2, 0, 0]], 0, np.array(before.shape[::-1]) - 1)
        series = edit_series(
            image,
            before,
            [Stroke("stroke", before.grid.to_ras(ends), 5.0)],
            editor=GREEDY if greedy else WASTEFUL,
            protected=voxels_of(node, protected),
            skip_refused=True,
        )
        lost = lost_to(node, "Segment_3", series.after, on_top=protected)
        overlapped = overlapped_by(node, "Segment_3", series.before, series.after)
        volume_to_segment(series.after, node, "Segment_3")
        now = labelmap_from_segmentation(node, on_top=["Segment_3", *protected])
        now = now.array[tuple(slice(0, size) for size in was.shape)]  # it grows at the end only
        for label in LABELS[1:]:
            missing = np.count_nonzero((was.array == label) & (now != label))
            assert not np.any((was.array != label) & (now == label))
            told = sum(one.changed for one in lost if one.segment_id == f"Segment_{label}")
            assert told == missing == sum(one.overlapped for one in overlapped if one.segment_id == f"Segment_{label}")
            if f"Segment_{label}" in ids:  # in the scene none changes at all
                there = segment_to_volume(node, f"Segment_{label}").array[: was.shape[0]] != 0
                assert np.array_equal(there, was.array == label)
            if f"Segment_{label}" in protected:
                assert missing == 0
                seen["held"] += 1
            seen["lost"] += missing

    examine()
    assert seen["lost"] > 100 and seen["held"] > 10, seen
