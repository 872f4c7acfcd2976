"""The task of `sparse-to-precise landmarks evaluate`: a list of landmarks against the true one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ..core.errors import in_digits
from ..core.progress import Progress
from .outputs import check_outputs, csv_text, table, text_writer, write_outputs
from .task import Argument, Option, Outcome, Task


@dataclass(frozen=True)
class EvaluateLandmarks(Task):
    """Distances (mm) between the points of the same name in two lists; names in REFERENCE only count as unplaced.

    Examples
    --------
    >>> EvaluateLandmarks(Path("points.mrk.json"), Path("points.mrk.json")).run().report["max_mm"]
    0.0
    """

    predicted: Annotated[Path, Argument("PREDICTED", "A point list: .mrk.json or .fcsv.")]
    reference: Annotated[Path, Argument("REFERENCE", "The true points: .mrk.json or .fcsv.")]
    csv: Annotated[Path | None, Option(help="Write the errors as CSV, too.", metavar="OUT")] = None

    def run(self, progress: Progress | None = None) -> LandmarksComparison:
        """The numbers of `landmarks.metrics.landmark_errors`, and the CSV where it is wanted."""
        from ..landmarks.metrics import landmark_errors
        from ..mrml.landmark_lists import read_landmarks

        check_outputs([(self.csv, (".csv",))], [self.predicted, self.reference])
        found = landmark_errors(read_landmarks(self.predicted), read_landmarks(self.reference))
        errors = [(name, "" if error is None else in_digits(error, 4)) for name, error in found["errors_mm"].items()]
        write_outputs((self.csv, text_writer(csv_text([("landmark", "error_mm"), *errors]))))
        return LandmarksComparison(task=self, report=found)


@dataclass(frozen=True, kw_only=True)
class LandmarksComparison(Outcome):
    """The numbers of `landmarks.metrics.landmark_errors` as the report."""

    task: EvaluateLandmarks

    @property
    def kept(self) -> bool:
        return self.task.csv is not None

    def shown(self) -> list[Any]:
        found = self.report
        rows = table(f"{self.task.predicted.name} against {self.task.reference.name}", [""], ["error (mm)"])
        for name, error in found["errors_mm"].items():
            rows.add_row(name, "unplaced" if error is None else in_digits(error, 3))
        for name in ("mean_mm", "median_mm", "max_mm"):
            rows.add_row(name.removesuffix("_mm"), "–" if found[name] is None else in_digits(found[name], 3))
        for name, value in found.items():
            if name.startswith("within_"):
                rows.add_row(name.replace("_", " "), f"{value:.1%}")
        return [rows]
