"""What the worker computes: a template's landmarks on an image. No Qt, no scene."""

from dataclasses import dataclass
from functools import lru_cache

_KEPT = 2


@dataclass(frozen=True)
class Answer:
    """What was found, for `mrml.landmarks_nodes`; `structure` and `way` are None where they were not wanted."""

    template: str
    detection: object
    structure: object = None
    way: object = None


def find(inputs, *, template, mirror="no", device="auto", structure=False, deformation=False, progress=None):
    """An `Answer` for `mrml.landmarks_nodes.TargetInputs`; the template stays loaded."""
    from SparseToPreciseLib.core.bundles import open_bundle
    from SparseToPreciseLib.core.progress import Progress
    from SparseToPreciseLib.landmarks.detect import detect
    from SparseToPreciseLib.landmarks.model import FAMILY
    from SparseToPreciseLib.landmarks.propagation import carried_structure, way_to

    progress = progress or Progress()
    progress(0.0, "loading the template")
    bundle = open_bundle(template, FAMILY)
    loaded = _template(str(bundle.path), bundle.sha256, device)
    part = progress.part(0.05, 0.95)
    found = detect(loaded, inputs.image, mirror=mirror, seed_point=inputs.seed, progress=part)
    return Answer(
        loaded.name,
        found,
        carried_structure(loaded, found, inputs.image.grid) if structure else None,
        way_to(found) if deformation else None,
    )


def show(inputs, answer):
    """New nodes for an `Answer`: the list of landmarks, and the others that there are (None: was not wanted)."""
    from SparseToPreciseLib.mrml.landmarks_nodes import show_landmarks, show_structure, show_way

    landmarks = show_landmarks(inputs, answer.detection, answer.template)
    structure = None if answer.structure is None else show_structure(inputs, answer.structure, answer.template)
    way = None if answer.way is None else show_way(inputs, answer.way, answer.template)
    return landmarks, structure, way


# The hash is part of the key: a template that was taught again is loaded again.
@lru_cache(maxsize=_KEPT)
def _template(path, sha256, device):
    from SparseToPreciseLib.landmarks.model import load_template

    return load_template(path, device)
