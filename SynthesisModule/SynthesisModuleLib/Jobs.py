"""What is computed within the application, without Qt or the scene; for the panel a child process synthesizes."""

from functools import lru_cache

_KEPT = 2


def synthesize_inputs(
    inputs, models=None, *, uncertainty=False, bands=False, classes=False, device="auto", progress=None
):
    """A `mrml.synthesis_nodes.Synthetic` for `mrml.synthesis_nodes.SynthesisInputs`; the models stay loaded."""
    from SparseToPreciseLib.core.bundles import open_bundle
    from SparseToPreciseLib.mrml.synthesis_nodes import Synthetic
    from SparseToPreciseLib.synthesis.model import DEFAULT_MODEL, FAMILY
    from SparseToPreciseLib.synthesis.synthesize import synthesize

    if progress is not None:
        progress(0.0, "loading the model")
    bundles = [open_bundle(one, FAMILY) for one in ([models] if isinstance(models, str) else models or [DEFAULT_MODEL])]
    loaded = [_model(str(bundle.path), bundle.sha256, device) for bundle in bundles]
    result = synthesize(inputs.mr, loaded, inputs.body, bands=bands, uncertainty=uncertainty, progress=progress)
    return Synthetic.of(result, classes)


def evaluate_inputs(inputs, progress=None):
    """(`synthesis.evaluate.Evaluation`, histograms) for `mrml.evaluation_nodes.EvaluationInputs`."""
    from SparseToPreciseLib.mrml.evaluation_nodes import histograms
    from SparseToPreciseLib.synthesis.evaluate import evaluate

    found = evaluate(inputs.ct, inputs.reference, inputs.mask, progress=progress)
    return found, histograms(inputs.ct, found)


# The hash is part of the key: a bundle that was trained again is loaded again.
@lru_cache(maxsize=_KEPT)
def _model(path, sha256, device):
    from SparseToPreciseLib.synthesis.model import load_model

    return load_model(path, device)
