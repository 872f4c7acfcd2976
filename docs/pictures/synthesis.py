"""Draws the tutorial of docs/synthesis.md and the thumbnail from the module's sample data: `make pictures`.

The CT is made by the model that comes with the software, and shown as the module shows it.
"""

from __future__ import annotations

import json

import numpy as np
import views
from captions import ROOT, labelled, save

from SparseToPreciseLib.mrml import evaluation_nodes, files, overlays, synthesis_nodes
from SparseToPreciseLib.mrml.volumes import volume_from_node
from SparseToPreciseLib.synthesis.metrics import evaluate
from SparseToPreciseLib.synthesis.model import load_model
from SparseToPreciseLib.synthesis.synthesize import synthesize

SAMPLES = ROOT / "SynthesisModule" / "Resources" / "SampleData"
IMAGES = ROOT / "docs" / "images"
SIZE = (300, 300)
THUMBNAIL = 256
ERROR_HU, UNCERTAINTY_HU, HIDDEN_HU = 400.0, 200.0, 20.0


def main() -> None:
    (sample,) = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))
    mr, reference = (files.read_volume(SAMPLES / file["file"]) for file in sample["files"])
    mr.CreateDefaultDisplayNodes()
    synthesis_nodes.set_window(reference, *synthesis_nodes.WINDOWS["Soft tissue"])
    grid = volume_from_node(mr).grid
    middle = grid.to_ras((np.array(grid.shape[::-1]) - 1) / 2)
    width = float((np.array(grid.shape[::-1]) * grid.spacing).max()) * 1.02
    small = {"orientation": "Axial", "field_of_view_mm": width, "size": (THUMBNAIL, THUMBNAIL)}
    halves, half = [views.slice_picture(node, middle, **small) for node in (mr, reference)], THUMBNAIL // 2
    save(np.hstack([halves[0][:, :half], halves[1][:, half:]]), SAMPLES / sample["thumbnail"])

    inputs = synthesis_nodes.read_inputs(mr)
    result = synthesize(inputs.mr, load_model(), bands=True, uncertainty=True)
    ct = synthesis_nodes.show_synthetic(inputs, synthesis_nodes.Synthetic.of(result))
    print(*result.warnings, sep="\n")
    compared = evaluation_nodes.read_inputs(ct, reference)
    found = evaluate(compared.ct, compared.reference)
    print(found.as_text())
    shares = evaluation_nodes.histograms(compared.ct, found)
    error = evaluation_nodes.error_of(evaluation_nodes.show_evaluation(compared, found, shares))
    overlays.show_difference(error, ERROR_HU)
    uncertainty = synthesis_nodes.companion(ct, "uncertainty")
    overlays.show_uncertainty(uncertainty, UNCERTAINTY_HU, HIDDEN_HU)

    def column(background, **more) -> np.ndarray:
        look = {"field_of_view_mm": width, "size": SIZE, **more}
        planes = ("Axial", "Sagittal")
        return np.vstack([views.slice_picture(background, middle, orientation=plane, **look) for plane in planes])

    columns = [
        (column(mr), "MR"),
        (column(ct), "synthetic CT"),
        (column(reference), "true CT"),
        (column(reference, overlay=error, opacity=0.8), f"error, +-{ERROR_HU:.0f} HU"),
        (column(mr, overlay=uncertainty, opacity=0.7), f"uncertainty, up to {UNCERTAINTY_HU:.0f} HU"),
    ]
    save(labelled(columns), IMAGES / "synthesis-tutorial.png")


if __name__ == "__main__":
    main()
