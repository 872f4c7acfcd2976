"""Real structures of whole sources that no network has learnt from or was chosen by."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from SparseToPreciseLib.anatomy.cases import Structure, structures_of
from SparseToPreciseLib.anatomy.table import read_table, with_role
from SparseToPreciseLib.core.images import read_image, read_labelmap
from SparseToPreciseLib.core.volume import Volume

EACH = 6
"""Structures of a case at most."""


def sources_for_tests(folder: Path) -> list[str]:
    """Sources with images whose cases are all for tests."""
    rows = read_table(folder)
    seen = {row.source for row in rows if row.role != "test"}
    return sorted({row.source for row in rows if row.image is not None} - seen)


@lru_cache(maxsize=1)
def structures_of_source(folder: Path, source: str, most: int) -> list[tuple[Volume, Volume, Structure]]:
    """Image, mask (bool, with the structure's name) and structure of a source's cases for tests.

    Parameters
    ----------
    folder
        Of real anatomy.
    most
        Structures, spread over the cases and over the labels of each.
    """
    rows = [row for row in with_role(read_table(folder), "test") if row.source == source and row.image is not None]
    found: list[tuple[Volume, Volume, Structure]] = []
    per_case = min(EACH, len(structures_of(read_labelmap(rows[0].label))))
    count = min(len(rows), -(-most // max(per_case, 1)))
    for index in np.linspace(0, len(rows) - 1, count).round().astype(int):
        row = rows[index]
        image, labels = read_image(row.image), read_labelmap(row.label)
        # Beside its border a structure is not all there.
        there = [one for one in structures_of(labels) if len(one.points) > 50]
        for one in there[:: max(1, len(there) // EACH)][:EACH]:
            truth = Volume(labels.array == one.label, labels.ijk_to_ras, f"{row.name} {one.label}")
            found.append((image, truth, one))
    return found[:most]
