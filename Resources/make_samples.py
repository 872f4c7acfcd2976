"""Makes the sample data of the module EditingModule from phantoms, the same files every time: `make samples`.

Run it on slicer-core (the repository's own environment). The thumbnails are drawn by `make pictures`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.editing.simulated_user import draw_stroke
from SparseToPreciseLib.editing.simulation import corrupt
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.headless import scene
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.phantoms.blobs import make_blob

FOLDER = Path(__file__).resolve().parents[1] / "EditingModule" / "Resources" / "SampleData"
SIZE = 64
CONTROL_POINTS = 10


@dataclass(frozen=True)
class Sample:
    """A whole object with an error on its middle slice; `tilt` turns its axes about the left-right axis, degrees."""

    name: str
    title: str
    kind: str
    seed: int
    error: str
    spacing_mm: float
    tilt: float
    segment: str
    color: tuple[float, float, float]
    error_radius: float = 7.0  # voxels


SAMPLES = (
    Sample("ScribbleDent", "Dent (phantom)", "bean", 10, "dent", 1.5, 0.0, "kidney", (0.95, 0.55, 0.2)),
    Sample("ScribbleBulge", "Bulge, oblique (phantom)", "organ", 8, "bulge", 2.0, 25.0, "organ", (0.3, 0.7, 0.95)),
)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    listing = [made(sample) for sample in SAMPLES]
    (FOLDER / "samples.json").write_text(json.dumps(listing, indent=2) + "\n", encoding="utf-8")


def made(sample: Sample) -> dict:
    """Write the three files of a sample; its entry in samples.json."""
    phantom = make_blob(sample.seed, sample.kind, size=SIZE, cut=False)
    truth = phantom.mask.array.astype(bool)
    rng = np.random.default_rng(sample.seed)
    border = a_border(truth, rng)
    wrong, _ = corrupt(truth, rng, sample.error_radius, phantom.image.array, [sample.error], centre=border)
    stroke = draw_stroke(truth, wrong, None, axis=0)
    if stroke is None:
        raise SystemExit(f"{sample.name}: no stroke can mend this error; take another seed.")
    image = Volume(as_bytes(phantom.image.array), ijk_to_ras(sample), sample.name)
    paths = [FOLDER / f"{sample.name}{end}" for end in (".nrrd", "-segmentation.seg.nrrd", "-stroke.mrk.json")]
    files.write_volume(image, paths[0])
    node = segmentation_from_labelmap(image.with_array(wrong.astype(np.uint8), "segmentation"))
    segment = node.GetSegmentation().GetNthSegment(0)
    segment.SetName(sample.segment)
    segment.SetColor(*sample.color)
    files.write_segmentation(node, paths[1])
    scene().RemoveNode(node)
    few = np.linspace(0, len(stroke.points) - 1, CONTROL_POINTS).round().astype(int)
    files.write_stroke(image.grid.to_ras(stroke.points[few, ::-1]), paths[2])
    print(f"{sample.name}: Dice {dice(truth, wrong):.3f}, {sum(p.stat().st_size for p in paths)} bytes")
    kinds = ("VolumeFile", "SegmentationFile", "MarkupsFile")
    nodes = (sample.name, f"{sample.name} segmentation", f"{sample.name} stroke")
    return {
        "name": sample.title,
        "thumbnail": f"{sample.name}.png",
        "files": [
            {"file": path.name, "node": node, "type": kind, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path, node, kind in zip(paths, nodes, kinds, strict=True)
        ],
    }


def a_border(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A voxel (K, J, I) at the object's border on its middle slice."""
    middle = int(np.argwhere(truth)[:, 0].mean())
    border = np.argwhere(truth[middle] & ~ndimage.binary_erosion(truth[middle]))
    return np.array([middle, *border[rng.integers(len(border))]])


def as_bytes(image: np.ndarray) -> np.ndarray:
    """0 to 255 between the outermost thousandths, so that a file is small."""
    low, high = np.percentile(image, (0.1, 99.9))
    return np.clip(np.round((image - low) / (high - low) * 255), 0, 255).astype(np.uint8)


def ijk_to_ras(sample: Sample) -> np.ndarray:
    """As scanners store it: I to the left, J to the back, K to the head; then tilted."""
    angle = np.radians(sample.tilt)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix = turn @ np.diag([-sample.spacing_mm, -sample.spacing_mm, sample.spacing_mm, 1.0])
    matrix[:3, 3] = -matrix[:3, :3] @ np.full(3, (SIZE - 1) / 2)
    return matrix


if __name__ == "__main__":
    main()
