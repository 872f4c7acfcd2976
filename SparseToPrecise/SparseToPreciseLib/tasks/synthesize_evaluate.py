"""The task of `sparse-to-precise synthesize-evaluate`: compare a synthetic CT with a reference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..core.progress import Progress
from .outputs import check_outputs, json_writer, table, write_outputs, written
from .task import Argument, Option, Outcome, Task

if TYPE_CHECKING:
    from ..synthesis.metrics import Evaluation


@dataclass(frozen=True)
class EvaluateSynthesis(Task):
    """Compare a synthetic CT with a true one: errors by tissue and along bone edges, similarity, detail.

    Examples
    --------
    >>> EvaluateSynthesis(Path("truth.nrrd"), Path("truth.nrrd")).run().report["mae"]
    0.0
    """

    ct: Annotated[Path, Argument("CT", "The synthetic CT.")]
    reference: Annotated[Path, Argument("REFERENCE", "The true CT, on any grid.")]
    mask: Annotated[
        Path | None,
        Option(help="Segmentation or labelmap where to compare. Default: the reference's body.", metavar="M"),
    ] = None
    error_map: Annotated[
        Path | None, Option(help="Write CT - reference in HU on the CT's grid, 0 outside the mask.", metavar="E")
    ] = None
    json: Annotated[Path | None, Option(help="Write the numbers as JSON.", metavar="J")] = None

    def run(self, progress: Progress | None = None) -> SynthesisComparison:
        """The numbers of `synthesis.metrics`, and where they are wanted the files, both or none."""
        from ..core.image_headers import IMAGE_EXTENSIONS
        from ..core.images import read_image, read_labelmap
        from ..mrml.files import write_volume
        from ..synthesis.metrics import evaluate

        progress = progress or Progress()
        check_outputs(
            [(self.error_map, IMAGE_EXTENSIONS), (self.json, (".json",))], [self.ct, self.reference, self.mask]
        )
        progress(0.0, "reading")
        images = [read_image(path) for path in (self.ct, self.reference)]
        within = None if self.mask is None else read_labelmap(self.mask)
        found = evaluate(*images, within, progress=progress.part(0.1, 0.9))
        progress(0.9, "writing")
        mask = None if self.mask is None else str(self.mask)
        files = {"ct": str(self.ct), "reference": str(self.reference), "mask": mask}
        write_outputs(
            (self.error_map, lambda path: write_volume(found.error, path)),
            (self.json, json_writer({**files, **found.as_json()})),
        )
        progress(1.0, "done")
        return SynthesisComparison(task=self, report=found.as_json(), found=found)


@dataclass(frozen=True, kw_only=True)
class SynthesisComparison(Outcome):
    """The numbers as the report, and as the library gives them."""

    task: EvaluateSynthesis
    found: Evaluation

    @property
    def kept(self) -> bool:
        return self.task.json is not None

    def shown(self) -> list[Any]:
        rows = table(f"{self.task.ct.name} against {self.task.reference.name}", [""], ["value"], [""])
        for name, value, unit in self.found.rows:
            text = "none" if math.isnan(value) else "equal" if math.isinf(value) else f"{value:.4g}"
            rows.add_row(name, text, unit)
        sentences = [*self.found.definitions, *self.found.notes]
        return [rows, *sentences, *written(self.task.error_map, self.task.json)]
