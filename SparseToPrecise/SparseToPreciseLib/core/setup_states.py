"""First-run set-up: what is missing, the one next step, and what is done when the user asks for it.

Kept readable for the Python of older Slicers, so that they, too, get a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from .errors import InputError
from .requirements import RequirementState

#: The first Slicer with slicer.packaging.
MINIMUM_SLICER = "5.12"
#: As the Extensions Index names it.
EXTENSION = "PyTorch"


class SetupState(Enum):
    """How far the set-up has come; one at a time, the first that holds, in this order."""

    RESTART_NEEDED = "restart needed"
    SLICER_TOO_OLD = "Slicer too old"
    TORCH_NOT_MADE = "no PyTorch for this computer"
    EXTENSION_MISSING = "PyTorch extension missing"
    TORCH_MISSING = "PyTorch missing"
    PACKAGES_MISSING = "Python packages missing"
    READY = "ready"


class Environment(Protocol):
    """Questions of the set-up to the application. All answers are quick and import nothing that is installed."""

    @property
    def slicer_version(self) -> str: ...

    def restart_pending(self) -> bool:
        """Something was installed that only the next start brings up."""

    def has_packaging(self) -> bool:
        """There is slicer.packaging."""

    def torch_is_made(self) -> bool:
        """There are builds of the needed PyTorch for this computer."""

    def can_install_extensions(self) -> bool:
        """This build of Slicer has an Extensions Manager."""

    def extension_installed(self) -> bool:
        """The PyTorch extension is installed, whether loaded or not."""

    def extension_loaded(self) -> bool:
        """The PyTorch extension can be used."""

    def torch(self) -> RequirementState:
        """The needed and the installed PyTorch."""

    def missing_packages(self) -> Sequence[str]:
        """The other requirements that are not met."""


class Installer(Protocol):
    """Actions of the application for the set-up. Each call blocks, and raises when it fails."""

    def install_extension(self) -> bool:
        """False: the user declined, or the server did not give it."""

    def install_torch(self, versions: str) -> bool:
        """False: the user declined."""

    def install_packages(self, requirements: Sequence[str]) -> None: ...

    def restart(self) -> None: ...


@dataclass(frozen=True)
class SetupStep:
    """Where the set-up stands and the step that comes next.

    Attributes
    ----------
    sentence
        For the user: what is missing and what the button does.
    button
        Its text; empty where the user has to do something elsewhere, and when everything is ready.
    torch
        The needed and the installed PyTorch.
    missing
        Requirements besides PyTorch.
    """

    state: SetupState
    sentence: str
    button: str
    torch: RequirementState
    missing: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        return self.state is SetupState.READY


def next_step(environment: Environment) -> SetupStep:
    """Look what is there and say what comes next."""
    torch, missing = environment.torch(), tuple(environment.missing_packages())
    state = _state(environment, torch, missing)
    names = ", ".join(missing)
    wanted = f"PyTorch {torch.wanted}"
    too_old = f"PyTorch {torch.installed} is too old: {wanted} is needed." if torch.installed else ""
    sentence, button = {
        SetupState.RESTART_NEEDED: (
            "Slicer must be restarted before what was installed can be used; save your data first.",
            "Restart Slicer",
        ),
        SetupState.SLICER_TOO_OLD: (
            f"This is Slicer {environment.slicer_version}, which cannot install what the models need; "
            f"get Slicer {MINIMUM_SLICER} or newer from download.slicer.org.",
            "",
        ),
        SetupState.TORCH_NOT_MADE: (
            f"The models need {wanted}, which is not made for this computer (Intel builds for macOS).",
            "",
        ),
        SetupState.EXTENSION_MISSING: (
            f"The models need Slicer's {EXTENSION} extension, which brings the {wanted} that fits this computer.",
            f"Install the {EXTENSION} extension",
        )
        if environment.can_install_extensions()
        else (
            f"The models need {wanted}, and this build of Slicer has no Extensions Manager to get the {EXTENSION} "
            "extension from; install torch with pip in Slicer's Python.",
            "",
        ),
        SetupState.TORCH_MISSING: (
            f"{too_old or 'PyTorch is not installed, which the models need.'} "
            "The extension downloads the build for this computer; that is large and takes minutes.",
            "Update PyTorch" if torch.installed else "Install PyTorch",
        ),
        SetupState.PACKAGES_MISSING: (
            f"Not installed, or too old: {names}. They are downloaded from PyPI into Slicer's Python.",
            "Install the Python packages",
        ),
        SetupState.READY: ("Everything is installed.", ""),
    }[state]
    return SetupStep(state, sentence, button, torch, missing)


def _state(environment: Environment, torch: RequirementState, missing: Sequence[str]) -> SetupState:
    if environment.restart_pending():
        return SetupState.RESTART_NEEDED
    if torch.satisfied and not missing:
        return SetupState.READY
    if not environment.has_packaging():
        return SetupState.SLICER_TOO_OLD
    if torch.satisfied:
        return SetupState.PACKAGES_MISSING
    if not environment.torch_is_made():
        return SetupState.TORCH_NOT_MADE
    if environment.extension_loaded():
        return SetupState.TORCH_MISSING
    if environment.extension_installed():  # as after its installation: only a start loads modules
        return SetupState.RESTART_NEEDED
    return SetupState.EXTENSION_MISSING


def take(step: SetupStep, installer: Installer) -> None:
    """Do what the step's button says.

    Raises
    ------
    InputError
        The user declined, or the extension could not be had.
    Exception
        Whatever the installation fails with.
    """
    if step.state is SetupState.RESTART_NEEDED:
        installer.restart()
    elif step.state is SetupState.EXTENSION_MISSING:
        if not installer.install_extension():
            raise InputError(
                f"The {EXTENSION} extension was not installed; try again, or install it in the Extensions Manager."
            )
    elif step.state is SetupState.TORCH_MISSING:
        if not installer.install_torch(step.torch.wanted):
            raise InputError("PyTorch was not installed; nothing was changed.")
    elif step.state is SetupState.PACKAGES_MISSING:
        installer.install_packages(step.missing)
