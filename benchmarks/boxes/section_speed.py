"""One pass for all patches against patch by patch, and the memory of a large box."""

from __future__ import annotations

import time

import numpy as np
import torch

from SparseToPreciseLib.boxes.corrector.model import load_corrector
from SparseToPreciseLib.boxes.corrector.tighten import tighten
from SparseToPreciseLib.boxes.scenes import Scene
from SparseToPreciseLib.boxes.simulation import loose_box
from SparseToPreciseLib.boxes.slices import CELL, CONTEXT, Frame
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.used_memory import peak_bytes
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.phantoms.blobs import make_blob

from ..harness import printed_by_a_child
from ..tables import number, table
from .context import Context

TITLE = "Speed and memory"
_PATCHES_TIMED = 40
_PATCH = 16
"""Pixels along a side of the patches that are run one by one: the paper's; the corrector's own would be many more."""


def run(context: Context) -> dict:
    blob = make_blob(90_500_001, "liver", cut=False)
    scene = Scene(blob.image, blob.mask)
    box = loose_box(scene.mask, 0.25, np.random.default_rng(context.seed))
    corrector = context.corrector
    tighten(scene.image, box, corrector)  # warm
    whole = []
    for _ in range(3):
        started = time.perf_counter()
        result = tighten(scene.image, box, corrector)
        whole.append(time.perf_counter() - started)
    seconds, patches = _patch_by_patch(context, scene, result.frame)
    large = _large(context.counts.large)
    return {
        "tighten_seconds": float(np.median(whole)),
        "patch_seconds": seconds,
        "patches": patches,
        "ratio": float(np.median(whole)) / seconds,
        "slices": result.frame.slices,
        "large": large,
    }


def _patch_by_patch(context: Context, scene: Scene, frame: Frame) -> tuple[float, int]:
    """Seconds that the same network takes for every patch of every plane by itself, each with the context that a patch
    at the face of a box has; timed on some of them."""
    corrector = context.corrector
    stride, side = _PATCH // 2 // CELL, _PATCH // CELL
    channels = corrector.view.channels(scene.image, frame)
    around = side + 2 * CONTEXT // CELL
    around += -around % 8
    planes, rows, columns = channels.shape[1:]
    inner = [n - 2 * CONTEXT // CELL for n in (planes, rows, columns)]
    count = inner[0] * -(-inner[1] // stride) * -(-inner[2] // stride)
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    with torch.inference_mode():
        for _ in range(_PATCHES_TIMED):
            at = [int(rng.integers(max(n - around, 0) + 1)) for n in (planes, rows, columns)]
            part = channels[:, at[0] : at[0] + around, at[1] : at[1] + around, at[2] : at[2] + around]
            part = torch.from_numpy(np.ascontiguousarray(part))[None]
            with torch.autocast("cpu", torch.bfloat16):
                corrector.network(part.to(memory_format=torch.channels_last_3d))
    return (time.perf_counter() - started) / _PATCHES_TIMED * count, count


def _large(shape: tuple[int, int, int]) -> dict:
    """Peak memory of another process that tightens a box as large as an image, beyond the image itself."""
    printed = printed_by_a_child("benchmarks.boxes.section_speed", f"print_measured({tuple(shape)!r})")
    before, after, seconds = (float(word) for word in printed.split()[-3:])
    size = int(np.prod(shape)) * 2 / 1e6
    return {"shape": list(shape), "image_mb": size, "more_mb": after - before, "seconds": seconds}


def print_measured(shape: tuple[int, int, int]) -> None:
    """In a process of its own: one tightening; prints resident MB before and at the peak, and seconds."""
    torch.set_num_threads(1)
    image = Volume(np.zeros(shape, np.int16), np.diag([0.8, 0.8, 1.0, 1.0]), "large")
    middle = [n // 2 for n in shape]
    image.array[:] = 40
    image.array[tuple(slice(m - m // 2, m + m // 2) for m in middle)] = 120
    corrector = load_corrector(None, "cpu")
    small = make_blob(1, "ball")
    tighten(small.image, loose_box(small.mask, 0.1, np.random.default_rng(0)), corrector)
    before = peak_bytes() / 1e6
    started = time.perf_counter()
    tighten(image, Box.bounding(image), corrector)
    seconds = time.perf_counter() - started
    print(before, peak_bytes() / 1e6, seconds)


def render(found: dict) -> str:
    large = found["large"]
    shape = " × ".join(str(n) for n in large["shape"][::-1])
    one_by_one = f"the same network, {found['patches']} patches of {_PATCH} pixels one by one"
    rows = [
        ["tighten, both looks", number(found["tighten_seconds"], 2)],
        [one_by_one, number(found["patch_seconds"], 1)],
        ["ratio", number(found["ratio"], 3)],
    ]
    return (
        table(["one box of a phantom, one thread", "seconds"], rows)
        + f"\n\nA box as large as an image of {shape} voxels ({number(large['image_mb'], 0)} MB): peak memory "
        f"{number(large['more_mb'], 0)} MB above that of a small box with the image loaded, "
        f"{number(large['seconds'], 1)} s."
    )
