"""Speed as ratios within one run, and memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import SimpleITK as sitk

from SparseToPreciseLib.editing.edit import edit
from SparseToPreciseLib.editing.editors import WARPS, Editor
from SparseToPreciseLib.editing.working_grid import working_grid

from ..harness import LIBRARY, printed_by_a_child
from ..tables import number, table
from .answers import load_tools
from .context import Context
from .speed_scene import RADIUS_MM, Scene, scene_of

TITLE = "Speed and memory"
SMALL = (128, 128, 128)
PAPER_MS = 20.0
GOALS = {"edit_per_forward": 1.6, "large_per_small": 1.3, "peak_gb": 1.5, "import_s": 1.0}


def run(context: Context) -> dict:
    import torch

    # Elsewhere one thread a worker; here as a user has it.
    torch.set_num_threads(os.cpu_count() or 1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(os.cpu_count() or 1)
    tools = context.tools
    key = next(
        (key for key in ("residual", "residual-equal", "editing", "cross-entropy") if key in tools.editors), None
    )
    network = tools.editors[key] if key else None
    default = tools.editors[tools.default]
    repeats = context.size.timings
    small, large = (scene_of(shape) for shape in (SMALL, context.size.large))
    found = {
        "threads": os.cpu_count(),
        "network": key,
        "default": tools.default,
        "large_shape": list(context.size.large),
        "repeats": repeats,
        "import_s": _import_seconds(),
        "python_s": _seconds([sys.executable, "-c", "pass"]),
        "peak": _peak_memory(context),
        "sizes": [],
        "records": [],
    }
    for name, editor in {tools.default: default, **({key: network} if key else {})}.items():
        times = _medians(
            {"small": lambda editor=editor: _edit(small, editor), "large": lambda editor=editor: _edit(large, editor)},
            repeats,
        )
        found["sizes"].append({"row": name, "small_s": times["small"], "large_s": times["large"]})
    if network is not None:
        found["network_times"] = _network_times(small, network, repeats)
    if torch.cuda.is_available():
        found["cuda"] = _cuda(context, small, repeats)
    torch.set_num_threads(1)
    return found


def _edit(scene: Scene, editor: Editor) -> None:
    edit(*scene, RADIUS_MM, editor=editor)


def _medians(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median wall seconds of each, taken in turns so that a busy moment hits all."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(repeats + 1):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            if turn:  # the first warms up
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def _network_times(scene: Scene, editor: Editor, repeats: int) -> dict:
    import torch

    grid = working_grid(scene[2], RADIUS_MM, editor.multiple)
    given = torch.rand(1, len(editor.form.inputs), *grid.shape).to(editor.device)

    def forward() -> None:
        with torch.inference_mode():
            editor.network(given).sum().item()  # waits for a GPU

    times = _medians({"edit": lambda: _edit(scene, editor), "forward": forward}, repeats)
    stages = edit(*scene, RADIUS_MM, editor=editor).timings
    return {"grid": list(grid.shape), "edit_s": times["edit"], "forward_s": times["forward"], "stages": stages}


def _cuda(context: Context, scene: Scene, repeats: int) -> dict:
    import torch

    tools = load_tools.__wrapped__(context.rivals, "cuda")
    networks = {key: editor for key, editor in tools.editors.items() if key not in WARPS}
    times = {key: _network_times(scene, editor, repeats) for key, editor in networks.items()}
    return {"device": torch.cuda.get_device_name(0), "rows": times}


def _seconds(command: list[str], repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=_environment())
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _import_seconds() -> float:
    return _seconds([sys.executable, "-c", "import SparseToPreciseLib.cli.main"])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(LIBRARY.parent)}


def _peak_memory(context: Context) -> dict[str, float]:
    """Of one edit by the default in a process of its own, libraries and model included, less image and segment."""
    printed = printed_by_a_child("benchmarks.editing.speed_scene", f"print_peak({tuple(context.size.large)!r})")
    return json.loads(printed.splitlines()[-1])


def render(found: dict) -> str:
    rows = []

    def row(what: str, value: float, digits: int, unit: str, goal: str, note: str) -> None:
        limit = GOALS.get(goal)
        verdict = "–" if limit is None else f"≤ {limit:g}: {'kept' if value <= limit else '**not** kept'}"
        rows.append([what, f"{number(value, digits)}{unit}", verdict, note])

    times = found.get("network_times")
    if times:
        note = f"{found['network']}, {number(1000 * times['edit_s'], 0)} against {number(1000 * times['forward_s'], 0)}"
        note += f" ms on a working grid of {' × '.join(map(str, times['grid']))}"
        ratio = times["edit_s"] / times["forward_s"]
        row("whole edit() / one forward pass of its network", ratio, 2, "", "edit_per_forward", note)
    shape = " × ".join(map(str, found["large_shape"][::-1]))
    for entry in found["sizes"]:
        ms = f"{number(1000 * entry['large_s'], 0)} against {number(1000 * entry['small_s'], 0)} ms"
        what = f"edit() of {shape} / of 128³, {entry['row']}"
        row(what, entry["large_s"] / entry["small_s"], 2, "", "large_per_small", ms)
    peak = found["peak"]
    note = f"{found['default']}; process {number(peak['peak_gb'])} GB, image and segment {number(peak['loaded_gb'])} GB"
    row(f"peak memory above the loaded {shape} image", peak["peak_gb"] - peak["loaded_gb"], 2, " GB", "peak_gb", note)
    note = f"a bare Python start: {number(found['python_s'])} s"
    row("start of the command line without a command", found["import_s"], 2, " s", "import_s", note)
    text = (
        f"Medians of {found['repeats']} (CPU, {found['threads']} threads), taken in turns. Ratios carry over to other "
        "machines, times do not.\n\n" + table(["", "measured", "goal", ""], rows)
    )
    if not times:
        text += "\n\nNo network was there to compare edit() with."
    if "cuda" not in found:
        return text + "\n\nNo GPU on this machine, so no time of an edit on one."
    lines = [
        f"{key}: {number(1000 * entry['edit_s'], 1)} ms, of which one forward pass takes "
        f"{number(1000 * entry['forward_s'], 1)} ms"
        for key, entry in found["cuda"]["rows"].items()
    ]
    return (
        text + f"\n\nOne edit on {found['cuda']['device']} (the paper: {PAPER_MS:g} ms on a V100): " + "; ".join(lines)
    )
