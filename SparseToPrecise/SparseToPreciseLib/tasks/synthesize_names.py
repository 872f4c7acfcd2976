"""Which files `synthesize` reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from .inputs import expanded, stem_and_extension


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


def case_of(mr: Path, ct: Path, uncertainty: Path | None, bands: Path | None, classes: Path | None) -> CaseFiles:
    """The files of one MR, of which every output is named."""
    return CaseFiles(mr, stem_and_extension(mr)[0], ct, uncertainty, *_bands(bands, _extension(ct)), classes)


def cases_in_folders(
    mrs: Sequence[Path], ct: Path, uncertainty: Path | None, bands: Path | None, classes: Path | None
) -> list[CaseFiles]:
    """The files of every MR, of which each kind of output has a folder.

    Raises
    ------
    InputError
        A folder holds no images, an MR is given twice, or two MRs would have the same outputs.
    """
    found: dict[str, CaseFiles] = {}
    for mr in expanded(mrs):
        name, extension = stem_and_extension(mr)[0], _extension(mr)
        if name in found:
            if mr.resolve() == found[name].mr.resolve():
                raise InputError(f"{mr} is given twice; give it once.")
            raise InputError(f"{found[name].mr} and {mr} would both write {name}-CT; rename one.")
        found[name] = CaseFiles(
            mr,
            name,
            ct / f"{name}-CT{extension}",
            None if uncertainty is None else uncertainty / f"{name}-uncertainty{extension}",
            *_bands(None if bands is None else bands / name, extension),
            None if classes is None else classes / f"{name}-classes.seg.nrrd",
        )
    return list(found.values())


def _bands(prefix: Path | None, extension: str) -> tuple[Path | None, Path | None, Path | None]:
    if prefix is None:
        return None, None, None
    low, high, probability = (prefix.with_name(f"{prefix.name}-{b}{extension}") for b in ("low", "high", "probability"))
    return low, high, probability


def _extension(path: Path) -> str:
    """The image's extension, .nrrd where it is none that is known: what reads or writes it refuses it by name."""
    return stem_and_extension(path)[1] or ".nrrd"
