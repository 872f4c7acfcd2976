"""Makes the sample data of the module LandmarkModule from phantoms, the same files every time: `make samples`.

A reference with its structure of interest and its landmarks, and three targets: another pose, thick oblique slices, and
the other ear. Run it on slicer-core (the repository's own environment). The thumbnails are drawn by `make pictures`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.headless import scene
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.landmark_lists import landmarks_to_node, write_landmarks
from SparseToPreciseLib.phantoms.cochlea import Cochlea, make_cochlea

FOLDER = Path(__file__).resolve().parents[1] / "LandmarkModule" / "Resources" / "SampleData"
REFERENCE, TARGET = "EarReference", "EarTarget{}"
STEP_HU = 25
"""Intensities are whole multiples of it, which makes the files small."""


@dataclass(frozen=True)
class Target:
    """Number of the phantom, and how the image is stored; `tilt` turns its axes about the left-right axis, degrees."""

    number: int
    rotation_deg: float
    spacing_mm: tuple[float, float, float] = (0.6, 0.6, 0.6)
    tilt: float = 0.0
    mirror: bool = False


TARGETS = (Target(1, 30), Target(2, 20, (0.5, 0.5, 1.0), 20.0), Target(3, 20, mirror=True))


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    listing = [reference(), targets()]
    (FOLDER / "samples.json").write_text(json.dumps(listing, indent=2) + "\n", encoding="utf-8")
    print(f"{sum(path.stat().st_size for path in FOLDER.iterdir())} bytes in all")


def reference() -> dict:
    """Write the annotated image; its entry in samples.json."""
    case = make_cochlea(0, "demo", spacing_mm=0.45, field_mm=32.0, rotation_deg=0.0, offset_mm=0.0)
    ends = (".nrrd", "-structure.seg.nrrd", "-landmarks.mrk.json")
    paths = [FOLDER / f"{REFERENCE}{end}" for end in ends]
    image = stored(case)
    files.write_volume(image, paths[0])
    node = segmentation_from_labelmap(image.with_array(case.soi.array, "structure"))
    segment = node.GetSegmentation().GetNthSegment(0)
    segment.SetName("inner ear")
    segment.SetColor(0.3, 0.75, 0.95)
    files.write_segmentation(node, paths[1])
    scene().RemoveNode(node)
    node = landmarks_to_node(case.landmarks, "landmarks")
    write_landmarks(node, paths[2])
    scene().RemoveNode(node)
    kinds = (
        ("VolumeFile", "Ear reference"),
        ("SegmentationFile", "Ear structure"),
        ("MarkupsFile", "Ear landmarks"),
    )
    return entry("Inner ear with landmarks (phantom)", paths, kinds)


def targets() -> dict:
    """Write the images to find landmarks on, and beside them the truth for tests; their entry in samples.json."""
    paths = []
    truth = {}
    for number, target in enumerate(TARGETS, start=1):
        case = make_cochlea(
            target.number,
            "demo",
            spacing_mm=0.45,
            field_mm=44.0,
            rotation_deg=target.rotation_deg,
            offset_mm=5.0,
            mirror=target.mirror,
        )
        grid = grid_of(target, 38.0)
        smooth = case.image.with_array(case.image.array.astype(np.float32))
        image = stored_array(smooth.resampled_to(grid, "linear", fill=-1000.0))
        paths.append(FOLDER / f"{TARGET.format(number)}.nrrd")
        files.write_volume(image, paths[-1])
        truth[f"Ear {number}"] = {name: np.round(point, 3).tolist() for name, point in case.landmarks.items()}
    (FOLDER / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    kinds = [("VolumeFile", name) for name in truth]
    return entry("Inner ears to find landmarks on (phantoms)", paths, kinds)


def stored(case: Cochlea) -> Volume:
    """As scanners store it: I to the left, J to the back."""
    array, matrix = case.image.array, case.image.ijk_to_ras
    turned = matrix @ np.diag([-1.0, -1.0, 1.0, 1.0])
    turned[:3, 3] = matrix[:3, 3] + matrix[:3, :2] @ (np.array(array.shape[:0:-1]) - 1)
    case.soi.array[:] = case.soi.array[:, ::-1, ::-1].copy()
    return stored_array(Volume(array[:, ::-1, ::-1], turned, case.image.name))


def stored_array(image: Volume) -> Volume:
    """In coarse steps of intensity."""
    return image.with_array((np.round(image.array / STEP_HU) * STEP_HU).astype(np.int16))


def grid_of(target: Target, field_mm: float) -> Grid:
    """A cube around the origin: I to the left, J to the back, then tilted."""
    angle = np.radians(target.tilt)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    spacing = np.array(target.spacing_mm)
    size = np.round(field_mm / spacing).astype(int)
    matrix = turn @ np.diag([*(spacing * (-1, -1, 1)), 1.0])
    matrix[:3, 3] = -matrix[:3, :3] @ ((size - 1) / 2)
    return Grid(tuple(int(count) for count in size[::-1]), matrix)


def entry(name: str, paths: list[Path], kinds: list[tuple[str, str]]) -> dict:
    """Of samples.json."""
    listed = [
        {"file": path.name, "node": node, "type": kind, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path, (kind, node) in zip(paths, kinds, strict=True)
    ]
    print(f"{name}: {[path.stat().st_size for path in paths]} bytes")
    return {"name": name, "thumbnail": f"{paths[0].name.removesuffix('.nrrd')}.png", "files": listed}


if __name__ == "__main__":
    main()
