"""The task of `sparse-to-precise planes suggest`: which plane to paint next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..core.errors import InputError, decimals_on, in_digits
from ..core.progress import Progress, timed
from .outputs import table, written
from .planes import PaintedFile, PlaneFiles, PlanesOutcome, PlanesTask, Segments, Slices, plane_as_json
from .task import ImageFile, Option

if TYPE_CHECKING:
    from ..planes.suggest import Suggestion


@dataclass(frozen=True, kw_only=True)
class SuggestPlane(PlanesTask):
    """Suggest the plane to paint next: through likely object, far from the painted planes, where it is uncertain.

    OUTPUT is a markups plane as large as the segmentation. Paint on it, then name it with --planes beside the others;
    a slice is found by itself.

    Examples
    --------
    >>> task = SuggestPlane(
    ...     image=Path("image.nrrd"), segmentation=Path("painted.seg.nrrd"), output=Path("next.mrk.json")
    ... )
    >>> task.run().report["suggested"]["name"][:6]
    'slice '
    """

    image: ImageFile
    segmentation: PaintedFile
    output: Annotated[
        Path, Option(help="Where to write the plane.", names=("--output", "-o"), metavar="PLANE.mrk.json")
    ]
    segment: Segments = ()
    planes: PlaneFiles = ()
    slices: Slices = "auto"
    oblique: Annotated[bool, Option(help="Also try planes that are no slices.")] = False
    report: Annotated[Path | None, Option(help="Write the planes, and what the new one gains.", metavar="JSON")] = None

    def run(self, progress: Progress | None = None) -> SuggestOutcome:
        """Read, compare planes, write."""
        from ..core.markups import ROI_EXTENSION
        from ..core.resampling import world_corners
        from ..mrml.headless import scene
        from ..mrml.planes import plane_to_node, write_plane
        from ..planes.suggest import suggest_plane

        progress = progress or Progress()
        self.check((ROI_EXTENSION,), replaced=False)
        timings: dict[str, float] = {}
        with timed(timings, "read"):
            progress(0.0, "reading")
            inputs = self.read()
        scene().RemoveNode(inputs.node)
        labels = inputs.painted.labels
        try:
            with timed(timings, "suggest"):
                suggestion = suggest_plane(
                    inputs.image,
                    labels,
                    inputs.planes,
                    labels=inputs.painted.wanted,
                    slices=self.slices,
                    oblique=self.oblique,
                    progress=progress.part(0.1, 0.9),
                )
        except InputError as error:
            raise InputError(f"{self.segmentation}: {error}") from error
        outcome = SuggestOutcome(
            task=self, painted=inputs.painted, result=suggestion.result, notes=inputs.notes, suggestion=suggestion
        )
        across = suggestion.plane.to_plane(world_corners(labels.grid))[:, :2]
        node = plane_to_node(suggestion.plane, tuple(2 * abs(across).max(axis=0) + float(labels.spacing.max())))
        try:
            outcome.write(progress, timings, self.report, (self.output, lambda path: write_plane(node, path)))
        finally:
            scene().RemoveNode(node)
        return outcome


@dataclass(frozen=True, kw_only=True)
class SuggestOutcome(PlanesOutcome):
    """Outcome of suggesting.

    Attributes
    ----------
    suggestion
        What the library says.
    """

    suggestion: Suggestion

    def as_json(self) -> dict[str, Any]:
        found = self.suggestion
        suggested = {**plane_as_json(found.plane), "gain": round(found.gain, 4), "gap_mm": round(found.gap_mm, 4)}
        return {**self.common_json(), "suggested": suggested}

    def shown(self) -> list[Any]:
        plane, gap = self.suggestion.plane, self.suggestion.gap_mm
        decimals = decimals_on(float(self.painted.labels.spacing.min()), 1)
        rows = table(f"To paint next: {plane.name}", [""], ["R", "A", "S"], fixed=True)
        rows.add_row("centre (mm)", *(f"{value:.{decimals}f}" for value in plane.center))
        rows.add_row("normal", *(f"{value:.3f}" for value in plane.normal))
        reason = f"It passes up to {in_digits(gap, 1)} mm from the {len(self.result.planes)} painted planes."
        return [rows, reason, *self.warnings, *written(self.task.output)]
