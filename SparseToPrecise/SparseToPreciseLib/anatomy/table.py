"""The table of a folder of labelled images, and what each of them may be used for.

A folder holds `table.tsv`: a line of column names, then a line a case, separated by tabs. Only `name` and `label` are
needed; paths are relative to the folder.

==============  ====================================================================================================
`name`          Unique; a case that `split.tsv` of this software names has the use that is written there.
`image`         The image; empty: there is only a label map, and its image is made up.
`label`         The label map, on the image's grid; every value but 0 is a structure.
`other_label`   The same structures as another rater drew them.
`ct`            The CT of the same patient on the MR's grid, for synthesis.
`source`        Where the case is from; the folder in which its file lies where this is empty.
`licence`       As its owner states it.
`role`          train, validate or test; train where this is empty.
==============  ====================================================================================================
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from ..core.bundles import resource
from ..core.errors import InputError
from ..core.files import reason_of

TABLE = "table.tsv"
ROLES = ("train", "validate", "test")


@dataclass(frozen=True)
class TableRow:
    """One case of a folder.

    Attributes
    ----------
    name, source, licence, role
        As in the table.
    image, other_label, ct
        Files; None where there is none.
    label
        File of the label map.
    """

    name: str
    source: str
    licence: str
    role: str
    image: Path | None
    label: Path
    other_label: Path | None = None
    ct: Path | None = None


def read_table(folder: str | os.PathLike[str]) -> list[TableRow]:
    """The cases of a folder, sorted by name.

    Raises
    ------
    InputError
        There is no table, it lacks a column, a role is unknown, or a file is missing.
    """
    folder = Path(folder)
    path = folder / TABLE
    try:
        lines = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), delimiter="\t"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{folder} holds no readable {TABLE} ({reason_of(error)}); give a folder of labelled images with one."
        ) from error
    for column in ("name", "label"):
        if not lines or column not in lines[0]:
            raise InputError(f"{path} has no column {column!r}; its first line names the columns, separated by tabs.")
    rows = sorted((_row(folder, path, line) for line in lines), key=lambda row: row.name)
    for before, row in zip(rows, rows[1:], strict=False):
        if before.name == row.name:
            raise InputError(f"{path} has two cases of the name {row.name!r}; give each its own.")
    return rows


def _row(folder: Path, path: Path, line: dict[str, str | None]) -> TableRow:
    # Cells beyond the named columns come under None.
    cells = {key: (value or "").strip() for key, value in line.items() if key is not None}
    cells |= {key: value for key, value in split().get(cells["name"], {}).items() if value}
    if not cells["name"] or not cells["label"]:
        raise InputError(f"{path} has a line without a name or without a label; fill it in or leave it out.")
    role = cells.get("role") or "train"
    if role not in ROLES:
        raise InputError(f"{path} gives {cells['name']} the role {role!r}; choose from {', '.join(ROLES)}.")
    files = {key: folder / cells[key] if cells.get(key) else None for key in ("image", "label", "other_label", "ct")}
    for file in files.values():
        if file is not None and not file.is_file():
            raise InputError(f"{path} names {file}, which is not there.")
    source = cells.get("source") or files["label"].parent.name
    return TableRow(cells["name"], source, cells.get("licence", ""), role, **files)


@lru_cache(maxsize=1)
def split() -> dict[str, dict[str, str]]:
    """The committed list: cases that this software's own models train on, are chosen by, and are tested on."""
    with open(resource("Anatomy/split.tsv"), encoding="utf-8", newline="") as file:
        return {line["name"]: line for line in csv.DictReader(file, delimiter="\t")}


def may_ship(source: str) -> bool:
    """Whether a model that comes with the software may have learnt from a source.

    Only if the committed list has cases of it to train on; whole sources are kept for tests.
    """
    return any(line["source"] == source and line["role"] == "train" for line in split().values())


def with_role(rows: list[TableRow], role: str) -> list[TableRow]:
    """Those of one role; `train` gives up a fifth to `validate` where the table has none for it."""
    chosen = [row for row in rows if row.role == role]
    if role == "test" or any(row.role == "validate" for row in rows):
        return chosen
    training = [row for row in rows if row.role == "train"]
    back = len(training) // 5
    return [replace(row, role=role) for row in (training[:back] if role == "validate" else training[back:])]
