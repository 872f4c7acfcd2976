"""A user's cases in MONAI's datalist form: {"training": [{"image": ..., "label": ...}], "validation": [...]}."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..core.errors import InputError
from ..core.images import read_image, read_labelmap
from ..core.volume import Volume

T = TypeVar("T")
_NAMES = {"training": "cases", "validation": "validation_cases"}


class NothingToLearn(InputError):
    """The label file of a case is empty: where there are others, the case is left out.

    Attributes
    ----------
    left_out
        The sentence on a case that was left out.
    """

    def __init__(self, entry: Entry, file: Path, why: str) -> None:
        super().__init__(f"{file} of {entry.where} is empty: {why}; leave the case out.")
        self.left_out = f"{file} of {entry.where} is empty; the case was left out."


class FileCases:
    """Cases of a datalist, read one by one when their turn comes.

    Parameters
    ----------
    entries
        Where they stand, with what `read` needs of them.
    read
        Gives a case; those for which it raises `NothingToLearn` are left out, unless there is no other.

    Attributes
    ----------
    left_out
        Sentences on the cases that were left out, as far as it was read.
    """

    def __init__(self, entries: Sequence[T], read: Callable[[T], tuple]) -> None:
        self._entries, self._read = entries, read
        self.left_out: list[str] = []

    def __iter__(self) -> Iterator[tuple]:
        self.left_out = []
        for entry in self._entries:
            try:
                case = self._read(entry)
            except NothingToLearn as error:
                self.left_out.append(error.left_out)
                if len(self.left_out) == len(self._entries):
                    raise
                continue
            yield case


def read_datalist(path: Path) -> dict[str, FileCases]:
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
    cases = {
        part: [(entry, entry.file("image"), entry.file("label")) for entry in entries]
        for part, entries in read_entries(path).items()
    }
    return {_NAMES[part]: FileCases(found, _volumes) for part, found in cases.items()}


@dataclass(frozen=True)
class Entry:
    """One case of a datalist.

    Attributes
    ----------
    datalist
        The JSON file.
    where
        Which case it is, in words.
    content
        What stands there.
    """

    datalist: Path
    where: str
    content: dict[str, Any]

    def file(self, key: str) -> Path:
        """The file that it names under a key.

        Raises
        ------
        InputError
            It names none, or one that is not there.
        """
        name = self.content.get(key)
        if not isinstance(name, str) or not name:
            raise self.wrong('names not one "image" and one "label"; add them')
        return self.existing(name)

    def existing(self, name: str) -> Path:
        """A file relative to the datalist's folder, which must be there."""
        file = self.datalist.parent / name
        if not file.is_file():
            raise InputError(f"{file} of {self.where} does not exist; check the path.")
        return file

    def wrong(self, what: str) -> InputError:
        """To raise, with what is wrong with this case."""
        return InputError(f"{self.where[0].upper()}{self.where[1:]} {what}.")


def read_entries(path: Path) -> dict[str, list[Entry]]:
    """The entries of "training", and of "validation" where there are some.

    Raises
    ------
    InputError
        Missing or garbled file, or no training case.
    """
    content = _content(path)
    if not content.get("training"):
        raise InputError(f'{path} lists no cases under "training"; add {{"image": FILE, "label": FILE}} to that list.')
    parts: dict[str, list[Entry]] = {}
    for part in filter(content.get, _NAMES):
        if not isinstance(content[part], list):
            raise InputError(f'"{part}" in {path} is no list; write it as [{{"image": FILE, "label": FILE}}, ...].')
        named = [(f'case {number} of "{part}" in {path}', one) for number, one in enumerate(content[part], 1)]
        parts[part] = [Entry(path, where, one if isinstance(one, dict) else {}) for where, one in named]
    return parts


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin with a byte-order mark
    except OSError as error:
        raise InputError(f"The datalist {path} cannot be read ({error.strerror}); check the path.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"The datalist {path} is no JSON ({error}); write one as MONAI does.") from error
    if not isinstance(content, dict):
        raise InputError(
            f'The datalist {path} is no JSON object with a list "training"; write it as MONAI\'s datalists.'
        )
    return content


def _volumes(case: tuple[Entry, Path, Path]) -> tuple[Volume, Volume]:
    entry, image_file, label_file = case
    image, labelmap = read_image(image_file), read_labelmap(label_file)
    if not labelmap.array.any():
        raise NothingToLearn(entry, label_file, f"it has no segment with a boundary inside the image {image.name}")
    return image, labelmap
