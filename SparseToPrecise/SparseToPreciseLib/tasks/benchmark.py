"""The task of `sparse-to-precise benchmark`: what the software's work takes on this very computer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from ..core.errors import InputError
from ..core.progress import Progress
from .outputs import check_outputs, table, written
from .task import DeviceName, Option, ReportedOutcome, Task

WORKS = {
    "edit": "one stroke on a phantom of 96³ voxels; the size of the image makes no difference",
    "box tighten": "a box around a phantom of 80³ voxels",
    "box segment": "the same box",
    "synthesize": "a head phantom, voxels of 3 mm",
    "compare": "two segmentations of 96³ voxels, without a model",
}
"""The works by name, and what each is measured on."""


@dataclass(frozen=True)
class Benchmark(Task):
    """Measure what an edit, a box, a synthetic CT and a comparison take on this computer: seconds and memory.

    A minute on two cores. Each is measured in a process of its own, on a phantom: once from the start, with loading
    PyTorch and the model, and once more as it is then. Landmarks need a template of your own and are not among them.

    Examples
    --------
    >>> outcome = Benchmark(only=("compare",)).run()
    >>> [row["work"] for row in outcome.rows], outcome.rows[0]["again_s"] > 0
    (['compare'], True)
    """

    only: Annotated[
        tuple[str, ...], Option(help=f"Only this: {', '.join(WORKS)}. May be given several times.", metavar="WORK")
    ] = ()
    device: DeviceName = "auto"
    report: Annotated[Path | None, Option(help="Write the table, versions and devices.", metavar="JSON")] = None

    def run(self, progress: Progress | None = None) -> BenchmarkOutcome:
        """Measure one after the other."""
        progress = progress or Progress()
        for name in self.only:
            if name not in WORKS:
                raise InputError(f"There is no {name!r} to measure; choose from {', '.join(WORKS)}.")
        check_outputs([(self.report, (".json",))], [])
        chosen = [name for name in WORKS if not self.only or name in self.only]
        outcome = BenchmarkOutcome(task=self)
        for number, name in enumerate(chosen):
            progress(0.9 * number / len(chosen), f"measuring {name}")
            outcome.rows.append({"work": name, **_of_a_child(name, self.device)})
        outcome.write(progress, {}, self.report)
        return outcome


@dataclass(frozen=True, kw_only=True)
class BenchmarkOutcome(ReportedOutcome):
    """Outcome of a benchmark.

    Attributes
    ----------
    task
        What was asked for.
    rows
        For each work: first_s and again_s (seconds), peak_mb (None where the system does not tell it), the device and
        the model.
    """

    task: Benchmark
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        return self.task.report is not None

    @property
    def warnings(self) -> list[str]:
        return []

    def as_json(self) -> dict[str, Any]:
        return {"cores": os.cpu_count(), "works": self.rows, "on": WORKS}

    def shown(self) -> list[Any]:
        shown = table(
            f"On this computer, {os.cpu_count()} cores",
            ["work", "model"],
            ["first\n(s)", "again\n(s)", "memory\n(MB)"],
            ["device"],
            caption="first: with loading PyTorch and the model; memory: the whole process at its peak",
        )
        for row in self.rows:
            memory = "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"
            shown.add_row(
                row["work"], row["model"], f"{row['first_s']:.1f}", f"{row['again_s']:.2f}", memory, row["device"]
            )
        return [shown, *written(self.task.report)]


def _of_a_child(name: str, device: str) -> dict[str, Any]:
    """A row, measured in a process of its own: what was loaded and used before would count otherwise."""
    library = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [library, os.environ.get("PYTHONPATH", "")]))
    call = f"from {__name__} import measured; measured({name!r}, {device!r})"
    done = subprocess.run(
        [sys.executable, "-c", call], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    if done.returncode:
        *_, why = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise InputError(f"Measuring {name} failed: {why.rpartition('InputError: ')[2].rstrip('.')}.")
    return json.loads(done.stdout.splitlines()[-1])


def measured(name: str, device: str) -> None:
    """Do a work twice and print the row as JSON; in a process of its own."""
    from ..core.used_memory import peak_bytes

    prepare = {
        "edit": _edit,
        "box tighten": _box_tighten,
        "box segment": _box_segment,
        "synthesize": _synthesize,
        "compare": _compare,
    }[name]
    work = prepare(device)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        used, model = work()
        seconds.append(round(time.perf_counter() - started, 3))
    peak = peak_bytes()
    row = {"first_s": seconds[0], "again_s": seconds[1], "peak_mb": None if peak is None else round(peak / 1e6)}
    print(json.dumps({**row, "device": used, "model": model}))


Work = Callable[[], tuple[str, str]]
"""Does it, and says on which device and with which model."""


def _edit(device: str) -> Work:
    import numpy as np

    from ..core.volume import Volume
    from ..editing.edit import edit
    from ..editing.model import ready_editor
    from ..editing.simulated_user import draw_stroke

    image, wrong, truth = _dented()
    stroke = draw_stroke(truth, wrong, None).points[:, ::-1]
    image, wrong = (Volume(array, np.eye(4), "phantom") for array in (image, wrong))

    def work() -> tuple[str, str]:
        result = edit(image, wrong, stroke, 12.0, editor=ready_editor("", device))
        return result.device, result.editor

    return work


def _box_tighten(device: str) -> Work:
    image, box = _boxed()

    def work() -> tuple[str, str]:
        from ..boxes.corrector.tighten import tighten
        from ..core.models import opened

        result = tighten(image, box, opened("boxes-corrector", None, device))
        return result.device, result.model

    return work


def _box_segment(device: str) -> Work:
    image, box = _boxed()

    def work() -> tuple[str, str]:
        from ..boxes.segmenter.segment import segment
        from ..core.models import opened

        result = segment(image, box, opened("boxes-segmenter", None, device))
        return result.device, result.model

    return work


def _boxed() -> tuple[Any, Any]:
    import numpy as np

    from ..boxes.simulation import loose_box
    from ..phantoms.blobs import make_blob

    blob = make_blob(90_500_001, "liver", cut=False)
    return blob.image, loose_box(blob.mask, 0.25, np.random.default_rng(0))


def _synthesize(device: str) -> Work:
    from ..phantoms.head import head_case

    mr = head_case(1, "test", spacing_mm=3.0, kind="head", contrast="T1", whole=True).mr

    def work() -> tuple[str, str]:
        from ..core.models import opened
        from ..synthesis.synthesize import synthesize

        model = opened("synthesis", None, device)
        synthesize(mr, model)
        return model.device, model.name

    return work


def _compare(device: str) -> Work:
    import numpy as np

    from ..comparison.compare import compare
    from ..core.volume import Volume

    _, *masks = _dented()
    a, b = (Volume(mask.astype(np.uint8), np.eye(4), "kidney") for mask in masks)

    def work() -> tuple[str, str]:
        compare(a, b)
        return "cpu", ""

    return work


def _dented() -> tuple[Any, Any, Any]:
    """Image of a phantom, its segmentation with an error, and the truth; (K, J, I)."""
    import numpy as np

    from ..editing.simulation import corrupt
    from ..phantoms import make_phantom

    phantom = make_phantom("bean", 22, (96, 96, 96))
    wrong, _ = corrupt(phantom.target, np.random.default_rng(22), 12.0, phantom.image, centre=(48,) * 3)
    return phantom.image, wrong, phantom.target
