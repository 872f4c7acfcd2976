"""The configs of the shipped bundles, the recipes that they describe, and what MONAI's launcher needs besides."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ..bundles import search_roots
from ..errors import InputError
from ..progress import Progress


def packaged_config(family: str, name: str) -> dict[str, Any]:
    """A file of the configs of a family's shipped bundle."""
    # The first root is the user's own folder, whose bundles may hold anything.
    for root in search_roots()[1:]:
        path = root / family / "configs" / name
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
    raise InputError(f"The shipped configs/{name} of the family {family} is missing; install the software again.")


def recipe_from(config: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Any:
    """The recipe that our own configs/train.json describes; those of other bundles may run code, so never give one.

    Parameters
    ----------
    config
        From `packaged_config`.
    overrides
        Values by MONAI's ids, instead of the file's.

    Raises
    ------
    InputError
        An override names nothing in the file, or its value is refused.
    """
    from monai.bundle import ConfigParser

    parser = ConfigParser(dict(config))
    for key, value in (overrides or {}).items():
        if key not in parser:
            raise InputError(f"The recipe has no {key}; see configs/train.json for what it has.")
        parser[key] = deepcopy(value)  # a later key may change a part of it
    try:
        return parser.get_parsed_content("recipe")
    except RuntimeError as error:  # MONAI's wrapper of what a component raised
        cause = error.__cause__
        while cause is not None and not isinstance(cause, InputError):
            cause = cause.__cause__
        if cause is None:
            raise
        raise InputError(str(cause)) from error


def printed_progress(every_seconds: float = 10.0) -> Progress:
    """Prints the message of a new stage at once and of an old one now and then; for MONAI's launcher."""
    last: dict[str, Any] = {"time": -math.inf, "stage": ""}

    def report(fraction: float, message: str) -> None:
        stage, now = message.partition(":")[0], time.monotonic()
        if stage != last["stage"] or now - last["time"] >= every_seconds:
            last.update(time=now, stage=stage)
            print(f"{fraction:4.0%} {message}", flush=True)

    return Progress(report)
