"""The recipe of an editing model, from phantoms or a user's cases to a bundle."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..anatomy.cases import described_sources, trained_on
from ..core.errors import InputError
from ..core.progress import Progress
from ..core.training.card import Description, network_data_format
from ..core.training.loop import LoopOptions
from ..core.training.recipe import PhantomRecipe, Run, check_one_source, train
from ..core.volume import Volume
from .case_store import CaseStore, build_store
from .cases import SIZE, AnatomyScenes, Simulation, VolumeScenes, store_volumes
from .guidance import RADIUS_PER_SIGMA
from .model import FAMILY, MULTIPLE
from .network import NetworkForm, form_parameters
from .trainer import OBJECTIVES, Trainer
from .working_grid import MARGIN_SIGMAS, SIGMA_VOXELS

EDITING_MINUTES = 15.0
"""Minutes of computing time with a user's cases."""

VolumePairs = Iterable[tuple[Volume, Volume]]
_RANGES = {"image": [-0.5, 1.5], "mask": [0, 1], "guidance": [0, 1]}

WORKING_SPACING = (
    f"influence radius (mm) / {RADIUS_PER_SIGMA:.4f} / {SIGMA_VOXELS:g}: isotropic along RAS, so that sigma is always "
    f"{SIGMA_VOXELS:g} voxels; the grid reaches {MARGIN_SIGMAS:g} sigma beyond the stroke, its sides are multiples of "
    f"{MULTIPLE} voxels"
)


@dataclass(frozen=True)
class EditingCases:
    """Cases of a training.

    Attributes
    ----------
    training, validation
        The simulated cases.
    volumes
        A user's cases that they were simulated on.
    anatomy
        Real anatomy that they were simulated on, besides phantoms. Where there is neither: phantoms alone.
    held_back
        Whether those for validation come from the same images.
    """

    training: CaseStore
    validation: CaseStore
    volumes: VolumeScenes | None = None
    anatomy: AnatomyScenes | None = None
    held_back: bool = False


@dataclass(frozen=True, kw_only=True)
class EditingRecipe(PhantomRecipe):
    """Everything that decides what comes of a training of an editing model.

    Attributes
    ----------
    cubes, validation_cubes
        As `phantoms`, on a user's cases; those for validation have the next seed.
    simulation
        How cases are made; it has a seed of its own (the same one by default).
    form
        What the network sees and whether it corrects the proposal.
    objective
        A key of `trainer.OBJECTIVES`.
    crop
        As in `trainer.Trainer`.

    Raises
    ------
    InputError
        As `TrainingRecipe`, or the objective is unknown, or the network does not fit the form.
    """

    cubes: int
    validation_cubes: int
    simulation: Simulation
    form: NetworkForm
    objective: str
    crop: int | None = None

    family = FAMILY
    packages = ("scipy", "SimpleITK", "scikit-image")
    shares = (0.3, 0.99)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.objective not in OBJECTIVES:
            raise InputError(f"There is no objective {self.objective!r}; choose from {', '.join(OBJECTIVES)}.")
        if self.crop is not None and (self.crop % MULTIPLE or self.crop > SIZE):
            raise InputError(f"A crop must have a multiple of {MULTIPLE} voxels up to {SIZE}, not {self.crop}.")
        self.check_channels((len(self.form.inputs), 1))

    @classmethod
    def for_cases(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        return {} if given.get("cases") is None else {"minutes": EDITING_MINUTES}

    def cases(
        self,
        run: Run,
        progress: Progress,
        *,
        cases: VolumePairs | str | os.PathLike[str] | None = None,
        validation_cases: VolumePairs | str | os.PathLike[str] | None = None,
        anatomy: str | os.PathLike[str] | None = None,
        cache: str | os.PathLike[str] | None = None,
        workers: int | None = None,
    ) -> EditingCases:
        """Simulate the cases, or reuse them.

        Parameters
        ----------
        cases, validation_cases
            (image, segmentation) pairs instead of phantoms, where every value of a segmentation but 0 is a segment, or
            a folder made by `cases.store_volumes` of them. Without validation cases, cubes of other seeds from the
            same cases validate, and the model card says so.
        anatomy
            A folder of labelled images, see `anatomy.table`, from which `simulation.anatomy_share` of the scenes are
            drawn instead of phantoms; its cases for validation validate.
        cache
            Folder for the simulated cases, kept for the next run; None takes one in the user's cache folder for
            phantoms, and a temporary one for a user's cases, which stay nowhere unless they were told to.
        workers
            Processes that simulate; None takes as many as there are CPU cores, 0 none but this one.
        """
        check_one_source(cases, anatomy)
        workers = _cores() if workers is None else workers
        if cache is not None or cases is None or isinstance(cases, (str, os.PathLike)):
            kept = nullcontext(default_cache() if cache is None else cache)
        else:
            kept = tempfile.TemporaryDirectory(prefix="sparse-to-precise-")
        folder = Path(run.while_it_lasts(kept))
        counts, kind, scenes, others = (self.phantoms, self.validation_phantoms), "phantoms", None, None
        if cases is not None:
            counts, kind = (self.cubes, self.validation_cubes), "cubes"
            scenes = VolumeScenes(_stored(cases, folder / "cases"))
            own = _stored(validation_cases, folder / "validation-cases")
            others = scenes if own is None else VolumeScenes(own)
        elif anatomy is not None:
            kind = "anatomy"
            scenes, others = AnatomyScenes(Path(anatomy), "train"), AnatomyScenes(Path(anatomy), "validate")
        share = counts[0] / sum(counts)

        def stores(workers: int, progress: Progress) -> EditingCases:
            next_seed = replace(self.simulation, seed=self.simulation.seed + 1)
            first, second = progress.part(0, share), progress.part(share, 1)
            return EditingCases(
                build_store(folder / f"training-{kind}", counts[0], self.simulation, workers, first, scenes),
                build_store(folder / f"validation-{kind}", counts[1], next_seed, workers, second, others),
                volumes=scenes if kind == "cubes" else None,
                anatomy=scenes if kind == "anatomy" else None,
                held_back=kind == "cubes" and validation_cases is None,
            )

        # The first process makes them, the others find them there.
        made = stores(workers, progress) if run.first else None
        run.wait()
        return made or stores(0, Progress())

    def trainer(self, network: torch.nn.Module, cases: EditingCases, options: LoopOptions) -> Trainer:
        return Trainer(network, self.form, self.objective, cases.training, cases.validation, options, self.crop)

    def describe(self, trainer: Trainer, cases: EditingCases, run: Run, progress: Progress) -> Description:
        generation = cases.training.generation
        user_cases = None if cases.volumes is None else len(cases.volumes)
        sources = [] if cases.anatomy is None else cases.anatomy.cubes.sources
        data = "user" if user_cases is not None else "anatomy" if sources else "phantoms"
        residual = self.form.residual
        # The last layer of an untrained residual network is zero.
        before = self.started_from or ("the image-aware warp itself" if residual else "the untrained network")
        ranges = [_RANGES.get(name, [-1, 1]) for name in self.form.inputs]
        span = [min(low for low, _ in ranges), max(high for _, high in ranges)]
        cube = {"format": "cube around the stroke", "spatial_shape": [f"{MULTIPLE} * n"] * 3, "is_patch_data": False}
        said = ["correction of the proposal" if residual else "logit"]
        seen = {"cases": len(cases.training), "validation_cases": len(cases.validation)}
        return Description(
            source=trained_on(sources) if user_cases is None else f"user cases ({user_cases})",
            about={
                "task": "Correction of a segmentation by one stroke along the true boundary",
                "description": "Moves the boundary of a segmentation to a stroke nearby and leaves the rest as it is; "
                "for SparseToPrecise. Research use only.",
                "data_type": "image, segmentation and stroke",
                "references": [
                    "Shahin, Zhuang, El-Zehiry: From Sparse to Precise: A Practical Editing Approach for Intracardiac "
                    "Echocardiography Segmentation, 2023"
                ],
                "network_data_format": network_data_format(self.form.inputs, span, said, "logits", cube),
            },
            parameters={**form_parameters(self.form), "working_spacing": WORKING_SPACING},
            training={
                **seen,
                "validation_cases_from_training_cases": cases.held_back,
                "seeds": {"recipe": self.seed, "simulation": self.simulation.seed},
                "objective": self.objective,
                "simulation_cases_per_second": round(generation.cases_per_second, 3) or None,
                "simulation_workers": generation.workers or None,
                "sources": sources,
            },
            measures={
                "validation_loss": ("validation loss", ".5f"),
                "in_zone_error_removed": ("share of the error inside the influence zone that is removed", ".1%"),
            },
            before=f"before training ({before})",
            choices={
                "form": "residual" if residual else "plain",
                "data": data,
                "made": generation.cases > 0,
                "unseen": data == "phantoms",
                "checked": "same" if cases.held_back else "others" if user_cases is not None else data,
            },
            values={
                **seen,
                "inputs": ", ".join(self.form.inputs),
                "working_spacing": WORKING_SPACING,
                "families": ", ".join(self.simulation.families),
                "user_cases": user_cases,
                "sources": described_sources(sources),
                "generation": generation,
            },
            curve={"in_zone_error_removed": "in-zone error removed"},
            ylabel="share",
            start=f"{before} (before training)" if residual else "",
        )

    def _values(self) -> dict[str, Any]:
        values = super()._values()
        if self.simulation.seed == self.seed:
            del values["simulation"]["seed"]  # the file refers to the recipe's
        return values | {"form": {"parameters": values["form"]}}


Recipe = EditingRecipe  # its name in configs/train.json of earlier versions

train_editing = partial(train, FAMILY)
"""`core.training.recipe.train` of an editing model."""


def default_cache() -> Path:
    """Where simulated cases are kept when no folder is named."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "sparse-to-precise" / "training-editing"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _stored(cases: VolumePairs | str | os.PathLike[str] | None, folder: Path) -> Path | None:
    """The folder of `store_volumes` for cases."""
    if cases is None or isinstance(cases, (str, os.PathLike)):
        return None if cases is None else Path(cases)
    store_volumes(folder, cases)
    return folder
