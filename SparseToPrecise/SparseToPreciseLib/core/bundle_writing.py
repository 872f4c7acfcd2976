"""Writing a model bundle, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bundles import CARD, LAYOUT, METADATA, WEIGHTS, Bundle, open_bundle, wrong_metadata
from .errors import InputError
from .files import ensure_writable, reason_of

if TYPE_CHECKING:
    import torch


def write_bundle(
    path: str | os.PathLike[str],
    metadata: Mapping[str, Any],
    state: Mapping[str, torch.Tensor],
    *,
    inference: Mapping[str, Any],
    training: Mapping[str, Any],
    card: str,
    more: Mapping[str, str | bytes | Mapping[str, Any]] | None = None,
) -> Bundle:
    """Write a bundle to a temporary folder beside the wanted one, then rename it.

    Parameters
    ----------
    path
        The bundle's folder. A bundle of the same family that is there, or a bundle's configs that wait for their first
        training, are replaced at the last moment; anything else is refused.
    metadata
        MONAI's keys and ours ("family", "network", "parameters"); "weights_sha256" is filled in here.
    state
        The network's state dict.
    inference, training
        configs/inference.json and configs/train.json.
    card
        The model card, Markdown.
    more
        Further files, path relative to the bundle: text, bytes, or something to write as JSON.

    Raises
    ------
    InputError
        The metadata are incomplete, `check_bundle_target`, or the disk is full.
    """
    import torch

    path = Path(path).absolute()
    buffer = io.BytesIO()
    torch.save({name: value.detach().cpu().contiguous() for name, value in state.items()}, buffer)
    weights = buffer.getvalue()
    metadata = {**metadata, "weights_sha256": hashlib.sha256(weights).hexdigest()}
    wrong = wrong_metadata(metadata)
    if wrong:
        raise InputError(f"The bundle {path.name} cannot be written: its metadata {wrong}.")
    check_bundle_target(path, metadata["family"])

    files = {METADATA: metadata, WEIGHTS: weights, CARD: card}
    files |= {LAYOUT[1]: inference, LAYOUT[2]: training, **(more or {})}
    fresh = path.with_name(f".tmp{os.getpid()}-{path.name}")
    try:
        for name, content in files.items():
            _write(fresh / name, content)
        _exchange(fresh, path)
    except OSError as error:
        raise InputError(f"Could not write the bundle {path}: {reason_of(error)}.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return open_bundle(path)


def check_bundle_target(path: str | os.PathLike[str], family: str) -> None:
    """Find out before a long training that its bundle could not be written.

    Raises
    ------
    InputError
        The folder's parent is missing or read-only, or the folder holds something else than a bundle of the family.
    """
    path = Path(path).absolute()
    ensure_writable(path.with_name(f"{path.name}.bundle"))
    if not path.exists():
        return
    if not path.is_dir():
        raise InputError(f"{path} is a file; name a folder for the bundle.")
    if (path / METADATA).is_file():
        there = _family_of(path / METADATA)
        if there not in (None, family):
            raise InputError(f"{path} is a bundle of the family {there}, not {family}; choose another output.")
    elif any(path.iterdir()) and not (path / LAYOUT[2]).is_file():
        raise InputError(f"{path} exists and is no model bundle, so it is left alone; choose another output.")


def _family_of(metadata: Path) -> str | None:
    """None where the metadata are damaged; "unknown" where they are somebody else's."""
    try:
        return str(json.loads(metadata.read_text(encoding="utf-8")).get("family", "unknown"))
    except (OSError, ValueError, AttributeError):
        return None


def _write(path: Path, content: str | bytes | Mapping[str, Any]) -> None:
    if isinstance(content, Mapping):
        content = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8"))
        os.fsync(file.fileno())


def _exchange(fresh: Path, path: Path) -> None:
    """Put a complete folder in the place of another; the old one comes back when that fails."""
    if not path.exists():
        os.replace(fresh, path)
        return
    old = path.with_name(f".old{os.getpid()}-{path.name}")
    os.replace(path, old)
    try:
        os.replace(fresh, path)
    except BaseException:
        os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)
