"""Makes the sample data of the module BoxModule from a phantom, the same files every time.

Run it on slicer-core (the repository's own environment). The thumbnail is drawn by docs/pictures/boxes.py.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from SparseToPreciseLib.boxes.metrics import evaluate
from SparseToPreciseLib.boxes.simulation import loose_box
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.headless import scene
from SparseToPreciseLib.mrml.rois import roi_from_box, write_roi
from SparseToPreciseLib.phantoms.blobs import make_blob

FOLDER = Path(__file__).resolve().parents[1] / "BoxModule" / "Resources" / "SampleData"
NAME = "LooseBox"
SEED, KIND, SIZE, MARGIN = 34, "bean", 66, 0.35


def main() -> None:
    blob = make_blob(SEED, KIND, size=SIZE, look="liver-ct", cut=False)
    # As scanners store it: I to the left, J to the back.
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ blob.image.ijk_to_ras
    image = Volume(as_bytes(blob.image.array), to_ras, NAME)
    mask = image.with_array(blob.mask.array)
    box = loose_box(mask, MARGIN, np.random.default_rng(SEED), axes=np.eye(3))
    paths = [FOLDER / f"{NAME}.nrrd", FOLDER / f"{NAME}-ROI.mrk.json"]
    FOLDER.mkdir(parents=True, exist_ok=True)
    files.write_volume(image, paths[0])
    node = roi_from_box(box, "Organ", color=(0.88, 0.6, 0.0))
    write_roi(node, paths[1])
    scene().RemoveNode(node)
    found = evaluate(box, mask)
    print(f"slice IoU {found['slice_iou']:.3f}, {sum(path.stat().st_size for path in paths)} bytes")
    kinds = (("VolumeFile", NAME), ("MarkupsFile", "Organ"))
    listing = [
        {"file": path.name, "node": name, "type": kind, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path, (kind, name) in zip(paths, kinds, strict=True)
    ]
    content = [{"name": "Loose box (phantom)", "thumbnail": f"{NAME}.png", "files": listing}]
    (FOLDER / "samples.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def as_bytes(image: np.ndarray) -> np.ndarray:
    """0 to 255 between the outermost thousandths, so that a file is small."""
    low, high = np.percentile(image, (0.1, 99.9))
    return np.clip(np.round((image - low) / (high - low) * 255), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
