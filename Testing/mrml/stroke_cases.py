"""The dented ball of `edit_cases` in a scene, with a segment editor on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from edit_cases import INFLUENCE, Case, case_on

from scripted_effect import ScriptedEffect
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.editing.edit import edit
from SparseToPreciseLib.mrml.edit_histories import EditHistories
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.segmentations import segment_to_volume
from SparseToPreciseLib.mrml.stroke_editing import Options, Outcome, apply, prepare
from SparseToPreciseLib.mrml.stroke_targets import SelectedSegment
from SparseToPreciseLib.mrml.volumes import volume_from_node, volume_to_node

BALL = "Segment_1"
WARP = Options(INFLUENCE, model="image-aware-warp")


@dataclass
class Bench:
    """Nodes, the effect's other half, and the histories."""

    case: Case
    volume: Any
    segmentation: Any
    effect: ScriptedEffect
    histories: EditHistories

    @property
    def parameters(self):
        return self.effect.parameterSetNode()

    @property
    def target(self) -> SelectedSegment:
        return SelectedSegment(self.effect)

    def mask(self, segment_id: str = BALL, grid: Grid | None = None) -> np.ndarray:
        return segment_to_volume(self.segmentation, segment_id, grid).array.astype(bool)

    def draw(self, stroke: np.ndarray | None = None, options: Options = WARP) -> Outcome:
        """Prepare, compute and apply a stroke."""
        job = prepare(self.target, [self.case.stroke if stroke is None else stroke], options, self.histories)
        return apply(self.target, job, job.run(), self.histories)

    def expected(self, stroke: np.ndarray | None = None, segment: Volume | None = None) -> np.ndarray:
        """What the library makes of the whole volumes, read from the nodes."""
        return edit(
            volume_from_node(self.volume),
            segment or segment_to_volume(self.segmentation, BALL),
            self.case.stroke if stroke is None else stroke,
            INFLUENCE,
        ).segmentation.array.astype(bool)

    def in_effect(self) -> list[int]:
        return [edit.number for edit in self.histories.in_effect(self.segmentation, BALL)]


def bench(scene, grid: Grid, segmentation_grid: Grid | None = None, labels: Volume | None = None) -> Bench:
    """The case on a grid, the segmentation on another one or from a labelmap."""
    case = case_on(grid, segmentation_grid)
    volume = volume_to_node(case.image)
    segmentation = segmentation_from_labelmap(labels or case.before)
    segmentation.CreateDefaultDisplayNodes()
    effect = ScriptedEffect(scene)
    effect.select(segmentation, BALL, volume)
    return Bench(case, volume, segmentation, effect, EditHistories())
