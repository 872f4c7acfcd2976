"""Jobs of the worker: a box is tightened, the object in it is segmented. No Qt, no scene."""

from functools import lru_cache

_KEPT = 2


def tighten_inputs(inputs, *, model=None, device="auto", axis="auto", margin_mm=0.0, coverage=0.99, progress=None):
    """A `boxes.corrector.tighten.TightenResult` for `mrml.boxes_nodes.BoxInputs`; the model stays loaded."""
    from SparseToPreciseLib.boxes.corrector.model import CORRECTOR_FAMILY, DEFAULT_CORRECTOR
    from SparseToPreciseLib.boxes.corrector.tighten import tighten
    from SparseToPreciseLib.core.bundles import open_bundle

    if progress is not None:
        progress(0.0, "loading the model")
    bundle = open_bundle(model or DEFAULT_CORRECTOR, CORRECTOR_FAMILY)
    corrector = _corrector(str(bundle.path), bundle.sha256, device)
    return tighten(
        inputs.image, inputs.box, corrector, axis=axis, margin_mm=margin_mm, coverage=coverage, progress=progress
    )


def segment_inputs(inputs, *, model=None, device="auto", slices=None, progress=None):
    """A `boxes.segmenter.segment.SegmentResult` for `mrml.boxes_nodes.BoxInputs`; the model stays loaded."""
    from SparseToPreciseLib.boxes.segmenter.model import DEFAULT_SEGMENTER, SEGMENTER_FAMILY
    from SparseToPreciseLib.boxes.segmenter.segment import segment
    from SparseToPreciseLib.core.bundles import open_bundle

    if progress is not None:
        progress(0.0, "loading the model")
    bundle = open_bundle(model or DEFAULT_SEGMENTER, SEGMENTER_FAMILY)
    segmenter = _segmenter(str(bundle.path), bundle.sha256, device)
    return segment(inputs.image, inputs.box, segmenter, slices=slices, progress=progress)


# The hash is part of the key: a bundle that was trained again is loaded again.
@lru_cache(maxsize=_KEPT)
def _corrector(path, sha256, device):
    from SparseToPreciseLib.boxes.corrector.model import load_corrector

    return load_corrector(path, device)


@lru_cache(maxsize=_KEPT)
def _segmenter(path, sha256, device):
    from SparseToPreciseLib.boxes.segmenter.model import load_segmenter

    return load_segmenter(path, device)
