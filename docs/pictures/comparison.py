"""Draws the picture of docs/comparison.md: a phantom's wrong segmentation against its truth."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console

from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.mrml.files import write_volume
from SparseToPreciseLib.tasks.compare import Compare
from SparseToPreciseLib.tasks.demo import write_phantom

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "comparison.png"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        edit, truth = write_phantom(Path(folder), Progress())
        write_volume(truth, Path(folder) / "truth.nrrd")
        task = Compare(a=edit.segmentation, b=Path(folder) / "truth.nrrd", image=edit.image, picture=PICTURE)
        Console().print(*task.run().shown())


if __name__ == "__main__":
    main()
