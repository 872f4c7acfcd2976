"""Messages of errors to the user: one sentence, and the rest behind "Details"."""

from __future__ import annotations

import logging
import subprocess
import traceback

from ..core.errors import Cancelled, InputError

_PACKAGES = {"torch": "PyTorch", "monai": "MONAI", "skimage": "scikit-image"}


def sentence(error: BaseException) -> tuple[str, str]:
    """(one sentence, details) for an exception; the details are empty where the sentence says it all."""
    if isinstance(error, Cancelled):
        return "Cancelled; nothing was changed.", ""
    if isinstance(error, InputError):
        return " ".join(str(error).split()), ""
    details = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        name = _PACKAGES.get(package, package)
        return f"{name} is not installed; Sparse to Precise installs what is missing.", details
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return "The memory did not suffice; close other data, or choose the CPU in Sparse to Precise.", details
    if isinstance(error, subprocess.CalledProcessError):
        return f"The installation failed (code {error.returncode}); the details have what it wrote.", details
    what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": .")
    return f"Something went wrong that should not have ({what}).", details


def show(error: BaseException, title: str) -> None:
    """Tell the user of an error in a window; in testing mode and without a main window it is only logged."""
    import slicer

    if isinstance(error, Cancelled):
        return
    text, details = sentence(error)
    if details:
        logging.debug(details)
    more = {"detailedText": details} if details else {}
    slicer.util.errorDisplay(text, windowTitle=title, **more)
