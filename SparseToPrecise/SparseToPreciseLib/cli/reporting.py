"""How a command tells of its progress: a bar for people, JSON lines for the desktop, or nothing."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Any

from ..core.errors import InputError
from ..core.progress import Progress
from ..core.stopping import lost_stop
from .streams import give_up


class ProgressMode(str, Enum):
    """Values of --progress."""

    BAR = "bar"
    JSON = "json"
    NONE = "none"


class Reporter:
    """Output of a command on stdout.

    Attributes
    ----------
    mode
        In JSON mode every line on stdout is an object: {"fraction", "message"} on the way, and as the last line
        {"fraction": 1, "message", "result"} or {"error": the sentence that stderr has, too}.
    progress
        To hand to the work.
    """

    def __init__(self, mode: ProgressMode, progress: Progress | None = None) -> None:
        self.mode = mode
        self.progress = progress or Progress(self._print_step, lost_stop)
        self._more: dict[str, Any] = {}

    def add_to_next_step(self, **more: Any) -> None:
        """In JSON mode the next line about the progress carries these fields, too."""
        self._more |= more

    def _print_step(self, fraction: float, message: str) -> None:
        _print_json({"fraction": round(fraction, 4), "message": message, **self._more})
        self._more = {}

    def finish(self, result: dict[str, Any], *, kept: bool = True) -> None:
        """Say in JSON mode what came out; where files hold it (`kept`), it does not matter whether anybody reads."""
        if self.mode is ProgressMode.JSON:
            with _lost(kept):
                _print_json({"fraction": 1.0, "message": "done", "result": result})

    def show(self, *parts: Any, kept: bool = True) -> None:
        """Print tables and sentences for people, as `finish`; nothing in JSON mode."""
        if self.mode is not ProgressMode.JSON:
            from rich.console import Console

            console = Console(highlight=False, markup=False)
            with _lost(kept):
                for part in parts:
                    console.print(part, soft_wrap=isinstance(part, str))
                sys.stdout.flush()


_PACKAGES = {"torch": "PyTorch", "monai": "MONAI"}


@contextlib.contextmanager
def missing_packages_named() -> Iterator[None]:
    """Within it, a missing package of those that only models need is the user's to install, not a fault."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES:
            raise
        raise InputError(
            f"{_PACKAGES[package]} is not installed, which models need; install it (pip install {package}); "
            "only edits with --model image-aware-warp do without."
        ) from error


@contextlib.contextmanager
def reporting(mode: ProgressMode) -> Iterator[Reporter]:
    """Report the progress of what happens within."""
    if mode is ProgressMode.JSON:
        try:
            with missing_packages_named():
                yield Reporter(mode)
        except Exception as error:
            sentence = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            _print_json({"error": " ".join(sentence.split())})
            raise
    elif mode is ProgressMode.BAR and sys.stdout.isatty():
        with _bar() as progress:
            yield Reporter(mode, progress)
    else:
        yield Reporter(mode, Progress(None, lost_stop))


def without_nan(row: dict[str, float]) -> dict[str, float | None]:
    """Numbers for JSON, which has no NaN."""
    return {name: None if math.isnan(value) else value for name, value in row.items()}


@contextlib.contextmanager
def _lost(kept: bool) -> Iterator[None]:
    """Within it, what is printed may be lost, when there are files that hold it."""
    try:
        yield
    except OSError:
        give_up(sys.stdout)
        if not kept:
            raise


def _print_json(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)  # in ASCII, which every encoding has


@contextlib.contextmanager
def _bar() -> Iterator[Progress]:
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Bar(*columns, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield Progress(
            lambda fraction, message: bar.update(task, completed=fraction, description=message), lost_stop
        )
