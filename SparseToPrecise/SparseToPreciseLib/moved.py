"""Former names of modules: old imports and bundles of earlier versions go on working, with a warning."""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED: dict[str, tuple[str, ...]] = {
    "boxes.calibration": ("boxes.corrector.confidence",),
    "boxes.corrected_boxes": ("boxes.correction",),
    "boxes.corrector_recipe": ("boxes.corrector.recipe",),
    "boxes.corrector_scenes": ("boxes.corrector.cases",),
    "boxes.corrector_training": ("boxes.corrector.trainer",),
    "boxes.frame": ("boxes.slices",),
    "boxes.looking": ("boxes.corrector.inference", "boxes.corrector.working_grid"),
    "boxes.losses": ("boxes.segmenter.losses",),
    "boxes.model": ("boxes.corrector.model",),
    "boxes.segment": ("boxes.segmenter.segment", "boxes.segmenter.model"),
    "boxes.segmenter_recipe": ("boxes.segmenter.recipe",),
    "boxes.segmenter_training": ("boxes.segmenter.trainer",),
    "boxes.slice_table": ("boxes.corrector.slice_boxes",),
    "boxes.tighten": ("boxes.corrector.tighten", "boxes.corrector.slice_boxes"),
    "boxes.training_run": ("boxes.corrector.recipe", "boxes.segmenter.recipe"),
    "cli.box_files": ("tasks.box_tighten", "tasks.box_segment", "tasks.boxes"),
    "cli.box_segment_files": ("tasks.box_segment",),
    "cli.edit_files": ("tasks.edit",),
    "cli.synthesize_files": ("tasks.synthesize",),
    "core.backbones": ("synthesis.network",),
    "core.bundle_writing": ("core.training.writing",),
    "core.frequency_heads": ("synthesis.network",),
    "core.image_files": ("core.images",),
    "core.opened_model": ("core.models",),
    "core.packaged_configs": ("core.training.recipe",),
    "core.recipe": ("core.training.recipe",),
    "core.roi_json": ("core.markups",),
    "core.training.configs": ("core.training.recipe",),
    "core.training_loop": ("core.training.loop",),
    "editing.dataset": ("editing.case_store", "editing.cases"),
    "editing.dataset_cases": ("editing.cases",),
    "editing.dataset_volumes": ("editing.cases",),
    "editing.loss": ("editing.losses",),
    "editing.segmenter": ("editing.undertrained",),
    "editing.simulated_errors": ("editing.simulation",),
    "editing.training": ("editing.trainer",),
    "editing.training_configs": ("editing.recipe", "core.training.recipe"),
    "editing.training_recipe": ("editing.recipe",),
    "editing.training_run": ("editing.recipe",),
    "landmarks.template": ("landmarks.model", "landmarks.working_grid"),
    "landmarks.training": ("landmarks.recipe", "landmarks.trainer"),
    "mrml.arrays": ("core.images",),
    "mrml.box_nodes": ("mrml.boxes_nodes",),
    "mrml.landmark_nodes": ("mrml.landmarks_nodes",),
    "mrml.roi_files": ("mrml.rois",),
    "mrml.scribble_editing": ("mrml.stroke_editing",),
    "mrml.scribble_session": ("mrml.stroke_session",),
    "synthesis.classes": ("synthesis.hu",),
    "synthesis.evaluate": ("synthesis.metrics",),
    "synthesis.training": ("synthesis.trainer",),
    "synthesis.training_cases": ("synthesis.cases",),
    "synthesis.training_run": ("synthesis.recipe",),
}
"""Former name below the package -> modules that hold its names now, the first that has one gives it."""

RENAMED: dict[str, dict[str, str]] = {
    "cli.box_files": {
        "SegmentRequest": "tasks.box_segment.SegmentBox",
        "TightenRequest": "tasks.box_tighten.TightenBox",
        "tighten_files": "tasks.task.run",
    },
    "cli.box_segment_files": {"segment_files": "tasks.task.run"},
    "cli.edit_files": {"EditRequest": "tasks.edit.Edit", "edit_files": "tasks.task.run"},
    "cli.synthesize_files": {
        "SynthesizeRequest": "tasks.synthesize.Synthesize",
        "synthesize_files": "tasks.task.run",
    },
}
"""Names of such a module that have another one now, below the package."""


class _Former(ModuleType):
    """A module of a former name; its names are looked up where they are now."""

    def __getattr__(self, name: str) -> object:
        package, _, former = self.__name__.partition(".")
        if not name.startswith("__"):
            now, _, name = RENAMED.get(former, {}).get(name, f".{name}").rpartition(".")
            for module in [now] if now else MOVED[former]:
                found = importlib.import_module(f"{package}.{module}")
                if hasattr(found, name):
                    return getattr(found, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


class MovedFinder(MetaPathFinder, Loader):
    """Answers for the names of `MOVED`, below one package."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        package, _, former = name.partition(".")
        return ModuleSpec(name, self) if package == self.package and former in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Former(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        package, _, former = module.__name__.partition(".")
        now = " and ".join(f"{package}.{name}" for name in MOVED[former])
        warnings.warn(f"{module.__name__} has moved to {now}.", DeprecationWarning, stacklevel=2)


def install(package: str) -> None:
    """Let the old names of a package be imported, once."""
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        sys.meta_path.append(MovedFinder(package))
