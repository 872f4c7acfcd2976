"""A user's pairs of MR and CT for training, as files in a datalist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError, as_reason
from ..core.images import read_image
from ..core.volume import Volume
from .datalist import read_entries


class PairFiles:
    """(MR, CT) pairs, read one by one when their turn comes; one that cannot be used is left out.

    Parameters
    ----------
    files
        Paths of MR and CT.
    register
        Bring each CT onto its MR first; pairs that then do not fit are left out.

    Attributes
    ----------
    found
        Outcome of the registration of each pair, in the order of the pairs: mr, used, and its quality.
    left_out
        Sentences on the pairs that could not be used, with the names of their files.
    """

    def __init__(self, files: list[tuple[Path, Path]], register: bool) -> None:
        self._files = files
        self._register = register
        self.found: list[dict[str, Any]] = []
        self.left_out: list[str] = []

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[tuple[Volume, Volume]]:
        used, first = 0, None
        for files in self._files:
            try:
                pair = self._pair(*files)
            except InputError as error:
                first = first or error
                self.left_out.append(f"{files[0]} and {files[1]} were left out: {as_reason(str(error))}.")
                continue
            if pair is not None:
                used += 1
                yield pair
        if used:
            return
        if first is not None:
            more = f" ({len(self._files)} pairs, none of which can be used)" if len(self._files) > 1 else ""
            raise InputError(f"{str(first).rstrip('.')}{more}.")
        raise InputError(f"No pair could be registered: {as_reason(self.found[0]['sentence'])}.")

    def _pair(self, mr_file: Path, ct_file: Path) -> tuple[Volume, Volume] | None:
        from ..synthesis.cases import check_ct, check_pair

        # By their folders, too: where a patient has one, all files are named alike.
        mr, ct = (replace(read_image(file), name=f"{file.parent.name}/{file.name}") for file in (mr_file, ct_file))
        if self._register:
            from ..synthesis.pairs import quality_as_json, register_pair

            check_ct(ct)
            moved, quality = register_pair(mr, ct, beyond=np.nan)
            self.found.append({"mr": str(mr_file), "used": quality.good, **quality_as_json(quality)})
            if not quality.good:
                return None
            ct = moved
        check_pair(mr, ct)
        return mr, ct


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
