"""Files with seeded mutations, read one after another: run as a process of its own, which a native reader may end.

`python fuzzed_files.py FOLDER FIRST STOP` reads mutation FIRST to STOP of the files in FOLDER as the commands do, and
prints each number before it is read.
"""

from __future__ import annotations

import copy
import json
import random
import sys
from pathlib import Path
from typing import Any

ODD: list[Any] = [
    None, True, 0, -1, 2, 1e308, -0.0, float("nan"), float("inf"), 10**30, "", "x", "RAS", "ROI", [], [None], [1, 2],
    [1, 2, 3], {}, {"a": 1}, "\ud800", "\u0000", "Segment_1", 99999999999, 3.5,
]  # fmt: skip
TEXTS = [
    "",
    "0",
    "-1",
    "2",
    "300",
    "99999999999",
    "3.5",
    "nan",
    "x",
    "0 0 0",
    "5 1 5 1 5 1",
    "1;2;3;",
    "\u00e9",
    " ",
    ":",
    "|",
]


def mutated_json(text: str, rng: random.Random) -> bytes:
    """A value of the tree removed, replaced, or doubled; else a byte of the text changed."""
    if rng.random() < 0.2:
        return mutated_bytes(text.encode(), rng)
    root = json.loads(text)
    for _ in range(rng.randint(1, 3)):
        holders = [root]
        places: list[tuple[Any, Any]] = []
        while holders:
            holder = holders.pop()
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            places += [(holder, key) for key in keys]
            holders += [holder[key] for key in keys if isinstance(holder[key], (dict, list))]
        holder, key = rng.choice(places)
        action = rng.random()
        if action < 0.3:
            del holder[key]
        elif action < 0.9 or isinstance(holder, dict):
            holder[key] = copy.deepcopy(rng.choice(ODD))
        else:
            holder.append(holder[key])
        if not root:
            break
    return json.dumps(root).encode(errors="replace")


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, removed or doubled."""
    out = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(out))
        action = rng.random()
        if action < 0.5:
            out[place] = rng.randrange(256)
        elif action < 0.75:
            del out[place : place + rng.randint(1, 20)]
        else:
            out[place:place] = out[place : place + rng.randint(1, 20)]
        if not out:
            out = bytearray(b"x")
    return bytes(out)


def mutated_header(content: bytes, rng: random.Random) -> bytes:
    """A line of a NRRD header removed, doubled, or with another value; else bytes of it changed."""
    head, _, body = content.partition(b"\n\n")
    if rng.random() < 0.2:
        return mutated_bytes(head, rng) + b"\n\n" + body
    lines = head.decode().split("\n")
    for _ in range(rng.randint(1, 3)):
        number = rng.randrange(1, len(lines))
        action = rng.random()
        separator = ":=" if ":=" in lines[number] else ": "
        key, _, value = lines[number].partition(separator)
        if action < 0.3:
            del lines[number]
        elif action < 0.4:
            lines.insert(number, lines[number])
        elif action < 0.7:
            lines[number] = f"{key}{separator}{rng.choice(TEXTS)}"
        else:
            parts = value.split(" ")
            parts[rng.randrange(len(parts))] = rng.choice(TEXTS)
            lines[number] = f"{key}{separator}{' '.join(parts)}"
    return "\n".join(lines).encode() + b"\n\n" + body


def main(folder: Path, first: int, stop: int) -> None:
    from SparseToPreciseLib.core.errors import InputError
    from SparseToPreciseLib.mrml import files, headless
    from SparseToPreciseLib.mrml.landmark_lists import read_landmarks
    from SparseToPreciseLib.mrml.markups import stroke_from_node
    from SparseToPreciseLib.mrml.rois import box_from_roi, read_roi
    from SparseToPreciseLib.mrml.segmentations import segment_to_volume

    def stroke(path: Path) -> None:
        stroke_from_node(files.read_stroke(path))

    def segments(path: Path) -> None:
        node = files.read_segmentation(path)
        for segment_id in list(node.GetSegmentation().GetSegmentIDs())[:4]:
            segment_to_volume(node, segment_id)
        files.write_segmentation(node, path.with_name("again.seg.nrrd"))

    markups = (
        ("stroke.mrk.json", mutated_json, stroke),
        ("points.mrk.json", mutated_json, read_landmarks),
        ("roi.mrk.json", mutated_json, lambda path: box_from_roi(read_roi(path))),
        ("stroke.fcsv", lambda text, rng: mutated_bytes(text.encode(), rng), stroke),
    )
    kinds = (*markups, *markups, ("s.seg.nrrd", mutated_header, segments))  # which take twenty times as long
    scene = headless.scene()
    for number in range(first, stop):
        name, mutated, read = kinds[number % len(kinds)]
        rng = random.Random(number)
        source = folder / name
        content = source.read_bytes() if mutated is mutated_header else source.read_text(encoding="utf-8")
        path = folder / f"{number}-{name}"
        path.write_bytes(mutated(content, rng))
        print(number, flush=True)
        try:
            read(path)
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 600, error
        path.unlink()  # what is left is what failed
        scene.Clear(False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
