"""Draws the picture of docs/planes.md: a phantom, painted on four slices, and what is filled."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console

from SparseToPreciseLib.core.images import write_image
from SparseToPreciseLib.core.plane import Plane
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.phantoms import make_phantom
from SparseToPreciseLib.tasks.planes_fill import FillPlanes

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "planes.png"
CASE = ("lobed", 3)
SLICES = ((2, 10), (2, 30), (2, 50), (1, 32))


def main() -> None:
    phantom = make_phantom(*CASE)
    image = Volume(phantom.image, np.eye(4))
    paint = np.zeros(phantom.target.shape, np.uint8)
    for axis, index in SLICES:
        i, j, k = Plane.of_slice(image.grid, axis, index).voxels(image.grid).T
        paint[k, j, i] = phantom.target[k, j, i]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("image.nrrd", "painted.nrrd", "filled.seg.nrrd")]
        write_image(image, files[0])
        write_image(Volume(paint, np.eye(4)), files[1])
        task = FillPlanes(image=files[0], segmentation=files[1], output=files[2], picture=PICTURE)
        Console().print(*task.run().shown())


if __name__ == "__main__":
    main()
