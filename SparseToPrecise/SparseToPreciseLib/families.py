"""The model families: one row each. Nothing of a family is imported until it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Family:
    """A family as the rest of the software knows it; places are "module:name" below this package.

    Attributes
    ----------
    name
        In a bundle's metadata, and of the command `sparse-to-precise train NAME`.
    recipe
        Where its `core.training.recipe.TrainingRecipe` is.
    loader
        Where the function is that opens its models: (name or folder of a bundle, device) -> model.
    verb
        Where the function on `Volume`s is, the family's unit of work.
    commands
        The module of the command line that adds its commands.
    default_model
        The bundle that came with the software; empty: there is none.
    slicer_module
        Its module in Slicer.
    former_recipes
        Names of its recipe in the configs of earlier versions.
    also
        Families whose models do its work, too; its loader opens their bundles.
    """

    name: str
    recipe: str
    loader: str
    verb: str
    commands: str
    default_model: str
    slicer_module: str
    former_recipes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def served_by(self) -> tuple[str, ...]:
        """Families whose bundles its loader opens."""
        return (self.name, *self.also)

    def recipe_class(self) -> Any:
        """The recipe's class; imports PyTorch."""
        return resolved(self.recipe)

    def load(self, model: str | None, device: str = "auto") -> Any:
        """A model of a bundle; None: the default one."""
        return resolved(self.loader)(model, device)


_ROWS = (
    Family(
        name="editing",
        recipe="editing.recipe:EditingRecipe",
        loader="editing.model:load_editor",
        verb="editing.edit:edit",
        commands="cli.editing",
        default_model="editing",
        slicer_module="EditingModule",
        former_recipes=("editing.recipe:Recipe", "editing.training_recipe:Recipe"),
    ),
    Family(
        name="boxes-corrector",
        recipe="boxes.corrector.recipe:CorrectorRecipe",
        loader="boxes.corrector.model:load_corrector",
        verb="boxes.corrector.tighten:tighten",
        commands="cli.boxes",
        default_model="boxes-corrector",
        slicer_module="BoxModule",
        former_recipes=("boxes.corrector_recipe:CorrectorRecipe",),
    ),
    Family(
        name="boxes-segmenter",
        recipe="boxes.segmenter.recipe:SegmenterRecipe",
        loader="boxes.segmenter.model:load_segmenter",
        verb="boxes.segmenter.segment:segment",
        commands="cli.boxes",
        default_model="boxes",
        slicer_module="BoxModule",
        former_recipes=("boxes.segmenter_recipe:SegmenterRecipe",),
        also=("boxes-corrector",),
    ),
    Family(
        name="landmarks",
        recipe="landmarks.recipe:LandmarksRecipe",
        loader="landmarks.model:load_template",
        verb="landmarks.detect:detect",
        commands="cli.landmarks",
        default_model="",
        slicer_module="LandmarkModule",
    ),
    Family(
        name="synthesis",
        recipe="synthesis.recipe:SynthesisRecipe",
        loader="synthesis.model:load_model",
        verb="synthesis.synthesize:synthesize",
        commands="cli.synthesis",
        default_model="synthesis",
        slicer_module="SynthesisModule",
    ),
)
FAMILIES: dict[str, Family] = {row.name: row for row in _ROWS}


def resolved(place: str) -> Any:
    """Object that a "module:name" below this package names, or the module of a "module"; it is imported."""
    module, _, name = place.partition(":")
    found = import_module(f"{__package__}.{module}")
    return getattr(found, name) if name else found


def family_of_recipe(target: object) -> str | None:
    """The family whose recipe a `_target_` of configs/train.json names; None: it is none of ours."""
    module, _, name = str(target).removeprefix(f"{__package__}.").rpartition(".")
    return next((row.name for row in _ROWS if f"{module}:{name}" in (row.recipe, *row.former_recipes)), None)
