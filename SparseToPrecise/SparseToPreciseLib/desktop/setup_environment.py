"""The packages that are installed in this Slicer, and the installing of the rest; see `core.setup_states`."""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import slicer

from ..core.requirements import (
    NEVER_INSTALLED,
    PYTORCH,
    RequirementState,
    installed_versions,
    missing_requirements,
    replaced_while_imported,
    requirement_states,
)
from ..core.setup_states import EXTENSION
from . import settings

REQUIREMENTS = Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"
_PENDING = "SparseToPreciseRestartPending"


class SlicerEnvironment:
    """`Environment` and `Installer` of the running application."""

    @property
    def slicer_version(self) -> str:
        return slicer.app.applicationVersion

    def restart_pending(self) -> bool:
        # Kept by the application, so that reloading a module does not forget it.
        return bool(slicer.app.property(_PENDING))

    def has_packaging(self) -> bool:
        return importlib.util.find_spec("slicer.packaging") is not None

    def torch_is_made(self) -> bool:
        # The last PyTorch for Intel processors on macOS is 2.2.
        return not (sys.platform == "darwin" and platform.machine() == "x86_64")

    def can_install_extensions(self) -> bool:
        return hasattr(slicer.app, "extensionsManagerModel")

    def extension_installed(self) -> bool:
        return self.can_install_extensions() and slicer.app.extensionsManagerModel().isExtensionInstalled(EXTENSION)

    def extension_loaded(self) -> bool:
        return importlib.util.find_spec("PyTorchUtils") is not None

    def torch(self) -> RequirementState:
        return requirement_states([PYTORCH])[0]

    def missing_packages(self) -> list[str]:
        return missing_requirements(REQUIREMENTS.read_text(encoding="utf-8").splitlines())

    def install_extension(self) -> bool:
        # Slicer asks for itself, and installs what the extension depends on; the restart is a step of its own here.
        return bool(slicer.app.extensionsManagerModel().installExtensionFromServer(EXTENSION, False))

    def install_torch(self, versions: str) -> bool:
        import PyTorchUtils

        with _noticing_replaced_packages():
            logic = PyTorchUtils.PyTorchUtilsLogic()
            return logic.installTorch(askConfirmation=True, torchVersionRequirement=versions) is not None

    def install_packages(self, requirements: Sequence[str]) -> None:
        import slicer.packaging

        with _noticing_replaced_packages():
            slicer.packaging.pip_ensure(
                list(requirements),
                skip_packages=list(NEVER_INSTALLED),
                prompt_install=False,  # the button that was clicked says what it installs
                prompt_restart=False,  # a step of its own
                requester="Sparse to Precise",
            )

    def restart(self) -> None:
        settings.resume_after_restart()
        slicer.util.restart()


@contextlib.contextmanager
def _noticing_replaced_packages() -> Iterator[None]:
    before = installed_versions()
    try:
        yield
    finally:  # also when it failed half-way
        importlib.invalidate_caches()
        if replaced_while_imported(before, installed_versions()):
            slicer.app.setProperty(_PENDING, True)


@contextlib.contextmanager
def captured_output(log: Callable[[str], None]) -> Iterator[None]:
    """Hand over what is printed within, which is how installers tell what they do; it is printed as well."""
    with contextlib.redirect_stdout(_Tee(sys.stdout, log)):
        yield


class _Tee:
    def __init__(self, stream, log: Callable[[str], None]) -> None:
        self._stream, self._log = stream, log

    def write(self, text: str) -> int:
        self._log(text)
        self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()
