"""Where the recipe's files are, and what MONAI's launcher needs of us besides them."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

from ..core.bundles import search_roots
from ..core.errors import InputError
from ..core.progress import Progress
from .model import FAMILY


def packaged_config(name: str) -> dict[str, Any]:
    """A file of the shipped bundle's configs."""
    # The first root is the user's own folder, whose bundles may hold anything.
    for root in search_roots()[1:]:
        path = root / FAMILY / "configs" / name
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
    raise InputError(f"The shipped configs/{name} of the family {FAMILY} is missing; install the software again.")


def default_cache() -> Path:
    """Where simulated cases are kept when no folder is named."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "sparse-to-precise" / "training-editing"


def printed_progress(every_seconds: float = 10.0) -> Progress:
    """Prints the message of a new stage at once and of an old one now and then; for MONAI's launcher."""
    last: dict[str, Any] = {"time": -math.inf, "stage": ""}

    def report(fraction: float, message: str) -> None:
        stage, now = message.partition(":")[0], time.monotonic()
        if stage != last["stage"] or now - last["time"] >= every_seconds:
            last.update(time=now, stage=stage)
            print(f"{fraction:4.0%} {message}", flush=True)

    return Progress(report)
