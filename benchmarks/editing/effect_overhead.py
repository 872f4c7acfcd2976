"""What the Segment Editor effect adds to an edit: from release of the mouse to the changed segment, over edit() alone.

python -m benchmarks.editing.effect_overhead [--model NAME] [--repeats N]

Both run in turns on the same case in this process, on slicer-core with the real segment editor logic; what the
application shows (slice views, the closed surface in the 3D view) is not part of it. edit() is given whole volumes
that are in memory already, the effect reads them from the scene and writes the segment back.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

from SparseToPreciseLib.editing.edit import edit
from SparseToPreciseLib.editing.model import ready_editor
from SparseToPreciseLib.mrml import headless
from SparseToPreciseLib.mrml.edit_histories import EditHistories
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.segmentations import volume_to_segment
from SparseToPreciseLib.mrml.stroke_editing import Options, apply, prepare
from SparseToPreciseLib.mrml.stroke_targets import SelectedSegment
from SparseToPreciseLib.mrml.volumes import volume_to_node

from .speed_scene import RADIUS_MM, scene_of

ROOT = Path(__file__).resolve().parents[2]
# The stand-in for the application's half of an effect is one of the tests' helpers.
sys.path.insert(0, str(ROOT / "Testing" / "mrml"))

GOAL = 1.15


def measure(size: int, model: str, cropped: bool, masked: bool, repeats: int) -> dict[str, float]:
    """Least seconds of both, which a busy machine disturbs least, and of the effect's stages.

    Segment Editor crops a segment's labelmap when it changes it; a labelmap that comes from a file may be as large as
    the image, and then the first edit pays for the cropping.
    """
    from scripted_effect import ScriptedEffect

    scene = headless.scene()
    scene.Clear(False)
    image, segment, stroke = scene_of((size, size, size))
    volume, segmentation = volume_to_node(image), segmentation_from_labelmap(segment)
    effect = ScriptedEffect(scene)
    segment_id = segmentation.GetSegmentation().GetSegmentIDs()[0]
    effect.select(segmentation, segment_id, volume)
    if cropped:
        volume_to_segment(segment, segmentation, segment_id)
    if masked:
        effect.parameterSetNode().SetSourceVolumeIntensityMask(True)
        effect.parameterSetNode().SetSourceVolumeIntensityMaskRange(-10000, 10000)
    target = SelectedSegment(effect)
    options, editor = Options(RADIUS_MM, model=model), ready_editor(model)
    times: dict[str, list[float]] = {"edit": [], "effect": [], "prepare": [], "run": [], "apply": []}
    for turn in range(repeats + 1):
        histories = EditHistories()
        begun = time.perf_counter()
        expected = edit(image, segment, stroke, RADIUS_MM, editor=editor)
        alone = time.perf_counter()
        job = prepare(target, [stroke], options, histories)
        prepared = time.perf_counter()
        result = job.run()
        run = time.perf_counter()
        applied = apply(target, job, result, histories)
        done = time.perf_counter()
        if applied.changed != expected.changed_inside:
            raise SystemExit(f"The effect changed {applied.changed} voxels and edit() {expected.changed_inside}.")
        effect.undo()
        if turn:  # the first warms up
            for name, seconds in zip(
                times, (alone - begun, done - alone, prepared - alone, run - prepared, done - run), strict=True
            ):
                times[name].append(seconds)
    return {name: min(values) for name, values in times.items()}


def main() -> int:
    """Print the ratios; 1 when one of them misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="image-aware-warp", help="an editor's name; empty for the default")
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    worst = 0.0
    for size, cropped, masked in itertools.product((128, 256), (True, False), (False, True)):
        found = measure(size, arguments.model, cropped, masked, arguments.repeats)
        ratio = found["effect"] / found["edit"]
        worst = max(worst, ratio)
        stages = ", ".join(f"{name} {1000 * found[name]:.1f}" for name in ("prepare", "run", "apply"))
        stored, mask = "cropped" if cropped else "as large as the image", "intensity range" if masked else "no mask"
        both = f"edit() {1000 * found['edit']:.1f} ms, effect {1000 * found['effect']:.1f} ms"
        # On a busy machine this says more: the run is edit() itself, and its time differs from one call to the next.
        own = (found["prepare"] + found["apply"]) / found["edit"]
        print(f"{size}^3, {stored}, {mask}: {both} ({stages}), ratio {ratio:.2f}, own share {own:.2f}", flush=True)
    print(f"worst ratio {worst:.2f}, goal {GOAL}")
    return int(worst > GOAL)


if __name__ == "__main__":
    sys.exit(main())
