"""Draws the pictures of docs/boxes.md from the module's sample data, by the command line and the default models."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from SparseToPreciseLib.core.images import read_image
from SparseToPreciseLib.core.markups import read_box
from SparseToPreciseLib.pictures.boxes import draw_boxes
from SparseToPreciseLib.tasks.box_segment import SegmentBox
from SparseToPreciseLib.tasks.box_tighten import TightenBox

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "BoxModule" / "Resources" / "SampleData"
IMAGES = ROOT / "docs" / "images"
WORK = Path(tempfile.gettempdir()) / "sparse-to-precise-pictures"
THUMBNAIL = 256


def main() -> None:
    WORK.mkdir(exist_ok=True)
    thumbnail()
    given = {"image": SAMPLE / "LooseBox.nrrd", "roi": SAMPLE / "LooseBox-ROI.mrk.json"}
    picture = IMAGES / "boxes-tighten.png"
    tightened = TightenBox(**given, output=WORK / "tight.mrk.json", coverage=0.9, picture=picture).run()
    print(f"{tightened.corrector.name}: {tightened.report['tightened']['volume_after_mm3'] / 1000:.1f} cm3")
    print("safe" if tightened.result.safe else tightened.result.notes)
    picture = IMAGES / "boxes-segment.png"
    segmented = SegmentBox(**given, output=WORK / "organ.seg.nrrd", picture=picture, tighten_first=True).run()
    print(f"{segmented.segmenter.name}: {segmented.result.volume_mm3 / 1000:.1f} cm3")


def thumbnail() -> None:
    """A slice through the middle of the loose box, as the module Sample Data shows it."""
    image, box = read_image(SAMPLE / "LooseBox.nrrd"), read_box(SAMPLE / "LooseBox-ROI.mrk.json")
    path = WORK / "thumbnail.png"
    draw_boxes(path, image, box)
    with Image.open(path) as drawn:
        side = drawn.width // 4
        slice_ = drawn.convert("RGB").crop((0, side, side, 2 * side)).resize((THUMBNAIL, THUMBNAIL))
        slice_.save(SAMPLE / "LooseBox.png", optimize=True)


if __name__ == "__main__":
    main()
