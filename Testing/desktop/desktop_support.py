"""What the desktop tests share: reasons to skip, screenshots, waiting for the event loop, errors in slots."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import time
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: What was imported before the first test; run_in_slicer.py imports this file before anything else.
LOADED_AT_START = frozenset(sys.modules)

#: Pixels that a module's panel may ask for: a wider one takes the room of the views, whatever the user does.
PANEL_WIDTH = 450

#: (type, value, traceback) of every exception that nobody caught, e.g. in a slot or an observer, in the current test.
uncaught: list[tuple] = []

needs_slicer = unittest.skipUnless(importlib.util.find_spec("qt"), "needs the 3D Slicer application")

_ABSENT = [name for name in ("torch", "monai", "skimage", "typer", "rich") if importlib.util.find_spec(name) is None]
#: For tests of what runs a model or a child process.
needs_torch = unittest.skipIf(_ABSENT, f"needs {', '.join(_ABSENT)} in Slicer's Python")


def module_names() -> list[str]:
    """The modules of this repository."""
    return sorted(path.stem for path in ROOT.glob("*/*.py") if path.stem == path.parent.name)


def screenshot(name: str, widget=None) -> Path | None:
    """Store a picture of a widget, or of the main window, as <name>.png; None where there is no main window."""
    import slicer

    widget = widget or slicer.util.mainWindow()
    if widget is None:
        return None
    slicer.app.processEvents()
    slicer.util.forceRenderAllViews()
    folder = Path(os.environ.get("DESKTOP_SCREENSHOTS") or slicer.app.temporaryPath)
    path = folder / f"{name}.png"
    if not widget.grab().save(str(path)):
        raise AssertionError(f"no screenshot could be written to {path}")
    return path


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    """Let the application work until the condition holds."""
    import slicer

    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s:g} s in vain: {what}")
        slicer.app.processEvents()
        time.sleep(0.01)


@contextlib.contextmanager
def slot_errors() -> Iterator[list[tuple]]:
    """Collect the exceptions that slots and observers raise within, instead of failing the test with them."""
    start, caught = len(uncaught), []
    yield caught
    caught.extend(uncaught[start:])
    del uncaught[start:]
