"""Draws the tutorial of docs/editing.md and the thumbnails from the module's sample data: `make pictures`.

The nodes are those of the scene, the edit is the one that the Segment Editor effect and the module make, and Slicer's
own displayable managers draw it.
"""

from __future__ import annotations

import numpy as np
import slicer
import views
from captions import ROOT, labelled, save

from SparseToPreciseLib.editing.edit import edit
from SparseToPreciseLib.editing.model import load_editor
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.lookup import find_segment
from SparseToPreciseLib.mrml.markups import stroke_from_node
from SparseToPreciseLib.mrml.segmentations import segment_to_volume, volume_to_segment
from SparseToPreciseLib.mrml.volumes import volume_from_node

SAMPLES = ROOT / "EditingModule" / "Resources" / "SampleData"
IMAGES = ROOT / "docs" / "images"
INFLUENCE_RADIUS_MM = 14.0
THUMBNAIL = (192, 192)


def tutorial(sample: str, field_of_view_mm: float) -> np.ndarray:
    """Before, stroke and after, each as a slice through the stroke and in 3D."""
    image = files.read_volume(SAMPLES / f"{sample}.nrrd")
    node = files.read_segmentation(SAMPLES / f"{sample}-segmentation.seg.nrrd")
    curve = files.read_stroke(SAMPLES / f"{sample}-stroke.mrk.json")
    segment = find_segment(node)
    stroke = stroke_from_node(curve)
    middle = _middle(node, segment)
    on_stroke = _on_plane(middle, stroke)
    away = stroke.mean(axis=0) - middle
    from_outside = away / np.linalg.norm(away) + np.array([0.0, 0.0, 0.7])  # a little from above
    _show(image, node, curve)

    def pair() -> np.ndarray:
        node.RemoveClosedSurfaceRepresentation()
        node.CreateClosedSurfaceRepresentation()
        look = {"field_of_view_mm": field_of_view_mm, "size": (360, 360)}
        flat = views.slice_picture(image, on_stroke, **look)
        return np.vstack([flat, views.surface_picture(middle, from_direction_ras=from_outside, **look)])

    curve.GetDisplayNode().SetVisibility(False)
    before = pair()
    curve.GetDisplayNode().SetVisibility(True)
    drawn = pair()
    small = views.slice_picture(image, on_stroke, field_of_view_mm=field_of_view_mm, size=THUMBNAIL)
    save(small, SAMPLES / f"{sample}.png")
    old = segment_to_volume(node, segment)
    result = edit(volume_from_node(image), old, stroke, INFLUENCE_RADIUS_MM, editor=load_editor())
    volume_to_segment(result.segmentation, node, segment)
    after = pair()
    print(f"{sample}: {result.changed_inside} voxels changed by {result.editor}, {result.changed_outside} outside")
    for one in (image, node, curve):
        slicer.mrmlScene.RemoveNode(one)
    return labelled([(before, "1  the segment has an error"), (drawn, "2  one stroke"), (after, "3  corrected")])


def _show(image, node, curve) -> None:
    image.CreateDefaultDisplayNodes()
    image.GetDisplayNode().AutoWindowLevelOn()
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetOpacity2DFill(0.25)
    node.GetDisplayNode().SetSliceIntersectionThickness(3)
    curve.CreateDefaultDisplayNodes()
    display = curve.GetDisplayNode()
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetSelectedColor(1.0, 0.85, 0.1)
    display.SetUseGlyphScale(False)
    display.SetGlyphSize(1.5)
    display.SetCurveLineSizeMode(display.UseLineDiameter)
    display.SetLineDiameter(1.2)


def _middle(node, segment: str) -> np.ndarray:
    volume = segment_to_volume(node, segment)
    return volume.grid.to_ras(np.argwhere(volume.array)[:, ::-1].mean(axis=0))


def _on_plane(point: np.ndarray, stroke: np.ndarray) -> np.ndarray:
    """The point of the stroke's plane that is nearest to a point."""
    there = stroke.mean(axis=0)
    normal = np.linalg.svd(stroke - there)[2][2]
    return point - normal * ((point - there) @ normal)


if __name__ == "__main__":
    for sample, width in (("ScribbleDent", 84.0), ("ScribbleBulge", 116.0)):
        target = IMAGES / f"editing-tutorial-{sample.removeprefix('Scribble').lower()}.png"
        save(tutorial(sample, width), target)
