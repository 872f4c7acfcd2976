"""Files of a synthesis by the command line, for the application, which runs it as a process of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import InputError
from ..core.images import read_image, write_image
from ..core.progress import Progress
from ..synthesis.hu import OUTSIDE, classify
from .synthesis_nodes import SynthesisInputs, Synthetic

_CT, _UNCERTAINTY, _BANDS, _REPORT = "ct.nrrd", "uncertainty.nrrd", "band", "report.json"
_GIVEN = "given"
_NOT_IN_NAMES = re.compile(r"[^\w \-()+]", re.ASCII)
_LONGEST_NAME = 60


def write_request(
    inputs: SynthesisInputs,
    folder: Path,
    models: Sequence[str],
    *,
    bands: bool = False,
    uncertainty: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> list[str]:
    """Write an MR and its mask into a folder; on any thread.

    Returns
    -------
    list
        Arguments of `sparse-to-precise` that make the CT in the same folder; see `read_answer`.

    Raises
    ------
    InputError
        The disk is full or read-only.
    Cancelled
        The progress cancels.
    """
    progress = progress or Progress()
    progress(0.0, "writing the MR")
    given = folder / _GIVEN
    given.mkdir()
    # The file has the node's name, for the sentences about it.
    mr = given / f"{_NOT_IN_NAMES.sub('_', inputs.mr.name[:_LONGEST_NAME]).strip() or 'MR'}.nrrd"
    write_image(inputs.mr, mr)
    arguments = ["synthesize", str(mr), "--output", str(folder / _CT), "--report", str(folder / _REPORT)]
    for model in models:
        arguments += ["--model", model]
    if inputs.body is not None:
        progress(0.5, "writing the mask")
        mask = folder / "body mask.nrrd"
        write_image(inputs.body, mask)
        arguments += ["--body-mask", str(mask)]
    if uncertainty:
        arguments += ["--uncertainty", str(folder / _UNCERTAINTY)]
    if bands:
        arguments += ["--bands", str(folder / _BANDS)]
    progress(1.0, "written")
    return [*arguments, "--device", device]


def read_answer(folder: Path, classes: bool = False, progress: Progress | None = None) -> Synthetic:
    """The CT and what came with it, from the folder of `write_request`; on any thread.

    Parameters
    ----------
    classes
        Also tell air, soft tissue and bone apart.

    Raises
    ------
    InputError
        A file cannot be read.
    """
    progress = progress or Progress()
    try:
        report = json.loads((folder / _REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"The report of the synthesis cannot be read ({error}); start it again.") from error
    found = {}
    bands = {"low": "low", "high": "high", "high_probability": "probability"}
    names = {"ct": _CT, "uncertainty": _UNCERTAINTY, **{key: f"{_BANDS}-{one}.nrrd" for key, one in bands.items()}}
    for number, (key, name) in enumerate(names.items()):
        progress(number / len(names), "reading the CT")
        if key == "ct" or (folder / name).exists():
            found[key] = read_image(folder / name)
    ct = found["ct"]
    if classes:
        found["classes"] = classify(ct, ct.with_array(ct.array > OUTSIDE))
    models = [one["name"] if isinstance(one, dict) else str(one) for one in report.get("models", [])]
    return Synthetic(**found, warnings=tuple(report.get("warnings", [])), models=tuple(models))

