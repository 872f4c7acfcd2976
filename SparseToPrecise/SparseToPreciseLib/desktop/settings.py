"""Values that the extension remembers between sessions, in the application's own settings."""

from __future__ import annotations

import slicer

_DEVICE = "SparseToPrecise/device"
_RESUME = "SparseToPrecise/resumeSetup"


def device() -> str:
    """The device that the user chose for all modules, as `core.devices.choose_device` takes it."""
    return str(slicer.app.userSettings().value(_DEVICE, "auto") or "auto")


def set_device(request: str) -> None:
    """Remember a device."""
    slicer.app.userSettings().setValue(_DEVICE, request)


def resume_after_restart() -> None:
    """Let the next start show the home module, where the set-up goes on."""
    slicer.app.userSettings().setValue(_RESUME, True)
    slicer.app.userSettings().sync()


def resumes() -> bool:
    """Whether this start is one after `resume_after_restart`; true once."""
    stored = slicer.app.userSettings()
    if not stored.contains(_RESUME):
        return False
    stored.remove(_RESUME)
    return True
