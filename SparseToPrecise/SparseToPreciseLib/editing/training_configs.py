"""Where the recipe's files are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..core.training import configs as packaged_configs
from ..core.training.configs import printed_progress
from .model import FAMILY

__all__ = ["default_cache", "packaged_config", "printed_progress"]  # configs/train.json names the last one here


def packaged_config(name: str) -> dict[str, Any]:
    """A file of the shipped bundle's configs."""
    return packaged_configs.packaged_config(FAMILY, name)


def default_cache() -> Path:
    """Where simulated cases are kept when no folder is named."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "sparse-to-precise" / "training-editing"
