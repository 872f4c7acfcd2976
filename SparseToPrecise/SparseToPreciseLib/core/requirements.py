"""Which needed packages are installed, read from package metadata only: nothing is imported."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

#: Inside Slicer, PyTorch comes from the PyTorch extension, which chooses the build for the computer.
PYTORCH = "torch>=2.8"

#: Of Slicer or its PyTorch extension; replacing them breaks other modules, so pip never gets to.
NEVER_INSTALLED = ("SimpleITK", "numpy", "torch")


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
    return [_state(requirement) for requirement in _parsed(lines)]


def missing_requirements(lines: Iterable[str], skip: Collection[str] = NEVER_INSTALLED) -> list[str]:
    """The packages to install so that the requirements can be imported.

    Parameters
    ----------
    lines
        As for `requirement_states`.
    skip
        Packages that are none of ours to install.

    Returns
    -------
    list of str
        Requirements that are absent or have another version, and packages that those which are there need and that
        are absent: slicer.packaging goes on when one of these could not be installed, and takes the rest for complete.
    """
    skipped = {canonicalize_name(name) for name in skip}
    waiting = [(requirement, True) for requirement in _parsed(lines)]
    missing, seen = [], set()
    for requirement, wanted_by_us in waiting:  # grows while it is walked along
        name = canonicalize_name(requirement.name)
        if name in seen | skipped or (requirement.marker is not None and not requirement.marker.evaluate()):
            continue
        seen.add(name)
        state = _state(requirement)
        # Other packages' opinions on versions differ among each other; only ours have to be met.
        if state.installed is None or (wanted_by_us and not state.satisfied):
            missing.append(f"{requirement.name}{requirement.specifier}")
        else:
            waiting += [(needed, False) for needed in _needed_by(name)]
    return missing


def _needed_by(name: str) -> list[Requirement]:
    needed = []
    for line in metadata.requires(name) or []:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # in somebody else's package
            continue
        if requirement.marker is None or "extra" not in str(requirement.marker):
            needed.append(requirement)
    return needed


def installed_versions() -> dict[str, str]:
    """Version of every installed package by its canonical name."""
    found = {}
    for package in metadata.distributions():
        if package.metadata["Name"]:  # what an interrupted uninstallation leaves has none
            found.setdefault(canonicalize_name(package.metadata["Name"]), package.version)
    return found


def replaced_while_imported(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Packages that another version came for, or that went, while this process has them imported.

    Parameters
    ----------
    before, after
        `installed_versions` before and after an installation.
    """
    imported = {
        canonicalize_name(package)
        for module, packages in metadata.packages_distributions().items()
        if module in sys.modules
        for package in packages
    }
    return sorted(name for name in imported if name in before and before[name] != after.get(name))


def _parsed(lines: Iterable[str]) -> list[Requirement]:
    stripped = (line.strip() for line in lines)
    return [Requirement(line) for line in stripped if line and not line.startswith("#")]


def _state(requirement: Requirement) -> RequirementState:
    try:
        installed = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        installed = None
    # A pre-release counts: Slicer's PyTorch may be one.
    satisfied = installed is not None and requirement.specifier.contains(installed, prereleases=True)
    return RequirementState(requirement.name, str(requirement.specifier), installed, satisfied)
