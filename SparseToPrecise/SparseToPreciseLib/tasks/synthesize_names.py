"""Which files `synthesize` reads and writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import InputError
from ..core.image_headers import IMAGE_EXTENSIONS
from .landmarks_targets import expanded

if TYPE_CHECKING:
    from .synthesize import SynthesizeRequest


@dataclass(frozen=True)
class CaseFiles:
    """The files of one MR; None is not wanted."""

    mr: Path
    name: str
    ct: Path
    uncertainty: Path | None = None
    low: Path | None = None
    high: Path | None = None
    probability: Path | None = None
    classes: Path | None = None

    @property
    def volumes(self) -> list[Path | None]:
        """Outputs that are images."""
        return [self.ct, self.uncertainty, self.low, self.high, self.probability]


def is_batch(request: SynthesizeRequest) -> bool:
    """Whether the output is a folder: several MRs, a folder of MRs, or an output that is no image's name."""
    several = len(request.mrs) > 1 or any(path.is_dir() for path in request.mrs)
    return several or request.output.is_dir() or not request.output.suffix


def case_files(request: SynthesizeRequest) -> list[CaseFiles]:
    """The files of every MR.

    Raises
    ------
    InputError
        A folder holds no images, an MR is given twice, or two MRs would have the same outputs.
    """
    if not is_batch(request):
        (mr,) = request.mrs
        extension = _extension(request.output)
        low, high, probability = _bands(request.bands, extension)
        return [CaseFiles(mr, _stem(mr), request.output, request.uncertainty, low, high, probability, request.classes)]
    found: dict[str, CaseFiles] = {}
    for mr in expanded(request.mrs):
        name, extension = _stem(mr), _extension(mr)
        if name in found:
            if mr.resolve() == found[name].mr.resolve():
                raise InputError(f"{mr} is given twice; give it once.")
            raise InputError(f"{found[name].mr} and {mr} would both write {name}-CT; rename one.")
        low, high, probability = _bands(None if request.bands is None else request.bands / name, extension)
        found[name] = CaseFiles(
            mr,
            name,
            request.output / f"{name}-CT{extension}",
            None if request.uncertainty is None else request.uncertainty / f"{name}-uncertainty{extension}",
            low,
            high,
            probability,
            None if request.classes is None else request.classes / f"{name}-classes.seg.nrrd",
        )
    return list(found.values())


def _bands(prefix: Path | None, extension: str) -> tuple[Path | None, Path | None, Path | None]:
    if prefix is None:
        return None, None, None
    low, high, probability = (prefix.with_name(f"{prefix.name}-{b}{extension}") for b in ("low", "high", "probability"))
    return low, high, probability


def _extension(path: Path) -> str:
    """The image's extension, .nrrd where it is none that is known: what reads or writes it refuses it by name."""
    fitting = [extension for extension in IMAGE_EXTENSIONS if path.name.lower().endswith(extension)]
    return max(fitting, key=len) if fitting else ".nrrd"


def _stem(path: Path) -> str:
    extension = _extension(path)
    known = path.name.lower().endswith(extension)
    return path.name[: -len(extension)] if known and len(path.name) > len(extension) else path.name
