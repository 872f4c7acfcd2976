"""The task of `sparse-to-precise planes fill`: from a few painted planes to the volume."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ..core.errors import InputError, in_digits
from ..core.progress import Progress, timed
from .outputs import rounded, table, written
from .planes import PaintedFile, PlaneFiles, PlanesOutcome, PlanesTask, Segments, Slices
from .task import ImageFile, Option


@dataclass(frozen=True, kw_only=True)
class FillPlanes(PlanesTask):
    """Fill a volume from a few painted planes: slices, or planes of any direction.

    What is not painted on a plane is background there; off the planes nothing is known. Not one voxel of the planes
    changes. A voxel gets one segment; segments that are not to be filled keep all of theirs. Needs no model and no
    training. OUTPUT as .seg.nrrd keeps names, colours and terminology; a labelmap (.nrrd, .nii.gz, .mha) keeps the
    values.

    Examples
    --------
    >>> task = FillPlanes(
    ...     image=Path("image.nrrd"), segmentation=Path("painted.seg.nrrd"), output=Path("filled.seg.nrrd")
    ... )
    >>> task.run().report["changed_on_planes"]
    0
    """

    image: ImageFile
    segmentation: PaintedFile
    output: Annotated[Path, Option(help="Where to write; its extension says the format.", names=("--output", "-o"))]
    segment: Segments = ()
    planes: PlaneFiles = ()
    slices: Slices = "auto"
    picture: Annotated[
        Path | None, Option(help="Draw the paint and what was filled, on planes and across.", metavar="PNG")
    ] = None
    report: Annotated[
        Path | None, Option(help="Write planes, volumes, weights of shape and image, and timings.", metavar="JSON")
    ] = None

    def run(self, progress: Progress | None = None) -> FillOutcome:
        """Read, fill, write."""
        from ..mrml.files import SEGMENTATION_EXTENSIONS, write_segmentation
        from ..mrml.headless import scene
        from ..mrml.planes_nodes import show_filled
        from ..pictures.planes import draw_filled
        from ..planes.fill import fill

        progress = progress or Progress()
        self.check(SEGMENTATION_EXTENSIONS, (self.picture, (".png",)), replaced=True)
        timings: dict[str, float] = {}
        with timed(timings, "read"):
            progress(0.0, "reading")
            inputs = self.read()
        try:
            with timed(timings, "fill"):
                result = fill(
                    inputs.image,
                    inputs.painted.labels,
                    inputs.planes,
                    labels=inputs.painted.wanted,
                    slices=self.slices,
                    progress=progress.part(0.1, 0.85),
                )
            outcome = FillOutcome(task=self, painted=inputs.painted, result=result, notes=inputs.notes)
            show_filled(result, inputs.painted, inputs.node)
            outcome.write(
                progress,
                timings,
                self.report,
                (self.output, lambda path: write_segmentation(inputs.node, path)),
                (self.picture, lambda path: draw_filled(path, inputs.image, inputs.painted.labels, result)),
            )
        except InputError as error:
            told = str(error)
            raise InputError(told if str(self.segmentation) in told else f"{self.segmentation}: {told}") from error
        finally:
            scene().RemoveNode(inputs.node)
        return outcome


@dataclass(frozen=True, kw_only=True)
class FillOutcome(PlanesOutcome):
    """Outcome of filling."""

    def segments(self) -> list[dict[str, Any]]:
        """Each filled segment with its volumes, mm^3, and the weights that shape and image had."""
        voxel = self.result.segmentation.grid.voxel_volume_mm3
        before, after = self.painted.labels.array, self.result.segmentation.array
        on_planes = self.result.annotated
        return [
            {
                "name": self.painted.name_of(label),
                "painted_voxels": int((before[on_planes] == label).sum()),
                "volume_mm3": float((after == label).sum() * voxel),
                "weights": [round(float(weight), 4) for weight in weights],
            }
            for label, weights in self.result.weights.items()
        ]

    def changed_on_planes(self) -> int:
        """Voxels of the planes that differ after filling, counted anew."""
        on_planes = self.result.annotated
        return int((self.painted.labels.array[on_planes] != self.result.segmentation.array[on_planes]).sum())

    def as_json(self) -> dict[str, Any]:
        return {
            **self.common_json(),
            "segments": self.segments(),
            "changed_on_planes": self.changed_on_planes(),
            "fill_timings": rounded(self.result.timings),
        }

    def shown(self) -> list[Any]:
        rows = table(
            f"Filled from {len(self.result.planes)} planes",
            ["segment"],
            ["painted\n(voxels)", "filled\n(mm³)"],
            fixed=True,
        )
        for segment in self.segments():
            rows.add_row(segment["name"], f"{segment['painted_voxels']}", in_digits(segment["volume_mm3"]))
        kept = f"Voxels of the planes that changed: {self.changed_on_planes()}."
        return [rows, kept, *self.warnings, *written(self.task.output)]
