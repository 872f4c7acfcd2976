"""A user's cases in MONAI's datalist form: {"training": [{"image": ..., "label": ...}], "validation": [...]}."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.image_files import read_image, read_labelmap
from ..core.volume import Volume

Pair = tuple[Path, Path]


def read_datalist(path: Path) -> dict[str, Iterator[tuple[Volume, Volume]]]:
    """The cases of a datalist, read one by one as they are needed.

    Parameters
    ----------
    path
        The JSON file; paths in it are relative to its folder. "validation" may be absent or empty.

    Returns
    -------
    dict
        "cases", and "validation_cases" where there are some: (image, labelmap) pairs.

    Raises
    ------
    InputError
        Missing or garbled file, no training case, or a named file that is not there; that a file cannot be read
        shows when its turn comes.
    """
    content = _content(path)
    if not content.get("training"):
        raise InputError(f'{path} lists no cases under "training"; add {{"image": FILE, "label": FILE}} to that list.')
    found = {"cases": _pairs(path, content, "training")}
    if content.get("validation"):
        found["validation_cases"] = _pairs(path, content, "validation")
    return {name: _volumes(pairs) for name, pairs in found.items()}


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The datalist {path} cannot be read ({error.strerror}); check the path.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"The datalist {path} is no JSON ({error}); write one as MONAI does.") from error
    if not isinstance(content, dict):
        raise InputError(
            f'The datalist {path} is no JSON object with a list "training"; write it as MONAI\'s datalists.'
        )
    return content


def _pairs(path: Path, content: dict[str, Any], part: str) -> list[Pair]:
    entries = content[part]
    if not isinstance(entries, list):
        raise InputError(f'"{part}" in {path} is no list; write it as [{{"image": FILE, "label": FILE}}, ...].')
    pairs = []
    for number, entry in enumerate(entries, 1):
        names = [entry.get(key) for key in ("image", "label")] if isinstance(entry, dict) else []
        if len(names) != 2 or not all(isinstance(name, str) and name for name in names):
            raise InputError(f'Case {number} of "{part}" in {path} names not one "image" and one "label"; add them.')
        image, label = (path.parent / name for name in names)
        for file in (image, label):
            if not file.is_file():
                raise InputError(f'{file} of case {number} of "{part}" in {path} does not exist; check the path.')
        pairs.append((image, label))
    return pairs


def _volumes(pairs: list[Pair]) -> Iterator[tuple[Volume, Volume]]:
    for image, label in pairs:
        yield read_image(image), read_labelmap(label)
