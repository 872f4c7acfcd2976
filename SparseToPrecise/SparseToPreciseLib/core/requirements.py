"""Which needed packages are installed, read from package metadata only: nothing is imported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement

#: Inside Slicer, PyTorch comes from the PyTorch extension, which chooses the build for the computer.
PYTORCH = "torch>=2.8"


@dataclass(frozen=True)
class RequirementState:
    """One needed package: its name, the versions that will do, and the version that is there (None: absent)."""

    name: str
    wanted: str
    installed: str | None
    satisfied: bool


def requirement_states(lines: Iterable[str]) -> list[RequirementState]:
    """Compare requirements with what is installed.

    Parameters
    ----------
    lines
        As in a requirements.txt: one requirement a line; empty lines and lines that begin with # are passed over.

    Raises
    ------
    packaging.requirements.InvalidRequirement
        A line is no requirement.
    """
    stripped = (line.strip() for line in lines)
    return [_state(Requirement(line)) for line in stripped if line and not line.startswith("#")]


def _state(requirement: Requirement) -> RequirementState:
    try:
        installed = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        installed = None
    # A pre-release counts: Slicer's PyTorch may be one.
    satisfied = installed is not None and requirement.specifier.contains(installed, prereleases=True)
    return RequirementState(requirement.name, str(requirement.specifier), installed, satisfied)
