"""The task of `sparse-to-precise box evaluate`: a predicted box or mask in a file against a mask in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ..core.progress import Progress
from .outputs import table
from .task import Argument, Option, Outcome, Task

_SIDES = ("I low", "I high", "J low", "J high", "K low", "K high")


@dataclass(frozen=True)
class EvaluateBox(Task):
    """Compare a box, the boxes of slices or a segmentation with a mask: slice IoU, coverage, errors of sides, Dice.

    Slices are those of the mask's axis of the thickest voxels. An error of a side is how far the box's side lies
    outside the tight box of the mask; negative where it cuts the object.

    Examples
    --------
    >>> EvaluateBox(Path("loose.mrk.json"), Path("mask.nrrd")).run().report["coverage"]
    1.0
    """

    predicted: Annotated[Path, Argument("PREDICTED", "An ROI (.mrk.json), a segmentation or a labelmap.")]
    reference: Annotated[Path, Argument("REFERENCE_MASK", "A segmentation or a labelmap.")]
    predicted_segment: Annotated[str | None, Option(help="ID, name or label value of the segment in PREDICTED.")] = None
    reference_segment: Annotated[
        str | None, Option(help="ID, name or label value of the segment in REFERENCE_MASK.")
    ] = None
    csv: Annotated[bool, Option(help="Print a line of names and a line of numbers instead.")] = False

    def run(self, progress: Progress | None = None) -> BoxComparison:
        """The numbers of `boxes.metrics.evaluate`; a prediction in which nothing was found is one, too."""
        return BoxComparison(task=self, report=self._numbers())

    def _numbers(self) -> dict[str, Any]:
        import numpy as np

        from ..boxes.metrics import evaluate
        from ..mrml.headless import scene
        from ..mrml.rois import ROI_EXTENSION, box_from_roi, read_roi
        from .inputs import read_segment

        mask = read_segment(self.reference, self.reference_segment)
        if not self.predicted.name.lower().endswith(ROI_EXTENSION):
            found = read_segment(self.predicted, self.predicted_segment, may_be_empty=True)
            return evaluate(mask.with_array(np.zeros_like(mask.array)) if found is None else found, mask)
        node = read_roi(self.predicted, self.predicted_segment)
        try:
            return evaluate(box_from_roi(node), mask)
        finally:
            scene().RemoveNode(node)


@dataclass(frozen=True, kw_only=True)
class BoxComparison(Outcome):
    """The numbers of `boxes.metrics.evaluate` as the report."""

    task: EvaluateBox

    @property
    def kept(self) -> bool:
        return False

    def shown(self) -> list[Any]:
        numbers = {name: value for name, value in self.report.items() if name != "side_errors_mm"}
        for side, error in zip(_SIDES, self.report.get("side_errors_mm", ()), strict=False):
            numbers[f"error_{side.replace(' ', '_')}_mm"] = error
        if self.task.csv:
            return [",".join(numbers) + "\n" + ",".join(f"{value:.6g}" for value in numbers.values())]
        rows = table(f"{self.task.predicted.name} against {self.task.reference.name}", [""], [""])
        for name, value in numbers.items():
            rows.add_row(name, f"{value:.4g}" if value < 1 else f"{value:.1f}")
        return [rows]
