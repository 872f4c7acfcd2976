"""What the extension remembers between sessions, in the application's own settings."""

from __future__ import annotations

import slicer

_DEVICE = "SparseToPrecise/device"


def device() -> str:
    """The device that the user chose for all modules, as `core.devices.choose_device` takes it."""
    return str(slicer.app.userSettings().value(_DEVICE, "auto") or "auto")


def set_device(request: str) -> None:
    """Remember a device."""
    slicer.app.userSettings().setValue(_DEVICE, request)
