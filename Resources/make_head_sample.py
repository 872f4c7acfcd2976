"""Makes the sample data of the module SynthesisModule, MR and CT of a head phantom, the same files every time.

Run it on slicer-core (the repository's own environment). The thumbnail is drawn by docs/pictures/synthesis.py.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.phantoms.head import head_case

FOLDER = Path(__file__).resolve().parents[1] / "SynthesisModule" / "Resources" / "SampleData"
NUMBER, SPACING_MM = 3, 2.5
_HU_STEP = 8


def main() -> None:
    given = {"kind": "head", "contrast": "T1", "misregistration_mm": 0, "thick_slices": False}
    case = head_case(NUMBER, "demo", spacing_mm=SPACING_MM, **given)
    # As scanners store it: I to the left, J to the back. The voxels stay where they are in the world.
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    flip[:2, 3] = np.array(case.mr.shape[:0:-1]) - 1
    to_ras = case.mr.ijk_to_ras @ flip
    images = {"HeadMR": as_bytes(case.mr.array), "HeadCT": stepped(case.ct.array, case.body.array != 0)}
    FOLDER.mkdir(parents=True, exist_ok=True)
    listing = []
    for name, array in images.items():
        path = files.write_volume(Volume(array[:, ::-1, ::-1], to_ras, name), FOLDER / f"{name}.nrrd")
        print(f"{path.name}: {path.stat().st_size} bytes, {array.shape}")
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        listing.append({"file": path.name, "node": name, "type": "VolumeFile", "sha256": sha256})
    content = [{"name": "Head, MR and CT (phantom)", "thumbnail": "Head.png", "files": listing}]
    (FOLDER / "samples.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def as_bytes(image: np.ndarray) -> np.ndarray:
    """0 to 200 up to the brightest thousandth, so that a file is small."""
    return np.clip(np.round(image / np.percentile(image, 99.9) * 200), 0, 255).astype(np.uint8)


def stepped(ct: np.ndarray, body: np.ndarray) -> np.ndarray:
    """HU in steps far below what is seen, and air without noise, so that a file is small."""
    coarse = np.round(ct / _HU_STEP) * _HU_STEP
    return np.where(body | (ct > -900), coarse, -1000).astype(np.int16)


if __name__ == "__main__":
    main()
