"""From files to files: read annotated images, teach a template of landmarks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core.bundles import Bundle
from ..core.devices import choose_device
from ..core.errors import InputError
from ..core.images import read_image
from ..core.progress import Progress
from ..landmarks.reference import Reference
from ..mrml.landmark_lists import read_landmarks
from ..mrml.landmark_teaching import validation_reference
from .inputs import read_segment

_PATH = r"((?:[A-Za-z]:[\\/])?[^:]+)"  # a drive has a colon of its own


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What `landmarks train` was asked for; see its --help."""

    image: Path
    landmarks: Path
    soi: Path
    output: Path
    segment: str | None = None
    validation_image: Path | None = None
    validation_soi: Path | None = None
    references: tuple[str, ...] = ()
    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    device: str = "auto"
    keep_on_cancel: bool = False


def train_files(
    request: TrainRequest,
    progress: Progress | None = None,
    validated: Callable[[dict[str, float]], None] | None = None,
) -> Bundle:
    """Teach a template from files; errors as `train_template`, and of the files."""
    from ..core.training.writing import check_bundle_target
    from ..landmarks.trainer import MINUTES, STEPS, train_template

    progress = progress or Progress()
    if (request.validation_image is None) != (request.validation_soi is None):
        raise InputError("--validation-image and --validation-soi belong together; give both or neither.")
    if request.minutes is not None and not request.minutes > 0:
        raise InputError(f"--minutes {request.minutes:g} is no time to train; give a number above 0.")
    check_bundle_target(request.output, "landmarks")
    choose_device(request.device)
    progress(0.0, "reading")
    references = [_reference(request.image, request.landmarks, request.soi, request.segment)]
    references += [_reference(*_three_paths(text), request.segment) for text in request.references]
    validation = None
    if request.validation_image is not None:
        image, soi = read_image(request.validation_image), read_segment(request.validation_soi, request.segment)
        validation = validation_reference(image, soi)
    # Minutes alone are a wish for more or less than the default number of steps.
    steps = request.steps or (STEPS if request.minutes is None else 10**9)
    return train_template(
        request.output,
        references,
        validation,
        steps=steps,
        minutes=request.minutes or MINUTES,
        seed=request.seed,
        device=request.device,
        keep_on_cancel=request.keep_on_cancel,
        progress=progress.part(0.02, 1.0),
        validated=validated,
    )


def _reference(image: Path, landmarks: Path, soi: Path, segment: str | None) -> Reference:
    try:
        return Reference(read_image(image), read_segment(soi, segment), read_landmarks(landmarks))
    except InputError as error:
        text = str(error)
        named = any(text.startswith(str(path)) for path in (image, landmarks, soi))
        raise InputError(text if named else f"{image}: {text}") from error


def _three_paths(text: str) -> tuple[Path, Path, Path]:
    found = re.fullmatch(":".join([_PATH] * 3), text)
    if found is None:
        raise InputError(f"--reference takes IMAGE:LANDMARKS:SEG, not {text!r}.")
    image, landmarks, soi = (Path(part) for part in found.groups())
    return image, landmarks, soi
