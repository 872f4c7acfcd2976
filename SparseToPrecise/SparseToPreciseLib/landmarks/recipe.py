"""The recipe of a template: from annotated images to a bundle that finds their landmarks on others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from ..core.bundles import Bundle
from ..core.errors import InputError
from ..core.progress import Progress
from ..core.training.card import Description, network_data_format
from ..core.training.loop import LoopOptions
from ..core.training.recipe import Run, TrainingRecipe, train
from .cases import Augmentation, SliceSampler
from .inference import SlicePredictor
from .model import FAMILY, FORMAT, NEEDED_BYTES, checked_together, place_in, reference_files
from .network import DEFAULT_NETWORK, NETWORKS
from .reference import Reference
from .trainer import SliceTrainer
from .working_grid import Scale

STEPS = 1500
MINUTES = 15.0
LEARNING_RATE = 3e-3
BATCH = 24
PATIENCE = 8
_VALIDATION_SLICES = 96


@dataclass(frozen=True)
class SlicesOfReferences:
    """Cases of a training.

    Attributes
    ----------
    training
        The annotated images.
    validation
        (images, masks) of fixed slices.
    sampler
        Draws slices of the annotated images.
    scale
        Lengths that follow from the structure's size.
    on_another
        Whether the fixed slices are of another image.
    """

    training: Sequence[Reference]
    validation: tuple[torch.Tensor, torch.Tensor]
    sampler: SliceSampler
    scale: Scale
    on_another: bool


@dataclass(frozen=True, kw_only=True)
class LandmarksRecipe(TrainingRecipe):
    """Everything that decides what comes of a training of a template; the batch counts slices.

    Attributes
    ----------
    augmentation
        How slices differ from the references.
    patience
        Validations without a better one before the end.

    Raises
    ------
    InputError
        As `TrainingRecipe`.
    """

    augmentation: Augmentation
    patience: int

    family = FAMILY
    packages = ("scipy", "SimpleITK")
    shares = (0.02, 0.95)
    needed_bytes = NEEDED_BYTES

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_channels((1, 1))

    @classmethod
    def ends(cls, given: dict[str, float | None]) -> dict[str, float | None]:
        # Steps alone have a limit of time, too: a network that does not learn would take hours for them.
        timed = given["minutes"] is not None or given["epochs"] is not None
        return given if timed else {**given, "minutes": MINUTES}

    def cases(
        self,
        run: Run,
        progress: Progress,
        *,
        cases: Iterable[Reference] = (),
        validation_cases: Iterable[Reference] | None = None,
    ) -> SlicesOfReferences:
        """Slices to train on and to validate with.

        Parameters
        ----------
        cases
            One annotated image, or several of the same structure with the same landmarks.
        validation_cases
            Other images with their structure of interest; their landmarks do not count. None: slices of the
            references at poses that are not trained on are held back, so that over-fitting to the one image is not
            controlled.
        """
        references = list(cases or ())
        checked_together(references)
        progress(0.0, "cutting slices")
        scale = Scale.of(references)
        sampler = SliceSampler(references, scale.spacing_mm, scale.window_mm, scale.size, self.augmentation)
        fixed = sampler
        if validation_cases is not None:
            still = replace(self.augmentation, bend=0.0, scale=0.0, inverted=0.0, intensities=False)
            fixed = SliceSampler(list(validation_cases), scale.spacing_mm, scale.window_mm, scale.size, still)
        drawn = fixed.draw(np.random.default_rng([self.seed, 1]), _VALIDATION_SLICES)
        return SlicesOfReferences(references, drawn, sampler, scale, on_another=validation_cases is not None)

    def loop_options(self, **more: Any) -> LoopOptions:
        return super().loop_options(patience=self.patience, **more)

    def trainer(self, network: torch.nn.Module, cases: SlicesOfReferences, options: LoopOptions) -> SliceTrainer:
        return SliceTrainer(network, cases.sampler, cases.validation, options)

    def describe(self, trainer: SliceTrainer, cases: SlicesOfReferences, run: Run, progress: Progress) -> Description:
        references, scale = cases.training, cases.scale
        predictor = SlicePredictor(trainer.network.cpu(), scale.spacing_mm, scale.size)
        places = [place_in(predictor, scale, reference) for reference in references]
        notes = [note for reference in references for note in reference.warnings]
        if any(place.ended == "given" for place in places):
            notes.append(
                "The network did not learn to find the structure in its own reference, so that it can be found in "
                "images that are not much larger than it only; train longer, or choose a more distinct structure."
            )
        files = reference_files(references)
        names = list(references[0].landmarks)
        limits = {"steps": self.steps, "minutes": self.minutes, "epochs": self.epochs, "patience": self.patience}
        owners = "the references are their owner's"
        patch = {"format": "slice", "spatial_shape": [f"{scale.size}"] * 2}
        return Description(
            source=f"{len(references)} annotated image(s) of the user",
            about={
                "task": "Landmarks from one annotated image",
                "description": "Finds a structure on slices along three axes; the references in this bundle carry the "
                "landmarks over. For SparseToPrecise. Research use only.",
                "authors": f"The SparseToPrecise developers; {owners}",
                "copyright": f"Apache-2.0 for the software; {owners}",
                "data_type": "image",
                "references": [
                    "Wang et al.: A One-Shot Learning Framework for Landmark Detection in Volumetric Images, 2021"
                ],
                "network_data_format": network_data_format(
                    ["intensity against its surroundings"], [-4, 4], ["structure of interest"], "logits", patch
                ),
            },
            parameters={
                **asdict(scale),
                "landmarks": names,
                "moments": [place.moments.as_parameters() for place in places],
                "notes": notes,
                "format": FORMAT,
                "files_sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
            },
            training={
                "references": len(references),
                "validated_on": "another image" if cases.on_another else "other slices of the same image",
                "augmentation": asdict(self.augmentation),
                "learning_rate": self.learning_rate,
                "batch_size": self.batch_size,
                "seed": self.seed,
                "limits": {unit: value for unit, value in limits.items() if value is not None},
            },
            measures={},
            choices={"held_back": "another" if cases.on_another else "same"},
            values={
                "landmarks": ", ".join(names),
                "references": len(references),
                "scale": scale,
                "notes": "\n".join(f"- {note}" for note in notes),
            },
            curve={"dice": "Dice"},
            files=files,
        )


def train_template(
    output: str | os.PathLike[str],
    references: Sequence[Reference],
    validation: Reference | None = None,
    *,
    steps: int | None = STEPS,
    minutes: float | None = MINUTES,
    network: str = DEFAULT_NETWORK,
    augmentation: Augmentation | None = None,
    learning_rate: float = LEARNING_RATE,
    batch_size: int = BATCH,
    patience: int = PATIENCE,
    **options: Any,
) -> Bundle:
    """Teach a template and write it as a bundle.

    Parameters
    ----------
    output
        The template's folder.
    references
        One annotated image, or several of the same structure with the same landmarks.
    validation
        Another image with its structure of interest, see `LandmarksRecipe.cases`.
    steps, minutes
        The training ends with whichever comes first (minutes of computing time), or after `patience` validations
        without a better one. While the steps decide, the same arguments give the same weights.
    network
        A key of `NETWORKS`.
    augmentation
        How slices differ from the reference.
    learning_rate
        Of Adam, falling to zero along a cosine. (The paper's 0.1 does not train.)
    batch_size
        Slices per step.
    patience
        See `steps`.
    options
        As `core.training.recipe.train` takes them: seed, device, keep_on_cancel, progress, ...

    Returns
    -------
    Bundle
        As it was written; `load_template` reads it.

    Raises
    ------
    InputError
        References that do not belong together, an unknown network, an output that cannot be written, or a network that
        does not find the structure in its own reference. `Cancelled` when the user has cancelled. Nothing is written.
    """
    if network not in NETWORKS:
        raise InputError(f"There is no network {network!r} for landmarks; choose one of {', '.join(NETWORKS)}.")
    overrides = {
        "network": NETWORKS[network],
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "patience": patience,
        **({} if augmentation is None else {"augmentation": augmentation}),
    }
    return train(
        FAMILY,
        output,
        cases=references,
        validation_cases=None if validation is None else [validation],
        steps=steps,
        minutes=minutes,
        overrides=overrides,
        **options,
    )
