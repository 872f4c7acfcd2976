"""Writing a model bundle, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...families import family_of_recipe
from ..bundles import CARD, LAYOUT, METADATA, WEIGHTS, Bundle, open_bundle, wrong_metadata
from ..errors import InputError
from ..files import about_to_replace, ensure_writable, reason_of, temporary_prefix

if TYPE_CHECKING:
    import torch

MORE = ("configs/multi_gpu_train.json", "docs/log.csv", "docs/validation.png")
"""Files of a trained bundle besides its `LAYOUT`."""

_REFERENCE = re.compile(r"references/\d+/(image\.nrrd|soi\.nrrd|landmarks\.json)")
"""The annotated images within a template of landmarks."""


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
        Further files, path relative to the bundle: text, bytes, or something to write as JSON. A bundle with others
        than `MORE` and references is not replaced later.

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
    fresh = path.with_name(f"{temporary_prefix()}{path.name}")
    try:
        for name, content in files.items():
            _write(fresh / name, content)
        exchange(fresh, path)
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
        The folder's parent is missing or read-only, or the folder holds anything that a training of the family did
        not write.
    """
    path = Path(path).absolute()
    ensure_writable(path.with_name(f"{path.name}.bundle"))
    if not path.exists():
        return
    if not path.is_dir():
        raise InputError(f"{path} is a file; name a folder for the bundle.")
    files = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_symlink() or not file.is_dir()}
    if not files:
        return
    there = _family_of(path)
    if there is None:
        raise InputError(f"{path} exists and is no model bundle, so it is left alone; choose another output.")
    if there != family:
        raise InputError(f"{path} is a bundle of the family {there}, not {family}; choose another output.")
    foreign = sorted(file for file in files.difference(LAYOUT, MORE) if not _REFERENCE.fullmatch(file))
    if foreign:
        raise InputError(
            f"{path} holds {foreign[0]}, which no training wrote, so it is left alone; choose another output."
        )


def _family_of(folder: Path) -> str | None:
    """The family of a bundle, or of configs of ours that wait for their first training; None: it is neither."""
    try:
        if (folder / METADATA).is_file():
            return str(json.loads((folder / METADATA).read_text(encoding="utf-8-sig")).get("family", "unknown"))
        recipe = json.loads((folder / LAYOUT[2]).read_text(encoding="utf-8-sig"))["recipe"]["_target_"]
        return family_of_recipe(recipe)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _write(path: Path, content: str | bytes | Mapping[str, Any]) -> None:
    if isinstance(content, Mapping):
        content = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8"))
        os.fsync(file.fileno())


def exchange(fresh: Path, path: Path) -> None:
    """Put a complete folder in the place of another; the old one comes back when that fails."""
    about_to_replace()
    if not path.exists():
        os.replace(fresh, path)
        return
    old = path.with_name(f".old{os.getpid()}-{path.name}")
    try:
        os.replace(path, old)
        os.replace(fresh, path)
    finally:
        if not path.exists():
            os.replace(old, path)
        shutil.rmtree(old, ignore_errors=True)
