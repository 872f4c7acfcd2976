"""The task of `sparse-to-precise synthesize`: CTs of MR files, one at a time, so that memory does not grow."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..core.errors import InputError
from ..core.progress import Progress, timed
from ..core.stopping import Stopped, stoppable
from .outputs import (
    Writer,
    check_folder,
    check_outputs,
    json_writer,
    output_folders,
    rounded,
    table,
    write_outputs,
    written,
)
from .synthesize_names import CaseFiles, case_of, cases_in_folders
from .task import Argument, DeviceName, Option, ReportedOutcome, Task, several_failed

if TYPE_CHECKING:
    from ..core.volume import Volume
    from ..synthesis.model import Synthesizer
    from ..synthesis.synthesize import SynthesisResult

DRAWN = 4
"""At most so many cases are in the picture."""


@dataclass(frozen=True, kw_only=True)
class Synthesize(Task):
    """Make the CT of an MR, on the MR's own grid: int16 HU, -1024 outside the body. Research use only.

    Several MRs are worked on one after the other; --uncertainty, --bands and --classes then name folders, too, and an
    MR that cannot be used does not stop the others.

    Examples
    --------
    >>> outcome = Synthesize(mrs=(Path("mr.nrrd"),), output=Path("ct.nrrd")).run()
    >>> outcome.cases[0].report["ct"]
    'ct.nrrd'
    """

    mrs: Annotated[tuple[Path, ...], Argument("MR...", "MR images (.nrrd, .nii, .nii.gz or .mha), or folders of them.")]
    output: Annotated[
        Path,
        Option(
            help="The CT's file; a folder for several MRs (MR-CT, in the MR's format).",
            names=("--output", "-o"),
            metavar="CT",
        ),
    ]
    models: Annotated[
        tuple[str, ...],
        Option(
            help="Folder or name; given several times, the answers are averaged.", names=("--model",), metavar="BUNDLE"
        ),
    ] = ()
    body_mask: Annotated[
        Path | None,
        Option(help="Segmentation or labelmap of the body, on any grid. Default: found in the MR itself.", metavar="M"),
    ] = None
    uncertainty: Annotated[
        Path | None,
        Option(
            help="Write the standard deviation (HU) over mirrored images and models; several times slower.",
            metavar="U",
        ),
    ] = None
    bands: Annotated[
        Path | None,
        Option(help="Write PREFIX-low, -high and -probability, in the CT's format.", metavar="PREFIX"),
    ] = None
    classes: Annotated[
        Path | None, Option(help="Write air, soft tissue and bone as a segmentation.", metavar="SEG")
    ] = None
    device: DeviceName = "auto"
    tile: Annotated[int | None, Option(help="Voxels along a tile; smaller needs less memory.", metavar="N")] = None
    overlap: Annotated[
        float | None, Option(help="Share of a tile that its neighbour covers. Default: 0.5.", metavar="F")
    ] = None
    report: Annotated[Path | None, Option(help="Write sizes, timings, device, models.", metavar="JSON")] = None
    picture: Annotated[
        Path | None, Option(help="Draw MR and CT of the first cases on three planes.", metavar="PNG")
    ] = None

    @property
    def is_batch(self) -> bool:
        """Whether the output is a folder: several MRs, a folder of MRs, or an output that is no image's name."""
        several = len(self.mrs) > 1 or any(path.is_dir() for path in self.mrs)
        return several or self.output.is_dir() or not self.output.suffix

    def run(self, progress: Progress | None = None) -> SynthesizeOutcome:
        """Make the CTs.

        The files of one MR are written together or not at all. In a batch they are there when the next MR begins.
        """
        from ..core.images import read_labelmap
        from ..synthesis.model import load_model

        progress = progress or Progress()
        cases = self._cases()
        self._check(cases)
        timings: dict[str, float] = {}
        with timed(timings, "load models"):
            progress(0.0, "loading the model")
            models = [load_model(name, self.device) for name in self.models or (None,)]
            body = None if self.body_mask is None else read_labelmap(self.body_mask)
        outcome = SynthesizeOutcome(task=self, cases=[], models=models)
        drawn: list[tuple[Volume, SynthesisResult]] = []
        try:
            with output_folders(*self._folders):
                for number, files in enumerate(cases):
                    part = progress.part(0.03 + 0.94 * number / len(cases), 0.03 + 0.94 * (number + 1) / len(cases))
                    try:
                        # Within a batch the writing of one case must not shut the next ones off from Ctrl-C.
                        with stoppable() if self.is_batch else contextlib.nullcontext():
                            self._case(files, outcome, body, drawn, part)
                    except InputError as error:
                        if not self.is_batch:
                            raise
                        outcome.cases.append(
                            CaseOutcome(files, {"mr": str(files.mr), "error": str(error)}, error=str(error))
                        )
                if all(case.error for case in outcome.cases):
                    raise several_failed([case.error for case in outcome.cases], "MRs")
                outcome.make_report(timings)
                if self.is_batch:
                    progress(0.98, "writing")
                    write_outputs(*self._summaries(outcome, drawn))
        except Stopped as stopped:
            there = sum(not case.error for case in outcome.cases)
            if there and self.is_batch:
                stopped.left = f"the CTs of {there} of {len(cases)} MRs are in {self.output}."
            raise
        progress(1.0, "done")
        return outcome

    @property
    def _folders(self) -> list[Path]:
        """The folders of a batch."""
        wanted = (self.output, self.uncertainty, self.bands, self.classes) if self.is_batch else ()
        return [folder for folder in wanted if folder is not None]

    def _cases(self) -> list[CaseFiles]:
        outputs = (self.output, self.uncertainty, self.bands, self.classes)
        return cases_in_folders(self.mrs, *outputs) if self.is_batch else [case_of(self.mrs[0], *outputs)]

    def _check(self, cases: Sequence[CaseFiles]) -> None:
        """Refuse, before anything is read, what cannot be written or does not go together."""
        from ..core.devices import choose_device
        from ..core.image_headers import IMAGE_EXTENSIONS
        from ..mrml.files import SEGMENTATION_EXTENSIONS

        if self.is_batch and self.body_mask is not None and len(cases) > 1:
            raise InputError(
                f"--body-mask {self.body_mask} belongs to one MR, and {len(cases)} are given; leave it out."
            )
        choose_device(self.device)
        for folder in self._folders:
            check_folder(folder, " for several MRs")
        outputs: list[tuple[Path | None, Sequence[str]]] = []
        for files in cases:
            outputs += [(path, IMAGE_EXTENSIONS) for path in files.volumes]
            outputs.append((files.classes, SEGMENTATION_EXTENSIONS))
        if self.is_batch:  # their folders are made later
            outputs = [(path, known) for path, known in outputs if path is not None and path.parent.is_dir()]
        outputs += [(self.picture, (".png",)), (self.report, (".json",))]
        check_outputs(outputs, [*(files.mr for files in cases), self.body_mask])

    def _case(
        self,
        files: CaseFiles,
        outcome: SynthesizeOutcome,
        body: Volume | None,
        drawn: list[tuple[Volume, SynthesisResult]],
        progress: Progress,
    ) -> None:
        """Make one CT, write it, and add it to the outcome."""
        from ..core.images import placement_notes, read_image
        from ..synthesis.synthesize import synthesize

        timings: dict[str, float] = {}
        with timed(timings, "read"):
            progress(0.0, f"{files.name}: reading")
            mr = read_image(files.mr)
        result = synthesize(
            mr,
            outcome.models,
            body,
            bands=self.bands is not None,
            uncertainty=self.uncertainty is not None,
            tile=self.tile,
            overlap=self.overlap,
            progress=progress.part(0.05, 0.95),
        )
        result = replace(result, warnings=[*placement_notes(files.mr, self.body_mask), *result.warnings])
        if self.picture is not None and len(drawn) < DRAWN:
            drawn.append((mr, result))
        case = CaseOutcome(files, _case_as_json(files, mr, result, timings), tuple(result.warnings))
        outputs = _outputs(files, result)
        if not self.is_batch:
            outcome.cases.append(case)
            outcome.make_report({})
            outputs += self._summaries(outcome, drawn)
        with timed(timings, "write"):
            progress(0.95, f"{files.name}: writing")
            write_outputs(*outputs)
        case.report["timings"]["write"] = round(timings["write"], 4)
        if self.is_batch:
            outcome.cases.append(case)

    def _summaries(
        self, outcome: SynthesizeOutcome, drawn: Sequence[tuple[Volume, SynthesisResult]]
    ) -> list[tuple[Path | None, Writer]]:
        from ..pictures.synthesis import draw_synthesis

        return [
            (self.picture, lambda path: draw_synthesis(path, drawn)),
            (self.report, json_writer(outcome.report)),
        ]


@dataclass(frozen=True)
class CaseOutcome:
    """One MR: what became of it, or why it could not be used.

    Attributes
    ----------
    files
        What was read and written.
    report
        For --report.
    warnings
        Sentences of the library.
    error
        Why there is no CT; empty when there is one.
    """

    files: CaseFiles
    report: dict[str, Any]
    warnings: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class SynthesizeOutcome(ReportedOutcome):
    """Outcome of all MRs.

    Attributes
    ----------
    task
        What was asked for.
    cases
        In the order given.
    models
        What made the CTs.
    """

    task: Synthesize
    cases: list[CaseOutcome]
    models: Sequence[Synthesizer]

    @property
    def warnings(self) -> list[str]:
        notes = [note for case in self.cases for note in case.warnings]
        failed = [f"{case.files.mr}: {case.error}" for case in self.cases if case.error]
        return list(dict.fromkeys([*notes, *failed]))

    def as_json(self) -> dict[str, Any]:
        return {
            "models": [
                {
                    "name": model.name,
                    "weights_sha256": model.sha256,
                    "spacing_mm": model.spacing_mm,
                    "hu_window": [model.window.minimum, model.window.maximum],
                }
                for model in self.models
            ],
            "device": {"requested": self.task.device, "used": self.models[-1].device},
            "body_mask": None if self.task.body_mask is None else str(self.task.body_mask),
            "cases": [case.report for case in self.cases],
        }

    def shown(self) -> list[Any]:
        rows = table(
            f"CT by {', '.join(model.name for model in self.models)}",
            ["MR"],
            ["voxels", "body (ml)", "seconds"],
            ["remark"],
            fixed=True,
        )
        for case in self.cases:
            if case.error:
                rows.add_row(case.files.name, "–", "–", "–", case.error)
                continue
            found = case.report
            remarks = [f"{len(case.warnings)} warning(s)"] if case.warnings else []
            if "mean_uncertainty_hu" in found:
                remarks.append(f"uncertainty {found['mean_uncertainty_hu']:.0f} HU")
            rows.add_row(
                case.files.name,
                " x ".join(str(size) for size in found["voxels"]),
                f"{found['body_ml']:.0f}",
                f"{sum(found['timings'].values()):.1f}",
                "; ".join(remarks),
            )
        task, files = self.task, self.cases[0].files
        made = [task.output] if task.is_batch else [*files.volumes, files.classes]
        return [rows, *self.warnings, *written(*made, task.report, task.picture)]


def _outputs(files: CaseFiles, result: SynthesisResult) -> list[tuple[Path | None, Writer]]:
    from ..core.images import nifti_header, write_image
    from ..mrml.synthesis_nodes import write_classes
    from ..synthesis.hu import classify

    volumes = {
        files.ct: result.ct,
        files.uncertainty: result.uncertainty,
        files.low: result.low,
        files.high: result.high,
        files.probability: result.high_probability,
    }
    like = nifti_header(files.mr)
    outputs: list[tuple[Path | None, Writer]] = [
        (path, lambda path, volume=volume: write_image(volume, path, like)) for path, volume in volumes.items()
    ]
    if files.classes is not None:
        labels = classify(result.ct, result.body)
        outputs.append((files.classes, lambda path: write_classes(labels, path)))
    return outputs


def _case_as_json(files: CaseFiles, mr: Volume, result: SynthesisResult, timings: dict[str, float]) -> dict[str, Any]:
    """One MR: lengths in mm, volumes in ml, times in seconds."""
    import numpy as np

    body = result.body.array > 0
    found: dict[str, Any] = {
        "mr": str(files.mr),
        "ct": str(files.ct),
        "voxels": list(mr.shape[::-1]),
        "spacing_mm": [round(float(size), 4) for size in mr.spacing],
        "body_ml": round(float(np.count_nonzero(body)) * mr.grid.voxel_volume_mm3 / 1000, 1),
        "tile": result.tile,
        "network_runs": result.answers,
        "device": result.device,
        "timings": rounded({**timings, **result.timings}),
        "warnings": list(result.warnings),
    }
    if result.uncertainty is not None:
        found["mean_uncertainty_hu"] = round(float(result.uncertainty.array[body].mean(dtype=np.float64)), 2)
    return found
