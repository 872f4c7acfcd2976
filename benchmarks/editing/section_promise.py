"""Nothing changes outside the influence zone: counted over every edit of the run, and over files of every format."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.headless import scene
from SparseToPreciseLib.mrml.lookup import find_segment
from SparseToPreciseLib.mrml.segmentations import segment_to_volume
from SparseToPreciseLib.tasks.edit import Edit

from ..tables import table
from . import scores
from .answers import Tools, changed_outside
from .cases import Case, simulated_real_cases
from .context import Context
from .phantom_cases import held_out_cases

TITLE = "The promise: nothing changes outside the influence zone"
FORMATS = {".seg.nrrd": ".mrk.json", ".nrrd": ".fcsv", ".nii.gz": ".mrk.json", ".mha": ".fcsv"}
"""Format of the segmentation (of image, too, except for the first), and of the stroke."""


def run(context: Context) -> dict:
    tools = context.tools
    cases = [next(held_out_cases("bean", "geometric", 1, context.seed))]
    if len(context.size.structures) > 1:  # not in the smallest run
        cases += simulated_real_cases(1, context.seed, "geometric", context.size.structures[::4])
    editors = [key for key in ("signed-distance-warp", "image-aware-warp", "residual", "default") if key in tools.names]
    records = []
    for number, case in enumerate(cases):
        drawn = case.stroke(np.random.default_rng([context.seed, 1, number]))
        if drawn is not None:
            for key in editors:
                for extension in FORMATS:
                    records.append(_through_files(tools, case, *drawn, key, extension))
    return {"records": records}


def _through_files(
    tools: Tools, case: Case, stroke: np.ndarray, radius: float, key: str, extension: str
) -> scores.Record:
    """Write a case, edit it by the function behind the command line, and compare the two segmentation files."""
    scene().Clear(False)
    image_extension = ".nrrd" if extension == ".seg.nrrd" else extension
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image, drawn = folder / f"image{image_extension}", folder / f"stroke{FORMATS[extension]}"
        before, after = folder / f"before{extension}", folder / f"after{extension}"
        files.write_volume(case.image, image)
        labels = folder / "labels.nrrd"
        files.write_volume(case.current.with_array(case.current.array.astype(np.uint8)), labels)
        files.write_segmentation(files.read_segmentation(labels), before)
        files.write_stroke(stroke, drawn)
        Edit(image, before, [drawn], after, influence_radius_mm=radius, model=tools.names[key]).run()
        first, second = _read(before, case.truth), _read(after, case.truth)
    changed = int(np.count_nonzero(first.array != second.array))
    outside = changed_outside(case.truth.grid, first.array, second.array, stroke, radius)
    return {"row": key, "format": extension, "case": case.name, "changed": changed, "outside": outside}


def _read(path: Path, like: Volume) -> Volume:
    node = files.read_segmentation(path)
    try:
        return segment_to_volume(node, find_segment(node, None), like.grid)
    finally:
        with contextlib.suppress(AttributeError):
            scene().RemoveNode(node)


def tally(sections: Iterable[dict]) -> dict[str, dict[str, int]]:
    """Edits and voxels changed outside the zone per editor, over the records of sections."""
    found: dict[str, dict[str, int]] = {}
    for section in sections:
        for record in section["records"]:
            if record.get("outside") is not None:
                entry = found.setdefault(record["row"], {"edits": 0, "outside": 0})
                entry["edits"] += 1
                entry["outside"] += int(record["outside"])
    return found


def render(found: dict) -> str:
    """`found["tally"]` is filled in by run.py from all sections of the run."""
    counts = found["tally"]
    edits, outside = (sum(entry[name] for entry in counts.values()) for name in ("edits", "outside"))
    formats = sorted({record["format"] for record in found["records"]})
    verdict = "kept" if outside == 0 else "**broken**"
    rows = [[key, str(entry["edits"]), str(entry["outside"])] for key, entry in sorted(counts.items())]
    return (
        f"**{outside} voxels** changed outside the influence zone in {edits} edits of this run: the promise is "
        f"{verdict}. Counted from the masks before and after, with distances to the stroke in double precision, over "
        "all cases, grids and composed editors of the sections below, and over files before and after an edit in the "
        f"formats {', '.join(formats)} ({len(found['records'])} edits, {sum(r['changed'] for r in found['records'])} "
        "voxels changed inside).\n\n" + table(["editor", "edits", "voxels outside"], rows)
    )
