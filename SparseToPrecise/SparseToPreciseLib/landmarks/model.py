"""A template: what was taught, as one folder (a MONAI bundle) that works on any computer."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..core.bundles import Bundle, open_bundle
from ..core.devices import Device
from ..core.errors import InputError
from ..core.images import read_image, write_image
from ..core.models import open_model, reading_parameters
from ..core.volume import Volume
from .inference import SlicePredictor
from .inputs import Surroundings
from .localize import Place, follow, lattice
from .moments import Moments
from .postprocessing import main_component
from .reference import Reference
from .search import Pattern, TurnedPatterns
from .working_grid import Scale

FAMILY = "landmarks"
FORMAT = 1
NEEDED_BYTES = 2**30
_SAME_SIZE = 1.5
"""Ratio of lengths up to which structures may be the same."""


@dataclass(frozen=True)
class Template:
    """An opened template: what detection needs.

    Attributes
    ----------
    references
        The annotated images.
    places
        Place of the structure in each, as the network sees it: moments and mass carry the same bias as on a target.
    scale, predictor
        The lengths, and the network.
    name, sha256
        Name of the bundle, and SHA-256 of its weights.
    notes
        Sentences for the user from its training.
    """

    references: Sequence[Reference]
    places: Sequence[Place]
    scale: Scale
    predictor: SlicePredictor
    name: str
    sha256: str
    notes: Sequence[str] = ()

    @cached_property
    def surroundings(self) -> list[Surroundings]:
        """The references' intensities around their structures."""
        reach = 3 * self.scale.diameter_mm
        return [
            Surroundings.of(one.image, self.scale.window_mm, one.centre, max(reach, _reach_of(one)))
            for one in self.references
        ]

    @cached_property
    def patterns(self) -> list[tuple[Pattern, TurnedPatterns]]:
        """The references' structures, ready to be compared under any pose."""
        diameter = self.scale.diameter_mm
        return [
            (Pattern.of(one, seen, diameter), TurnedPatterns.of(one, seen, diameter))
            for one, seen in zip(self.references, self.surroundings, strict=True)
        ]

    @property
    def landmarks(self) -> list[str]:
        """Names, in the order of the first reference."""
        return list(self.references[0].landmarks)


def _reach_of(reference: Reference) -> float:
    """Distance from its centre within which a reference is compared with a target, mm."""
    points = np.stack(list(reference.landmarks.values()))
    return float(np.linalg.norm(points - reference.centre, axis=1).max()) + reference.diameter_mm


def checked_together(references: Sequence[Reference]) -> None:
    """Refuse references that do not belong together.

    Raises
    ------
    InputError
        There is none, their landmarks have different names, or their structures' sizes differ by more than a half.
    """
    if not references:
        raise InputError("A template needs at least one reference; give an image with its landmarks.")
    first = references[0]
    for number, other in enumerate(references[1:], start=2):
        different = sorted(set(first.landmarks) ^ set(other.landmarks))
        if different:
            raise InputError(
                f"Landmark {different[0]} is not in every reference (see number {number}); name them alike in all."
            )
        ratio = other.diameter_mm / first.diameter_mm
        if not 1 / _SAME_SIZE <= ratio <= _SAME_SIZE:
            raise InputError(
                f"The structure is {other.diameter_mm:.3g} mm long in reference {number} and "
                f"{first.diameter_mm:.3g} mm in the first; these are not the same structure."
            )


def place_in(predictor: SlicePredictor, scale: Scale, reference: Reference) -> Place:
    """The place where the network sees the structure in a reference that it was trained on, the measure of others.

    Where it does not see it, but the image is so small that a target like it is searched everywhere, the structure
    itself ("given").

    Raises
    ------
    InputError
        It does not see it in a larger image.
    """
    near = Surroundings.of(reference.image, scale.window_mm, reference.centre, 4 * scale.diameter_mm)
    full = reference.moments.mass
    place = follow(predictor, near, reference.centre, full)
    away = float(np.linalg.norm(place.centre - reference.centre))
    if place.moments is None or away > 0.5 * scale.diameter_mm or not 0.2 < place.mass < 5:
        if lattice(reference.image.grid, scale.diameter_mm):
            return Place(reference.centre, 1.0, reference.moments, None, place.path)
        raise InputError(
            "The network did not learn to find the structure in its own reference; train longer, or choose a structure "
            "that differs more from its surroundings."
        )
    grid = predictor.patch(place.centre)
    kept, moments = main_component(predictor.likelihood(near, grid), grid) or (None, None)
    if moments is None:
        return place
    return Place(moments.centre, 1.0, moments, Volume(kept, grid.ijk_to_ras), place.path, ended=place.ended)


def reference_files(references: Sequence[Reference]) -> dict[str, bytes]:
    """The annotated images as files of a bundle, by their paths in it."""
    files: dict[str, bytes] = {}
    with TemporaryDirectory(prefix="template") as folder:
        for number, reference in enumerate(references):
            for name, volume in (("image", reference.image), ("soi", _mask(reference.soi))):
                path = write_image(volume, Path(folder) / f"{name}.nrrd")
                files[f"references/{number}/{name}.nrrd"] = path.read_bytes()
            points = {name: point.tolist() for name, point in reference.landmarks.items()}
            text = json.dumps(points, indent=1, ensure_ascii=False) + "\n"
            files[f"references/{number}/landmarks.json"] = text.encode("utf-8")
    return files


def stored_references(template: str | os.PathLike[str]) -> list[Reference]:
    """The annotated images of a template, from which it can be taught again."""
    bundle = open_bundle(template, FAMILY)
    with reading_parameters(bundle, "template") as parameters:
        return [_reference(bundle, number) for number in range(len(parameters["moments"]))]


def load_template(path: str | os.PathLike[str], device: str = "auto") -> Template:
    """Load a template by its folder, or by its name among the installed models.

    Raises
    ------
    InputError
        No template, one of another version, incomplete, or a file of it was changed; or the device is not there.
    """
    return open_model(_loaded, path, FAMILY, device, NEEDED_BYTES)


def _loaded(bundle: Bundle, device: Device) -> Template:
    with reading_parameters(bundle, "template") as parameters:
        if parameters.get("format") != FORMAT:
            raise InputError(
                f"it has the format {parameters.get('format')!r} where this version reads {FORMAT}; it was made by "
                f"version {bundle.metadata.get('version')}, train it again"
            )
        wrong = bundle.wrong_files() if parameters.get("files_sha256") else "its metadata name no reference files"
        if wrong:
            raise InputError(wrong)
        scale = Scale(float(parameters["diameter_mm"]), float(parameters["spacing_mm"]), int(parameters["size"]))
        moments = [Moments.from_parameters(given) for given in parameters["moments"]]
        references = [_reference(bundle, number) for number in range(len(moments))]
        checked_together(references)
        _check_scale(scale, references)
    predictor = SlicePredictor(bundle.load_network(1, 1), scale.spacing_mm, scale.size, device)
    places = [Place(own.centre, 1.0, own, None) for own in moments]
    notes = tuple(str(note) for note in parameters.get("notes", ()))
    return Template(references, places, scale, predictor, bundle.name, bundle.sha256, notes)


def _check_scale(scale: Scale, references: Sequence[Reference]) -> None:
    """Raise the reason for which lengths are refused: they follow from the references' structures."""
    taught = Scale.of(references)
    if not taught.diameter_mm / _SAME_SIZE <= scale.diameter_mm <= taught.diameter_mm * _SAME_SIZE:
        raise InputError(
            f"its diameter_mm is {scale.diameter_mm:.3g} where the structure in its reference is "
            f"{taught.diameter_mm:.3g} mm long; get the template again"
        )
    if not 0.1 <= scale.spacing_mm / taught.spacing_mm <= 10 or not 16 <= scale.size <= 512:
        raise InputError(
            f"its pixels of {scale.spacing_mm:.3g} mm and patches of {scale.size} pixels make no sense for a structure "
            f"of {scale.diameter_mm:.3g} mm; get the template again"
        )


def _reference(bundle: Bundle, number: int) -> Reference:
    folder = bundle.path / "references" / str(number)
    landmarks = json.loads((folder / "landmarks.json").read_text(encoding="utf-8"))
    return Reference(read_image(folder / "image.nrrd"), read_image(folder / "soi.nrrd"), landmarks)


def _mask(soi: Volume) -> Volume:
    return soi.with_array((soi.array != 0).astype(np.uint8))
