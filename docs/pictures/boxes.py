"""Draws the pictures of docs/boxes.md from the module's sample data, by the command line and the default models."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from SparseToPreciseLib.cli.box_files import SegmentRequest, TightenRequest, tighten_files
from SparseToPreciseLib.cli.box_segment_files import segment_files

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "BoxModule" / "Resources" / "SampleData"
IMAGES = ROOT / "docs" / "images"
WORK = Path(tempfile.gettempdir()) / "sparse-to-precise-pictures"
THUMBNAIL = 256


def main() -> None:
    WORK.mkdir(exist_ok=True)
    given = {"image": SAMPLE / "LooseBox.nrrd", "roi": SAMPLE / "LooseBox-ROI.mrk.json"}
    picture = IMAGES / "boxes-tighten.png"
    tightened = tighten_files(TightenRequest(**given, output=WORK / "tight.mrk.json", picture=picture))
    print(f"{tightened.corrector.name}: {tightened.report['tightened']['volume_after_mm3'] / 1000:.1f} cm3")
    print("safe" if tightened.result.safe else tightened.result.notes)
    with Image.open(picture) as drawn:
        side = drawn.height // 2
        middle = drawn.convert("RGB").crop((side, 0, 2 * side, side)).resize((THUMBNAIL, THUMBNAIL))
        middle.save(SAMPLE / "LooseBox.png", optimize=True)
    smaller(picture)
    picture = IMAGES / "boxes-segment.png"
    request = SegmentRequest(**given, output=WORK / "organ.seg.nrrd", picture=picture, tighten_first=True)
    segmented = segment_files(request)
    print(f"{segmented.segmenter.name}: {segmented.result.volume_mm3 / 1000:.1f} cm3")
    smaller(picture)


def smaller(path: Path) -> None:
    """With a palette, which is enough for grey images and lines."""
    with Image.open(path) as drawn:
        drawn.convert("RGB").quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    main()
