"""Draws the pictures of docs/landmarks.md and the thumbnails of the samples, from the module's sample data.

The nodes are those of the scene, the landmarks those that the module finds, and Slicer's own displayable managers draw
them. The template is taught from the sample, which takes some minutes; it is kept for the next time.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import slicer
import views
from PIL import Image, ImageDraw, ImageFont

from SparseToPreciseLib.landmarks.detect import detect
from SparseToPreciseLib.landmarks.metrics import landmark_errors
from SparseToPreciseLib.landmarks.model import Template, load_template
from SparseToPreciseLib.landmarks.propagation import propagated_structure
from SparseToPreciseLib.landmarks.recipe import train_template
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml import landmarks_nodes as landmark_nodes
from SparseToPreciseLib.mrml.landmark_lists import landmarks_from_node
from SparseToPreciseLib.mrml.landmark_teaching import read_lesson
from SparseToPreciseLib.mrml.lookup import find_segment
from SparseToPreciseLib.mrml.markups import load_markup

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "LandmarkModule" / "Resources" / "SampleData"
IMAGES = ROOT / "docs" / "images"
TEMPLATE = Path(tempfile.gettempdir()) / "sparse-to-precise-pictures" / "ears"
TARGETS = (("EarTarget1", "no"), ("EarTarget2", "no"), ("EarTarget3", "try"))
SIZE, THUMBNAIL = (300, 300), (192, 192)
WIDTH_MM, SURFACE_WIDTH_MM = 18.0, 13.0
BAR = 28


def main() -> None:
    image, segmentation, points = reference_nodes()
    shown(points)
    small(image, points, SAMPLES / "EarReference.png")
    lesson = read_lesson(image, segmentation, find_segment(segmentation), points)
    columns = [(pair(image, points, "centre"), "the annotated image")]
    if not TEMPLATE.exists():
        TEMPLATE.parent.mkdir(exist_ok=True)
        train_template(TEMPLATE, [lesson.reference], device="cpu")
    template = load_template(TEMPLATE, "cpu")
    for node in (image, segmentation, points):
        slicer.mrmlScene.RemoveNode(node)
    truth = json.loads((SAMPLES / "truth.json").read_text(encoding="utf-8"))
    for number, (name, mirror) in enumerate(TARGETS, start=1):
        columns.append(found(template, name, mirror, truth[f"Ear {number}"]))
    save(labelled(columns), IMAGES / "landmarks-tutorial.png")


def reference_nodes():
    image = files.read_volume(SAMPLES / "EarReference.nrrd")
    segmentation = files.read_segmentation(SAMPLES / "EarReference-structure.seg.nrrd")
    points = load_markup(SAMPLES / "EarReference-landmarks.mrk.json", "a landmark list")
    image.CreateDefaultDisplayNodes()
    segmentation.CreateDefaultDisplayNodes()
    segmentation.CreateClosedSurfaceRepresentation()
    translucent(segmentation)
    return image, segmentation, points


def found(template: Template, name: str, mirror: str, truth: dict) -> tuple[np.ndarray, str]:
    """The column of a target."""
    image = files.read_volume(SAMPLES / f"{name}.nrrd")
    image.CreateDefaultDisplayNodes()
    inputs = landmark_nodes.read_target(image)
    answer = detect(template, inputs.image, mirror=mirror)
    points = landmark_nodes.show_landmarks(inputs, answer)
    shown(points)
    errors = landmark_errors(landmarks_from_node(points), {key: np.array(value) for key, value in truth.items()})
    print(name, answer.mirrored, errors["errors_mm"], [round(one.confidence, 2) for one in answer.landmarks])
    structure = propagated_structure(template, answer, inputs.image.grid)
    nodes = [image, points]
    if structure is not None:
        segmentation = landmark_nodes.show_structure(inputs, structure)
        segmentation.CreateClosedSurfaceRepresentation()
        translucent(segmentation)
        nodes.append(segmentation)
    if name == "EarTarget1":
        small(image, points, SAMPLES / f"{name}.png")
    picture = pair(image, points, "centre")
    for node in nodes:
        slicer.mrmlScene.RemoveNode(node)
    side = ", the other ear" if answer.mirrored else ""
    return picture, f"Ear {TARGETS.index((name, mirror)) + 1}{side}"


def translucent(segmentation) -> None:
    display = segmentation.GetDisplayNode()
    display.SetOpacity2DFill(0.2)
    display.SetSliceIntersectionThickness(2)
    display.SetOpacity3D(0.45)


def shown(points) -> None:
    points.CreateDefaultDisplayNodes()
    display = points.GetDisplayNode()
    display.SetUseGlyphScale(False)
    display.SetGlyphSize(0.8)
    display.SetTextScale(3.2)
    display.SetSliceProjection(True)  # landmarks above and below the slice, too
    display.SetSliceProjectionOpacity(0.7)
    display.SetPropertiesLabelVisibility(False)


def pair(image, points, name: str) -> np.ndarray:
    """A slice through a landmark, and all of them in 3D."""
    placed = landmarks_from_node(points)
    if name not in placed:
        raise SystemExit(f"{image.GetName()}: {name} was not placed; teach the template longer")
    flat = views.slice_picture(image, placed[name], orientation="Coronal", field_of_view_mm=WIDTH_MM, size=SIZE)
    look = {"field_of_view_mm": SURFACE_WIDTH_MM, "size": SIZE}
    return np.vstack([flat, views.surface_picture(placed[name], **look)])


def small(image, points, path: Path) -> None:
    """A thumbnail."""
    points.GetDisplayNode().SetPointLabelsVisibility(False)
    look = {"orientation": "Coronal", "field_of_view_mm": WIDTH_MM, "size": THUMBNAIL}
    save(views.slice_picture(image, landmarks_from_node(points)["centre"], **look), path)
    points.GetDisplayNode().SetPointLabelsVisibility(True)


def save(picture: np.ndarray, path: Path) -> None:
    Image.fromarray(picture).quantize(200).save(path, optimize=True)
    print(path.relative_to(ROOT), path.stat().st_size, "bytes")


def labelled(columns: list[tuple[np.ndarray, str]]) -> np.ndarray:
    font = ImageFont.load_default(15)
    parts = []
    for picture, text in columns:
        bar = Image.new("RGB", (picture.shape[1], BAR), (30, 32, 38))
        ImageDraw.Draw(bar).text((10, 6), text, font=font, fill=(240, 240, 240))
        parts.append(np.vstack([np.asarray(bar), picture]))
    return np.hstack(parts)


if __name__ == "__main__":
    main()
