"""The recipe of a synthesis model, from phantoms or a user's pairs to a bundle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import torch

from ..anatomy.cases import described_sources, sources_of
from ..anatomy.pairs import ct_pairs, ct_rows
from ..core.bundles import Bundle
from ..core.errors import InputError
from ..core.networks import network_channels
from ..core.progress import Progress
from ..core.training.card import Description, network_data_format
from ..core.training.loop import LoopOptions
from ..core.training.recipe import PhantomRecipe, Run, check_one_source, held_back, train
from ..core.volume import Volume
from .adversarial import Adversarial
from .cases import Sampling, TrainingCase, phantom_pairs, prepared_cases
from .confidence import seen_in
from .hu import HuWindow
from .inputs import BACKGROUND, BODY_PARAMETERS, BRIGHT, HIGHEST
from .model import BANDS, FAMILY
from .trainer import OBJECTIVES, SynthesisTrainer

HELD_BACK = 0.2
"""Share of a user's pairs, where there are none to validate with and at least five."""
MEASURED = 60
"""Number of MRs whose spacing, extent and histogram are measured."""
LARGEST_SIGMA_MM = 100.0
"""Beyond it the low band would hold nothing of a head but its mean."""

Pairs = Iterable[tuple[Volume, Volume]]
_OUTPUTS = {
    "low": "low band of the CT, units of the window",
    "high": "high band of the CT, units of the window",
    "high_probability": "weight of the high band",
    "ct": "CT, units of the window",
}


@dataclass(frozen=True)
class PreparedPairs:
    """Cases of a training.

    Attributes
    ----------
    training, validation
        The same ones where a user gave too few to hold some back.
    mrs
        The first MRs that are trained on, as they were given.
    on_phantoms
        Whether they are phantoms; else a user's.
    sources
        Where they are from, of a folder of real anatomy.
    """

    training: Sequence[TrainingCase]
    validation: Sequence[TrainingCase]
    mrs: Sequence[Volume]
    on_phantoms: bool
    sources: Sequence[dict[str, str | int]] = ()


@dataclass(frozen=True, kw_only=True)
class SynthesisRecipe(PhantomRecipe):
    """Everything that decides what comes of a training of a synthesis model; the batch counts patches.

    Attributes
    ----------
    spacing_mm
        Of the working grid on which the model works.
    hu_window
        [HU that becomes 0, HU that becomes 1].
    sigma_mm
        Between the bands.
    tile
        Voxels along a side of the tiles in which the trained model works.
    sampling
        How patches are drawn.
    network
        1 channel in, 3 (bands and probability) or 1 (the CT) out.
    objective
        A key of `trainer.OBJECTIVES`.
    adversarial
        The discriminator's part.

    Raises
    ------
    InputError
        As `TrainingRecipe`, or network and objective do not fit each other.
    """

    spacing_mm: float
    hu_window: Sequence[float]
    sigma_mm: float
    tile: int
    sampling: Sampling
    objective: str
    adversarial: Adversarial

    family = FAMILY
    packages = ("scipy", "scikit-image", "SimpleITK")
    shares = (0.2, 0.97)

    def __post_init__(self) -> None:
        super().__post_init__()
        HuWindow.from_parameters(self.hu_window)
        if not 0.5 <= self.spacing_mm <= 6:
            raise InputError(f"The model must work on voxels of 0.5 to 6 mm, not {self.spacing_mm:g} mm.")
        if self.sigma_mm > LARGEST_SIGMA_MM:
            raise InputError(f"Sigma must be at most {LARGEST_SIGMA_MM:g} mm, not {self.sigma_mm:g} mm.")
        if self.tile % 16 or self.tile < 32:
            raise InputError(f"A tile must have 32, 48, 64 or another multiple of 16 voxels, not {self.tile}.")
        if self.objective not in OBJECTIVES:
            raise InputError(f"There is no objective {self.objective!r}; choose from {', '.join(OBJECTIVES)}.")
        wanted = ((1, 3),) if self.objective == "frequency" else ((1, 3), (1, 1))
        if network_channels(self.network) not in wanted:
            raise InputError(
                f"The network has {network_channels(self.network)} input and output channels, and the objective "
                f"{self.objective} needs {' or '.join(map(str, wanted))}; change one of them."
            )

    @property
    def window(self) -> HuWindow:
        """The CT window."""
        return HuWindow.from_parameters(self.hu_window)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's channels."""
        return BANDS if network_channels(self.network)[1] == len(BANDS) else ("ct",)

    def cases(
        self,
        run: Run,
        progress: Progress,
        *,
        cases: Pairs | None = None,
        validation_cases: Pairs | None = None,
        anatomy: str | os.PathLike[str] | None = None,
    ) -> PreparedPairs:
        """Cases for training and validation.

        Parameters
        ----------
        cases, validation_cases
            (MR, CT) pairs, registered, instead of phantoms.
        anatomy
            A folder of labelled images, see `anatomy.table`: its MRs with a CT take the place of phantoms.
        """
        check_one_source(cases, anatomy)
        sources: Sequence[dict[str, str | int]] = ()
        if anatomy is not None:
            rows, others = (ct_rows(anatomy, role) for role in ("train", "validate"))
            cases, sources = ct_pairs(rows), sources_of(rows)
            validation_cases = ct_pairs(others) if others else None
        how = (self.spacing_mm, self.window, self.sigma_mm)
        mrs: list[Volume] = []
        if cases is None:
            first = self.seed * 10_000
            numbers = (range(first, first + count) for count in (self.phantoms, self.validation_phantoms))
            made, others = (
                phantom_pairs(use, some, self.spacing_mm)
                for use, some in zip(("train", "validation"), numbers, strict=True)
            )
            share = self.phantoms / (self.phantoms + self.validation_phantoms)
            training = prepared_cases(_kept(made, mrs), *how, self.phantoms, progress.part(0, share))
            validation = prepared_cases(others, *how, self.validation_phantoms, progress.part(share, 1))
            return PreparedPairs(training, validation, mrs, on_phantoms=True)
        training = prepared_cases(_kept(cases, mrs), *how, len(cases) if isinstance(cases, Sized) else None, progress)
        if validation_cases is not None:
            return PreparedPairs(training, prepared_cases(validation_cases, *how), mrs, False, sources)
        # A few pairs are all needed to train on; then the same ones say how far the training is.
        sets = held_back(training, HELD_BACK)
        return PreparedPairs(sets.training, sets.validation, mrs, False, sources)

    def trainer(self, network: torch.nn.Module, cases: PreparedPairs, options: LoopOptions) -> SynthesisTrainer:
        return SynthesisTrainer(
            network,
            cases.training,
            cases.validation,
            self.sampling,
            self.objective,
            self.adversarial,
            self.window,
            options,
        )

    def describe(self, trainer: SynthesisTrainer, cases: PreparedPairs, run: Run, progress: Progress) -> Description:
        progress(0.0, "measuring what was seen")
        on_phantoms, apart = cases.on_phantoms, cases.training is not cases.validation
        counts = {"pairs": len(cases.training), "validation_pairs": len(cases.validation)}
        patch = {
            "format": "isotropic lattice along R, A and S",
            "spatial_shape": ["32 + 16 * n"] * 3,
            "is_patch_data": True,
        }
        bands = len(self.outputs) > 1
        data = "phantoms" if on_phantoms else "anatomy" if cases.sources else "user"
        told = {"phantoms": "phantoms", "user": f"user pairs ({len(cases.training)})", "anatomy": "real pairs"}
        return Description(
            source=told[data],
            about={
                "task": "Synthetic CT from MR",
                "description": "Makes a CT in HU of an MR; for SparseToPrecise. Research use only."
                + (" Trained on phantoms only: anatomy plausible, HU not validated." if on_phantoms else ""),
                "data_type": "MR",
                "references": [
                    "Shi, Mettes, Zheng, Snoek: Frequency-Supervised MR-to-CT Image Synthesis, MICCAI DGM4 workshop "
                    "2021",
                ],
                "network_data_format": network_data_format(
                    ["MR, air −2, brightest 2"],
                    [BACKGROUND - 1, HIGHEST],
                    [_OUTPUTS[name] for name in self.outputs],
                    "image",
                    patch,
                ),
            },
            parameters={
                "modality": "MR",
                "spacing_mm": self.spacing_mm,
                "hu_window": list(self.hu_window),
                "sigma_mm": self.sigma_mm,
                "outputs": list(self.outputs),
                "tile": self.tile,
                "flips": self.sampling.flips,
                "body": BODY_PARAMETERS,
                "seen": seen_in(cases.mrs, self.spacing_mm),
            },
            training={
                **counts,
                "held_back": apart,
                "objective": self.objective,
                "adversarial_weight": self.adversarial.weight,
                "seed": self.seed,
                "sources": list(cases.sources),
            },
            measures={
                "mae_hu": ("MAE (HU)", ".1f"),
                "high_mae_hu": ("MAE of the high band (HU)", ".1f"),
                "bone_dice": ("bone Dice (> 250 HU)", ".3f"),
            },
            choices={
                "bands": bands,
                "data": data,
                "objective": self.objective.replace("-", "_"),
                "adversarial": self.adversarial.weight > 0 and ("bands" if bands else "ct"),
                "checked": "phantoms" if on_phantoms else "others" if apart else "same",
            },
            values={
                **counts,
                "sources": described_sources(cases.sources),
                "network": self._network_in_words(),
                "air": BACKGROUND,
                "bright": BRIGHT,
            },
            curve={"mae_hu": "MAE of the CT", "high_mae_hu": "MAE of the high band"},
            ylabel="HU",
        )

    def _network_in_words(self) -> str:
        arguments = self.network.get("arguments", {})
        if {"backbone", "head"} <= arguments.keys():
            return f'{arguments["backbone"]["name"]} with the head "{arguments["head"]["name"]}"'
        return self.network["name"]


def _kept(pairs: Pairs, mrs: list[Volume]) -> Pairs:
    for mr, ct in pairs:
        if len(mrs) < MEASURED:
            mrs.append(mr)
        yield mr, ct


def train_synthesis(
    output: str | os.PathLike[str], *, pairs: Pairs | None = None, validation_pairs: Pairs | None = None, **options: Any
) -> Bundle:
    """`core.training.recipe.train` of a synthesis model, whose cases are called pairs here."""
    return train(FAMILY, output, **{"cases": pairs, "validation_cases": validation_pairs, **options})
