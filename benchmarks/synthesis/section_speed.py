"""A whole synthesis against the forward passes in it, its memory, and what other ways of computing would gain."""

from __future__ import annotations

import json
import time

import numpy as np
import torch

from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.used_memory import peak_bytes
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.phantoms.head import head_case
from SparseToPreciseLib.synthesis.inputs import BACKGROUND
from SparseToPreciseLib.synthesis.model import load_model
from SparseToPreciseLib.synthesis.synthesize import synthesize

from ..harness import printed_by_a_child
from ..tables import number, table
from .context import Context

TITLE = "Speed and memory"

GOAL_RATIO, GOAL_GIB = 1.25, 6.0
_FIELD_MM = 256.0
_REPEATS = 5


def run(context: Context) -> dict:
    return {
        "whole": _whole(context),
        "memory": _memories(context),
        "forward": _forward(context),
        "gpu": torch.cuda.is_available(),
    }


def head_of(shape: tuple[int, int, int], number_of: int = 3) -> Volume:
    """A phantom's MR on so many voxels (K, J, I) over a field of 256 mm, int16."""
    case = head_case(number_of, "benchmark", spacing_mm=2.0, kind="head", thick_slices=False).mr
    spacing = _FIELD_MM / np.array(shape[::-1])
    matrix = np.diag([*spacing, 1.0])
    centre = case.grid.to_ras((np.array(case.shape[::-1]) - 1) / 2)
    matrix[:3, 3] = centre - spacing * (np.array(shape[::-1]) - 1) / 2
    array = np.empty(shape, np.int16)
    for plane in range(0, shape[0], 16):
        part = Grid(shape, matrix).cropped((slice(plane, min(plane + 16, shape[0])), slice(None), slice(None)))
        values = case.resampled_to(part, fill=float(np.percentile(case.array, 1))).array
        array[plane : plane + 16] = np.clip(values, -30000, 30000)
    return Volume(array, matrix, "head")


def _whole(context: Context) -> dict:
    """Computing time of a synthesis of 256^3, and of the forward passes within the same run."""
    side = 256 if context.counts.large[1] >= 512 else 128
    mr = head_of((side, side, side))
    synthesizer = load_model(context.model, "cpu")
    synthesize(head_of((64, 64, 64)), synthesizer)  # imports and buffers
    network, forward, gaps, steps = synthesizer.network, [], [], [time.process_time()]

    class Timed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            started = time.process_time()
            answer = self.inner(given)
            forward.append(time.process_time() - started)
            return answer

    def report(fraction: float, message: str) -> None:
        now = time.process_time()
        gaps.append((now - steps[-1], message))
        steps.append(now)

    synthesizer.network = Timed()
    started = steps[-1] = time.process_time()
    result = synthesize(mr, synthesizer, progress=Progress(report))
    total = time.process_time() - started
    longest, before = max(gaps)
    return {
        "voxels": list(mr.shape),
        "total_s": total,
        "forward_s": sum(forward),
        "tiles": len(forward),
        "ratio": total / sum(forward),
        "stages": result.timings,
        "tile_s": float(np.mean(forward)),
        "longest_step_s": longest,
        "longest_step_ends_with": before,
        "body_ml": float(np.count_nonzero(result.body.array) * mr.grid.voxel_volume_mm3 / 1000),
    }


def _memories(context: Context) -> list[dict]:
    large = context.counts.large
    shapes = [tuple(size // 2 for size in large), large]
    found = [_measured(["idle", str(context.model)])]
    found += [_measured(["run", str(context.model), *(str(size) for size in shape)]) for shape in shapes]
    return found


def _measured(arguments: list[str]) -> dict:
    """The peak of a process of its own; a peak cannot be taken back within a process."""
    printed = printed_by_a_child("benchmarks.synthesis.section_speed", f"print_peak(*{arguments!r})")
    return json.loads(printed.splitlines()[-1])


def _forward(context: Context) -> dict:
    """A tile in other ways of computing: computing time as a share of the usual one, and the largest change in HU."""
    synthesizer = load_model(context.model, "cpu")
    network, side = synthesizer.network, synthesizer.tile
    generator = torch.Generator().manual_seed(context.seed)
    tile = torch.full((1, 1, side, side, side), BACKGROUND)
    inner = slice(side // 8, -(side // 8))
    tile[..., inner, inner, inner] = torch.rand(tile[..., inner, inner, inner].shape, generator=generator) * 3 - 1.5
    with torch.inference_mode():
        usual, truth = _seconds(network, tile)
        ways = {}
        with torch.autocast("cpu", torch.bfloat16):
            ways["autocast bfloat16"] = _seconds(network, tile)
        last = network.to(memory_format=torch.channels_last_3d)
        ways["channels_last_3d"] = _seconds(last, tile.to(memory_format=torch.channels_last_3d))
        with torch.autocast("cpu", torch.bfloat16):
            ways["both"] = _seconds(last, tile.to(memory_format=torch.channels_last_3d))
    return {
        "tile": side,
        "usual_s": usual,
        "ways": {
            name: {
                "share": seconds / usual,
                "change_hu": float((answer[:, :2].sum(1) - truth[:, :2].sum(1)).abs().max()) * synthesizer.window.width,
            }
            for name, (seconds, answer) in ways.items()
        },
    }


def _seconds(network: torch.nn.Module, tile: torch.Tensor) -> tuple[float, torch.Tensor]:
    answer = network(tile)
    taken = []
    for _ in range(_REPEATS):
        started = time.process_time()
        network(tile)
        taken.append(time.process_time() - started)
    return float(np.median(taken)), answer.float()


def render(found: dict) -> str:
    whole, forward = found["whole"], found["forward"]
    size = " x ".join(str(side) for side in whole["voxels"])
    parts = [
        f"Computing time on one thread; ratios hold for one run. A head of {size} voxels of "
        f"{_FIELD_MM / whole['voxels'][0]:g} mm: {number(whole['total_s'], 1)} s in all, "
        f"{number(whole['forward_s'], 1)} s of it in {whole['tiles']} forward passes: ratio "
        f"**{number(whole['ratio'], 2)}** (goal: at most {GOAL_RATIO:g}). The longest time without a look at Cancel "
        f"was {number(whole['longest_step_s'], 2)} s, a tile takes {number(whole['tile_s'], 2)} s."
    ]
    rows = [
        [one["what"], number(one["peak_gib"], 2), number(one["image_gib"], 2), str(one.get("tiles", "–"))]
        for one in found["memory"]
    ]
    parts.append(
        "Peak memory of a process (int16 in, int16 out; the result and the image count, too); goal: at most "
        f"{GOAL_GIB:g} GiB.\n\n{table(['', 'peak (GiB)', 'image (GiB)', 'tiles'], rows)}"
    )
    ways = [[name, number(one["share"], 2), number(one["change_hu"], 1)] for name, one in forward["ways"].items()]
    parts.append(
        f"A tile of {forward['tile']} voxels along each side on this CPU in other ways, as a share of the usual time "
        f"({number(forward['usual_s'], 2)} s, float32, channels first), and how far its CT then moves at most. The "
        f"usual way is what is used.\n\n{table(['', 'time', 'largest change (HU)'], ways)}"
    )
    if not found["gpu"]:
        parts.append("No GPU was lent to this run, so there are no seconds on one.")
    return "\n\n".join(parts)


def verdict(found: dict) -> list[str]:
    whole, peak = found["whole"], max(one["peak_gib"] for one in found["memory"])
    lines = [f"Speed: a synthesis takes {number(whole['ratio'], 2)} times its forward passes (goal: {GOAL_RATIO:g})."]
    lines.append(f"Memory: at most {number(peak, 1)} GiB (goal: {GOAL_GIB:g}).")
    return lines


def print_peak(kind: str, model: str, *shape: str) -> None:
    """In a process of its own: print the peak memory of a synthesis, or of everything but it."""
    torch.set_num_threads(1)
    synthesizer = load_model(model, "cpu")
    synthesize(head_of((64, 64, 64)), synthesizer)
    found = {"what": "a head of 64 x 64 x 64 voxels", "image_gib": 64**3 * 2 / 2**30}
    if kind == "run":
        sides = tuple(int(side) for side in shape)
        mr = head_of(sides)
        tiles = []
        progress = Progress(lambda fraction, message: tiles.append(message) if message.startswith("tile") else None)
        synthesize(mr, synthesizer, progress=progress)
        found = {
            "what": " x ".join(str(side) for side in sides[::-1]) + " voxels",
            "image_gib": mr.array.nbytes / 2**30,
            "tiles": len(tiles),
        }
    found["peak_gib"] = peak_bytes() / 2**30
    print(json.dumps(found))
