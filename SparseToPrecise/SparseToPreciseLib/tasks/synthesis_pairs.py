"""A user's pairs of MR and CT for training, as files in a datalist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError, as_reason
from ..core.images import read_image
from ..core.volume import Volume
from .datalist import read_entries


class PairFiles:
    """(MR, CT) pairs, read one by one when their turn comes.

    Parameters
    ----------
    files
        Paths of MR and CT.
    register
        Bring each CT onto its MR first; pairs that then do not fit are left out.

    Attributes
    ----------
    found
        What the registration of each pair came to, in the order of the pairs: mr, used, and its quality.
    """

    def __init__(self, files: list[tuple[Path, Path]], register: bool) -> None:
        self._files = files
        self._register = register
        self.found: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[tuple[Volume, Volume]]:
        for mr_file, ct_file in self._files:
            mr, ct = read_image(mr_file), read_image(ct_file)
            if not self._register:
                yield mr, ct
                continue
            from ..synthesis.pairs import quality_as_json, register_pair

            moved, quality = register_pair(mr, ct, beyond=np.nan)
            self.found.append({"mr": str(mr_file), "used": quality.good, **quality_as_json(quality)})
            if quality.good:
                yield mr, moved
        if self._register and not any(one["used"] for one in self.found):
            raise InputError(f"No pair could be registered: {as_reason(self.found[0]['sentence'])}.")


def read_pairs(datalist: Path, register: bool) -> dict[str, PairFiles]:
    """The pairs of a datalist: "image" is the MR and "label" the CT.

    Returns
    -------
    dict
        "cases", and "validation_cases" where there are some.

    Raises
    ------
    InputError
        Missing or garbled file, no training pair, or a named file that is not there.
    """
    names = {"training": "cases", "validation": "validation_cases"}
    return {
        names[part]: PairFiles([(entry.file("image"), entry.file("label")) for entry in entries], register)
        for part, entries in read_entries(datalist).items()
    }
