"""Keeping what native libraries print away from the terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from types import SimpleNamespace

log = logging.getLogger(__name__)


def _give_back(saved: list[tuple[int, int]]) -> None:
    for descriptor, copy in saved:
        os.dup2(copy, descriptor)


@contextlib.contextmanager
def quiet() -> Iterator[SimpleNamespace]:
    """Keep what VTK, ITK, Teem, niftilib and MetaIO print away from stdout and stderr; `.text` holds it afterwards.

    They write to the file descriptors from C++ (some even on success, some to stdout), and the command line
    promises one sentence on stderr and JSON lines on stdout. What was printed goes to the debug log. The desktop
    application is left alone: it has an error log for this.
    """
    printed = SimpleNamespace(text="")
    sys.stdout.flush()
    sys.stderr.flush()
    saved: list[tuple[int, int]] = []
    with contextlib.ExitStack() as stack:
        in_desktop = getattr(sys.modules.get("slicer"), "app", None) is not None
        sink = None if in_desktop else stack.enter_context(tempfile.TemporaryFile())
        try:
            for descriptor in () if sink is None else (1, 2):
                with contextlib.suppress(OSError):  # a process may have been started with a closed descriptor
                    saved.append((descriptor, os.dup(descriptor)))
                    os.dup2(sink.fileno(), descriptor)
            yield printed
        finally:
            try:
                _give_back(saved)
            except BaseException:  # a signal stopped even this, which it does only once
                _give_back(saved)
                raise
            for _, copy in saved:
                os.close(copy)
            if saved:
                sink.seek(0)
                printed.text = sink.read().decode(errors="replace")
            if printed.text:
                log.debug("%s", printed.text)
