"""The task of `sparse-to-precise landmarks detect`: a template's landmarks on files, one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..core.errors import InputError, decimals_on
from ..core.progress import Progress, timed
from ..core.stopping import Stopped, stoppable
from .inputs import expanded, image_stem
from .journal import Journal
from .landmarks_target import TABLE, TargetOutcome
from .outputs import (
    Writer,
    check_folder,
    check_outputs,
    csv_text,
    json_writer,
    output_folders,
    table,
    text_writer,
    write_outputs,
    written,
)
from .task import Argument, DeviceName, Option, ReportedOutcome, Task, several_failed

if TYPE_CHECKING:
    from ..core.volume import Volume
    from ..landmarks.detect import Landmark
    from ..landmarks.model import Template

JOURNAL = ".landmarks-unfinished.jsonl"
DRAWN = 4
"""At most so many targets are in the picture."""

_COLUMNS = ("target", "landmark", "r", "a", "s", "confidence", "status", "reason")


def _point(text: str) -> tuple[float, float, float]:
    try:
        r, a, s = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--seed-point takes three numbers of millimetres R,A,S, not {text!r}.") from None
    return r, a, s


def _stages(text: str) -> tuple[str, ...]:
    return tuple(stage.strip() for stage in text.split(",") if stage.strip())


@dataclass(frozen=True, kw_only=True)
class DetectLandmarks(Task):
    """Find a template's landmarks on images.

    Writes a point list for each target (TARGET.mrk.json; unsure landmarks are unplaced, with the reason) and
    landmarks.csv over all of them. A target that cannot be used does not stop the others. The lists of finished
    targets stay when the command is stopped; the same command goes on from there.

    Examples
    --------
    >>> task = DetectLandmarks(template="template", targets=(Path("targets/a.nrrd"),), output=Path("found"))
    >>> [landmark["name"] for landmark in task.run().report["targets"][0]["landmarks"]]
    ['big', 'tip', 'horn']
    """

    template: Annotated[str, Argument("TEMPLATE", "Folder or name.")]
    targets: Annotated[tuple[Path, ...], Argument("TARGET...", "Images, or folders of images.")]
    output: Annotated[Path, Option(help="Folder for the results.", names=("--output", "-o"), metavar="DIR")]
    seed_point: Annotated[
        tuple[float, float, float] | None,
        Option(help="A point near the structure (mm), instead of a search.", metavar="R,A,S", typed=str, parse=_point),
    ] = None
    mirror: Annotated[
        str, Option(help="Whether the targets show the other side; try: find out.", choices=("no", "yes", "try"))
    ] = "no"
    stages: Annotated[
        tuple[str, ...],
        Option(
            help="Which stages to run, separated by commas; what is left out changes nothing.",
            typed=str,
            parse=_stages,
        ),
    ] = ("localize", "pose", "rigid", "deformable")
    device: DeviceName = "auto"
    report: Annotated[Path | None, Option(help="Write what each stage did, and the times.", metavar="JSON")] = None
    picture: Annotated[
        Path | None, Option(help="Draw the landmarks of the first targets beside the reference.", metavar="PNG")
    ] = None

    def run(self, progress: Progress | None = None) -> DetectOutcome:
        """Find the landmarks.

        The list of a target is there when the next one begins; what is about all targets is written at the end.
        """
        from ..landmarks.model import load_template

        progress = progress or Progress()
        paths = expanded(self.targets)
        names = _names(paths)
        self._check_options()
        check_folder(self.output, "")
        with output_folders(self.output):
            self._check_outputs(paths, names)
            timings: dict[str, float] = {}
            with timed(timings, "load template"):
                progress(0.0, "loading the template")
                template = load_template(self.template, self.device)
            outcome = DetectOutcome(task=self, template=template, targets=[])
            try:
                self._detect(paths, names, outcome, timings, progress)
            except Stopped as stopped:
                there = sum(not target.error for target in outcome.targets)
                if there and len(paths) > 1:
                    stopped.left = (
                        f"the landmarks of {there} of {len(paths)} targets are in {self.output}; "
                        "the same command goes on from there."
                    )
                raise
        progress(1.0, "done")
        return outcome

    def _check_options(self) -> None:
        from ..core.devices import choose_device
        from ..landmarks.detect import MIRRORS, STAGES

        unknown = [stage for stage in self.stages if stage not in STAGES]
        if unknown or not self.stages:
            given = unknown[0] if unknown else ""
            raise InputError(f"--stages takes some of {', '.join(STAGES)}, not {given!r}.")
        if self.mirror not in MIRRORS:
            raise InputError(f"--mirror takes {', '.join(MIRRORS)}, not {self.mirror!r}.")
        choose_device(self.device)

    def _check_outputs(self, paths: Sequence[Path], names: Sequence[str]) -> None:
        from ..mrml.landmark_lists import LANDMARK_EXTENSION

        lists = [self._list_of(name) for name in names]
        for image, list_of_points in zip(paths, lists, strict=True):
            # Beside an image lie its owner's annotations, which Slicer names like this.
            if list_of_points.exists() and image.resolve().parent == self.output.resolve():
                raise InputError(
                    f"{list_of_points} lies beside its image and would be overwritten; name another folder."
                )
        outputs: list[tuple[Path | None, Sequence[str]]] = [(path, (LANDMARK_EXTENSION,)) for path in lists]
        outputs += [(self.output / TABLE, (".csv",)), (self.report, (".json",)), (self.picture, (".png",))]
        check_outputs(outputs, paths)

    def _list_of(self, name: str) -> Path:
        return self.output / f"{name}.mrk.json"

    def _detect(
        self,
        paths: Sequence[Path],
        names: Sequence[str],
        outcome: DetectOutcome,
        timings: dict[str, float],
        progress: Progress,
    ) -> None:
        """Find and write the landmarks of every target, and add it to the outcome."""
        from ..pictures.landmarks import draw_landmarks

        template = outcome.template
        batch = len(paths) > 1
        settings = {"template": template.sha256, "mirror": self.mirror, "stages": self.stages, "seed": self.seed_point}
        journal = Journal(self.output / JOURNAL, settings)
        drawn: list[tuple[Volume, Sequence[Landmark]]] = []
        outputs: list[tuple[Path | None, Writer]] = []
        for number, (path, name) in enumerate(zip(paths, names, strict=True)):
            part = progress.part(0.05 + 0.9 * number / len(paths), 0.05 + 0.9 * (number + 1) / len(paths))
            # Within a batch the writing of one target must not shut the next ones off from Ctrl-C.
            with stoppable() if batch else contextlib.nullcontext():
                target, image = self._target(path, name, template, journal, part)
                if not target.error:
                    outputs = [(self._list_of(name), _list_writer(target.landmarks, name))]
                    if batch and image is not None:
                        write_outputs(*outputs)
                        journal.add(path, target.as_entry())
                outcome.targets.append(target)
                if self.picture is not None and not target.error and len(drawn) < DRAWN:
                    drawn.append((_read(path) if image is None else image, target.landmarks))
        if all(target.error for target in outcome.targets):
            raise several_failed([target.error for target in outcome.targets], "targets")
        outcome.make_report(timings)
        progress(0.96, "writing")
        write_outputs(
            *([] if batch else outputs),
            (self.output / TABLE, text_writer(outcome.as_csv())),
            (self.picture, lambda path: draw_landmarks(path, template, drawn)),
            (self.report, json_writer(outcome.report)),
        )
        if batch:
            journal.remove()

    def _target(
        self, path: Path, name: str, template: Template, journal: Journal, progress: Progress
    ) -> tuple[TargetOutcome, Volume | None]:
        """Landmarks of a target, and its image; without one the target was finished by an earlier run."""
        import numpy as np

        from ..core.images import placement_notes
        from ..landmarks.detect import detect

        progress(0.0, f"{name}: reading")
        try:
            if self._list_of(name).is_file() and (entry := journal.entry(path)) is not None:
                return TargetOutcome.from_entry(path, name, entry), None
            image = _read(path)
            seed = None if self.seed_point is None else np.array(self.seed_point)
            found = detect(template, image, stages=self.stages, mirror=self.mirror, seed_point=seed, progress=progress)
        except InputError as error:
            return TargetOutcome(path, name, error=str(error)), None
        found = replace(found, notes=[*placement_notes(path), *found.notes])
        return TargetOutcome.of(path, name, found), image


@dataclass(frozen=True, kw_only=True)
class DetectOutcome(ReportedOutcome):
    """Landmarks of all targets.

    Attributes
    ----------
    task
        What was asked for.
    template
        What was looked for.
    targets
        In the order given.
    """

    task: DetectLandmarks
    template: Template
    targets: list[TargetOutcome]

    @property
    def warnings(self) -> list[str]:
        notes = [note for target in self.targets for note in target.notes]
        failed = [f"{target.path}: {target.error}" for target in self.targets if target.error]
        return list(dict.fromkeys([*notes, *failed]))

    @property
    def decimals(self) -> int:
        """Decimals of positions in mm: a structure of micrometres needs more than a head."""
        return decimals_on(self.template.scale.spacing_mm, 4)

    def as_csv(self) -> str:
        """A row for each landmark of each target; RAS in mm, empty where it is unplaced."""
        rows: list[Sequence[str]] = [_COLUMNS]
        for target in self.targets:
            rows += target.csv_rows(self.template.landmarks, self.decimals)
        return csv_text(rows)

    def as_json(self) -> dict[str, Any]:
        task, template = self.task, self.template
        return {
            "template": {
                "name": template.name,
                "weights_sha256": template.sha256,
                "references": len(template.references),
            },
            "device": {"requested": task.device, "used": template.predictor.device},
            "mirror": task.mirror,
            "stages": list(task.stages),
            "seed_point": None if task.seed_point is None else list(task.seed_point),
            "output": str(task.output),
            "targets": [target.as_json(self.decimals) for target in self.targets],
        }

    def shown(self) -> list[Any]:
        numbers = ["placed", "lowest confidence", "structure (of 1)", "seconds"]
        rows = table(f"landmarks by {self.template.name}", ["target"], numbers, ["remark"])
        for target in self.targets:
            rows.add_row(*target.row)
        told = [f"Why landmarks are unplaced stands in {self.task.output / TABLE}."] * any(
            one.position is None for target in self.targets for one in target.landmarks
        )
        return [rows, *told, *self.warnings, *written(self.task.output)]


def _names(paths: Sequence[Path]) -> list[str]:
    """Name of the results of each image; a name that two of them share is refused."""
    names = [image_stem(path) or path.name for path in paths]
    for number, name in enumerate(names):
        if name in names[:number]:
            other = paths[names.index(name)]
            raise InputError(f"{other} and {paths[number]} would both write {name}.mrk.json; rename one.")
    return names


def _read(path: Path) -> Volume:
    from ..core.images import read_image

    return read_image(path)


def _list_writer(landmarks: Sequence[Landmark], name: str) -> Writer:
    from ..mrml.headless import scene
    from ..mrml.landmark_lists import landmarks_to_node, write_landmarks

    def write(path: Path) -> None:
        node = landmarks_to_node(landmarks, name)
        try:
            write_landmarks(node, path)
        finally:
            scene().RemoveNode(node)

    return write
