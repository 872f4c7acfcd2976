"""From files to files: compare a synthetic CT with a reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..core.files import write_together
from ..core.image_headers import IMAGE_EXTENSIONS
from ..core.images import read_image, read_labelmap
from ..core.progress import Progress
from ..mrml.files import write_volume
from ..synthesis.evaluate import Evaluation, evaluate
from .box_tighten import report_writer
from .outputs import check_outputs


def evaluate_files(
    ct: Path,
    reference: Path,
    mask: Path | None = None,
    error_map: Path | None = None,
    json: Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare two files and write the error map and the numbers, both or none.

    Raises
    ------
    InputError
        As `synthesis.evaluate`, and of the files; nothing has been written.
    """
    progress = progress or Progress()
    check_outputs([(error_map, IMAGE_EXTENSIONS), (json, (".json",))], [ct, reference, mask])
    progress(0.0, "reading")
    images = [read_image(path) for path in (ct, reference)]
    within = None if mask is None else read_labelmap(mask)
    found = evaluate(*images, within, progress=progress.part(0.1, 0.9))
    outputs: list[tuple[Path, Callable[[Path], object]]] = []
    if error_map is not None:
        outputs.append((error_map, lambda path: write_volume(found.error, path)))
    if json is not None:
        content = {"ct": str(ct), "reference": str(reference), "mask": None if mask is None else str(mask)}
        outputs.append((json, report_writer({**content, **found.as_json()})))
    progress(0.9, "writing")
    write_together(outputs)
    progress(1.0, "done")
    return found
