"""Versions of the software that computed something, for reports and model cards."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from .. import __version__

_COMPUTING = ("numpy", "scipy", "SimpleITK", "slicer-core", "torch", "monai")


def package_versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of the packages that are installed; Slicer brings some without their metadata, which are left out."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def software() -> dict[str, str]:
    """Versions of all that computes a result, by name: this software, Python, the packages."""
    own = {"sparse-to-precise": __version__, "python": platform.python_version()}
    return own | package_versions(_COMPUTING)
