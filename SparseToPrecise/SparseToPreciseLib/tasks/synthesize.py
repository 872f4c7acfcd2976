"""From files to files: read MRs, make their CTs, write. One MR at a time, so that memory does not grow with a batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.devices import choose_device
from ..core.errors import InputError
from ..core.files import reason_of, write_together
from ..core.image_headers import IMAGE_EXTENSIONS
from ..core.images import read_image, read_labelmap
from ..core.progress import Progress, timed
from ..core.stopping import Stopped, stoppable
from ..core.volume import Volume
from ..mrml.files import SEGMENTATION_EXTENSIONS, write_volume
from ..mrml.synthesis_classes import write_classes
from ..synthesis.classes import classify
from ..synthesis.model import Synthesizer, load_model
from ..synthesis.synthesize import SynthesisResult, synthesize
from .box_tighten import report_writer
from .outputs import check_outputs
from .synthesize_names import CaseFiles, case_files, is_batch
from .synthesize_report import case_report, synthesis_report

DRAWN = 4
"""At most so many cases are in the picture."""


@dataclass(frozen=True, kw_only=True)
class SynthesizeRequest:
    """What `sparse-to-precise synthesize` was asked for; see its --help."""

    mrs: tuple[Path, ...]
    output: Path
    models: tuple[str, ...] = ()
    body_mask: Path | None = None
    uncertainty: Path | None = None
    bands: Path | None = None
    classes: Path | None = None
    device: str = "auto"
    tile: int | None = None
    overlap: float | None = None
    report: Path | None = None
    picture: Path | None = None


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


@dataclass(frozen=True)
class SynthesizeOutcome:
    """What `synthesize_files` did.

    Attributes
    ----------
    cases
        In the order given.
    models
        What made the CTs.
    timings
        Seconds for loading the models.
    report
        The content of --report.
    """

    cases: Sequence[CaseOutcome]
    models: Sequence[Synthesizer]
    timings: dict[str, float]
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """What the user should know, each sentence once."""
        notes = [note for case in self.cases for note in case.warnings]
        failed = [f"{case.files.mr}: {case.error}" for case in self.cases if case.error]
        return list(dict.fromkeys([*notes, *failed]))


def synthesize_files(request: SynthesizeRequest, progress: Progress | None = None) -> SynthesizeOutcome:
    """Make the CTs of MR files.

    The files of one MR are written together or not at all. In a batch they are there when the next MR begins.

    Raises
    ------
    InputError
        An option, a model or an output is not as it should be, or not one of the MRs could be used; nothing has been
        written.
    """
    progress = progress or Progress()
    batch = is_batch(request)
    cases = case_files(request)
    _check(request, cases, batch)
    timings: dict[str, float] = {}
    with timed(timings, "load models"):
        progress(0.0, "loading the model")
        models = [load_model(name, request.device) for name in request.models or (None,)]
        body = None if request.body_mask is None else read_labelmap(request.body_mask)
    outcomes: list[CaseOutcome] = []
    drawn: list[tuple[Volume, SynthesisResult]] = []
    made: list[Path] = []
    try:
        if batch:
            _make_folders(request, made)
        for number, files in enumerate(cases):
            part = progress.part(0.03 + 0.94 * number / len(cases), 0.03 + 0.94 * (number + 1) / len(cases))
            try:
                # Within a batch the writing of one case must not shut the next ones off from Ctrl-C.
                with stoppable() if batch else contextlib.nullcontext():
                    outcomes.append(_case(request, files, models, body, batch, drawn, part))
            except InputError as error:
                if not batch:
                    raise
                outcomes.append(CaseOutcome(files, {"mr": str(files.mr), "error": str(error)}, error=str(error)))
        if all(case.error for case in outcomes):
            more = f" ({len(outcomes)} MRs, none of which can be used)" if len(outcomes) > 1 else ""
            raise InputError(f"{outcomes[0].error.rstrip('.')}{more}.")
        outcome = SynthesizeOutcome(outcomes, models, timings)
        outcome.report.update(synthesis_report(request, outcome))
        if batch:
            progress(0.98, "writing")
            write_together(_summaries(request, outcome.report, drawn))
    except Stopped as stopped:
        written = sum(not case.error for case in outcomes)
        if written:
            stopped.left = f"the CTs of {written} of {len(cases)} MRs are in {request.output}."
        raise
    finally:
        for folder in made:
            if not any(folder.iterdir()):
                folder.rmdir()
    progress(1.0, "done")
    return outcome


def _case(
    request: SynthesizeRequest,
    files: CaseFiles,
    models: Sequence[Synthesizer],
    body: Volume | None,
    batch: bool,
    drawn: list[tuple[Volume, SynthesisResult]],
    progress: Progress,
) -> CaseOutcome:
    timings: dict[str, float] = {}
    with timed(timings, "read"):
        progress(0.0, f"{files.name}: reading")
        mr = read_image(files.mr)
    result = synthesize(
        mr,
        models,
        body,
        bands=request.bands is not None,
        uncertainty=request.uncertainty is not None,
        tile=request.tile,
        overlap=request.overlap,
        progress=progress.part(0.05, 0.95),
    )
    if request.picture is not None and len(drawn) < DRAWN:
        drawn.append((mr, result))
    outputs = _outputs(files, result)
    report = case_report(files, mr, result, timings)
    if not batch:
        single = SynthesizeOutcome([CaseOutcome(files, report, tuple(result.warnings))], models, {})
        outputs += _summaries(request, synthesis_report(request, single), drawn)
    with timed(timings, "write"):
        progress(0.95, f"{files.name}: writing")
        write_together(outputs)
    report["timings"]["write"] = round(timings["write"], 4)
    return CaseOutcome(files, report, tuple(result.warnings))


def _outputs(files: CaseFiles, result: SynthesisResult) -> list[tuple[Path, Callable[[Path], object]]]:
    volumes = {
        files.ct: result.ct,
        files.uncertainty: result.uncertainty,
        files.low: result.low,
        files.high: result.high,
        files.probability: result.high_probability,
    }
    outputs = [
        (path, lambda path, volume=volume: write_volume(volume, path))
        for path, volume in volumes.items()
        if path is not None
    ]
    if files.classes is not None:
        labels = classify(result.ct, result.body)
        outputs.append((files.classes, lambda path: write_classes(labels, path)))
    return outputs


def _summaries(
    request: SynthesizeRequest, report: dict[str, Any], drawn: Sequence[tuple[Volume, SynthesisResult]]
) -> list[tuple[Path, Callable[[Path], object]]]:
    outputs: list[tuple[Path, Callable[[Path], object]]] = []
    if request.picture is not None:
        from ..pictures.synthesis import draw_synthesis

        outputs.append((request.picture, lambda path: draw_synthesis(path, drawn)))
    if request.report is not None:
        outputs.append((request.report, report_writer(report)))
    return outputs


def _check(request: SynthesizeRequest, cases: Sequence[CaseFiles], batch: bool) -> None:
    """Refuse, before anything is read, what cannot be written or does not go together."""
    if batch and request.body_mask is not None and len(cases) > 1:
        raise InputError(
            f"--body-mask {request.body_mask} belongs to one MR, and {len(cases)} are given; leave it out."
        )
    choose_device(request.device)
    folders = [request.output, request.uncertainty, request.bands, request.classes] if batch else []
    for folder in folders:
        if folder is None:
            continue
        if folder.exists() and not folder.is_dir():
            raise InputError(f"The output {folder} is a file; name a folder for several MRs.")
        if not folder.parent.is_dir():
            raise InputError(f"The folder {folder.parent} does not exist; create it or choose another output.")
    outputs: list[tuple[Path | None, Sequence[str]]] = []
    for files in cases:
        outputs += [(path, IMAGE_EXTENSIONS) for path in files.volumes if path is not None and path.parent.is_dir()]
        if files.classes is not None and files.classes.parent.is_dir():
            outputs.append((files.classes, SEGMENTATION_EXTENSIONS))
        missing = next((p for p in [*files.volumes, files.classes] if p is not None and not p.parent.is_dir()), None)
        if missing is not None and not batch:
            raise InputError(f"The folder {missing.parent} does not exist; create it or choose another output.")
    outputs += [(request.picture, (".png",)), (request.report, (".json",))]
    check_outputs(outputs, [*(files.mr for files in cases), request.body_mask])


def _make_folders(request: SynthesizeRequest, made: list[Path]) -> None:
    """Make the folders of a batch that are not there; `made` lists them, also when one of them cannot be made."""
    for folder in dict.fromkeys((request.output, request.uncertainty, request.bands, request.classes)):
        if folder is not None and not folder.exists():
            try:
                folder.mkdir()
            except OSError as error:
                raise InputError(f"Could not make the folder {folder}: {reason_of(error)}.") from error
            made.append(folder)
