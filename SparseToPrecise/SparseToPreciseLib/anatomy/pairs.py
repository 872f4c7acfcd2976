"""MRs with the CT of the same patient, of a folder of real anatomy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from ..core.errors import InputError
from ..core.images import read_image
from ..core.volume import Volume
from .table import TableRow, read_table, with_role


def ct_rows(folder: str | os.PathLike[str], role: str) -> list[TableRow]:
    """The cases with that role that have an MR and a CT; only to train on they are needed.

    Raises
    ------
    InputError
        The folder's table is refused, or it has none.
    """
    rows = [row for row in with_role(read_table(folder), role) if row.image is not None and row.ct is not None]
    if not rows and role == "train":
        raise InputError(f"{folder} has no MR with a CT for the role {role!r}; see the columns image and ct.")
    return rows


def ct_pairs(rows: Iterable[TableRow]) -> Iterator[tuple[Volume, Volume]]:
    """(MR, CT) pairs of `ct_rows`, read one by one."""
    for row in rows:
        yield read_image(row.image), read_image(row.ct)
