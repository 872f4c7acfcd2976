"""From files to files: read targets, find landmarks on them, write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.devices import choose_device
from ..core.errors import InputError
from ..core.files import write_together
from ..core.images import read_image
from ..core.progress import Progress, timed
from ..core.volume import Volume
from ..landmarks.detect import MIRRORS, STAGES, Detection
from ..landmarks.detect import detect as detect_landmarks
from ..landmarks.metrics import landmark_errors
from ..landmarks.model import Template, load_template
from ..mrml.headless import scene
from ..mrml.landmark_lists import LANDMARK_EXTENSION, landmarks_to_node, read_landmarks, write_landmarks
from .box_tighten import report_writer
from .landmarks_report import detection_report, errors_csv, landmarks_csv
from .landmarks_targets import expanded, output_names
from .outputs import check_outputs, output_folder

TABLE = "landmarks.csv"


@dataclass(frozen=True, kw_only=True)
class DetectRequest:
    """What `landmarks detect` was asked for; see its --help."""

    template: str
    targets: tuple[Path, ...]
    output: Path
    seed_point: tuple[float, float, float] | None = None
    mirror: str = "no"
    stages: tuple[str, ...] = STAGES
    device: str = "auto"
    report: Path | None = None
    picture: Path | None = None


@dataclass(frozen=True)
class TargetOutcome:
    """One target: what was found on it, or why it could not be used."""

    path: Path
    name: str
    detection: Detection | None
    error: str = ""


@dataclass(frozen=True)
class DetectOutcome:
    """What `detect_files` did.

    Attributes
    ----------
    template
        What was looked for.
    targets
        In the order given.
    timings
        Seconds for loading and writing.
    report
        The content of --report.
    """

    template: Template
    targets: Sequence[TargetOutcome]
    timings: dict[str, float]
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """What the user should know, each sentence once."""
        notes = [note for one in self.targets if one.detection is not None for note in one.detection.notes]
        failed = [f"{one.path}: {one.error}" for one in self.targets if one.detection is None]
        return list(dict.fromkeys([*notes, *failed]))


def detect_files(request: DetectRequest, progress: Progress | None = None) -> DetectOutcome:
    """Find a template's landmarks on files and write everything that is wanted.

    Raises
    ------
    InputError
        An option or an output is not as it should be, the template is refused, or not one of the targets could be
        used; nothing has been written.
    """
    paths = expanded(request.targets)
    names = output_names(paths)
    _check_options(request)
    with output_folder(request.output):
        _check_outputs(request, paths, names)
        return _detect_files(request, paths, names, progress or Progress())


def _detect_files(
    request: DetectRequest, paths: Sequence[Path], names: Sequence[str], progress: Progress
) -> DetectOutcome:
    timings: dict[str, float] = {}
    with timed(timings, "load template"):
        progress(0.0, "loading the template")
        template = load_template(request.template, request.device)
    targets: list[TargetOutcome] = []
    drawn: list[tuple[Volume, Detection]] = []
    for number, (path, name) in enumerate(zip(paths, names, strict=True)):
        part = progress.part(0.05 + 0.9 * number / len(paths), 0.05 + 0.9 * (number + 1) / len(paths))
        part(0.0, f"{name}: reading")
        try:
            image = read_image(path)
            seed = None if request.seed_point is None else np.array(request.seed_point)
            found = detect_landmarks(
                template, image, stages=request.stages, mirror=request.mirror, seed_point=seed, progress=part
            )
        except InputError as error:
            targets.append(TargetOutcome(path, name, None, str(error)))
            continue
        targets.append(TargetOutcome(path, name, found))
        if request.picture is not None and len(drawn) < 4:
            drawn.append((image, found))
    if all(one.detection is None for one in targets):
        more = f" ({len(targets)} targets, none of which can be used)" if len(targets) > 1 else ""
        raise InputError(f"{targets[0].error.rstrip('.')}{more}.")
    outcome = DetectOutcome(template, targets, timings)
    outcome.report.update(detection_report(request, outcome))
    progress(0.96, "writing")
    _write(request, outcome, drawn)
    progress(1.0, "done")
    return outcome


def evaluate_files(predicted: Path, reference: Path, csv: Path | None = None) -> dict[str, Any]:
    """The numbers of `landmarks.metrics.landmark_errors` for files; written as CSV when that is wanted."""
    if csv is not None:
        check_outputs([(csv, (".csv",))], [predicted, reference])
    found = landmark_errors(read_landmarks(predicted), read_landmarks(reference))
    if csv is not None:
        text = errors_csv(found)
        write_together([(csv, lambda path: path.write_text(text, encoding="utf-8"))])
    return found


def _check_options(request: DetectRequest) -> None:
    unknown = [stage for stage in request.stages if stage not in STAGES]
    if unknown or not request.stages:
        given = unknown[0] if unknown else ""
        raise InputError(f"--stages takes some of {', '.join(STAGES)}, not {given!r}.")
    if request.mirror not in MIRRORS:
        raise InputError(f"--mirror takes {', '.join(MIRRORS)}, not {request.mirror!r}.")
    choose_device(request.device)


def _check_outputs(request: DetectRequest, paths: Sequence[Path], names: Sequence[str]) -> None:
    lists = [request.output / f"{name}{LANDMARK_EXTENSION}" for name in names]
    for image, written in zip(paths, lists, strict=True):
        # Beside an image lie its owner's annotations, which Slicer names like this.
        if written.exists() and image.resolve().parent == request.output.resolve():
            raise InputError(f"{written} lies beside its image and would be overwritten; name another folder.")
    outputs: list[tuple[Path | None, Sequence[str]]] = [(path, (LANDMARK_EXTENSION,)) for path in lists]
    outputs += [(request.output / TABLE, (".csv",)), (request.report, (".json",)), (request.picture, (".png",))]
    check_outputs(outputs, paths)


def _write(request: DetectRequest, outcome: DetectOutcome, drawn: Sequence[tuple[Volume, Detection]]) -> None:
    nodes, outputs = [], []
    try:
        for one in outcome.targets:
            if one.detection is None:
                continue
            node = landmarks_to_node(one.detection.landmarks, one.name)
            nodes.append(node)
            path = request.output / f"{one.name}{LANDMARK_EXTENSION}"
            outputs.append((path, lambda path, node=node: write_landmarks(node, path)))
        table = landmarks_csv(outcome)
        outputs.append((request.output / TABLE, lambda path: path.write_text(table, encoding="utf-8")))
        if request.picture is not None:
            from ..pictures.landmarks import draw_landmarks

            outputs.append((request.picture, lambda path: draw_landmarks(path, outcome.template, drawn)))
        if request.report is not None:
            outputs.append((request.report, report_writer(outcome.report)))
        write_together(outputs)
    finally:
        for node in nodes:
            scene().RemoveNode(node)
