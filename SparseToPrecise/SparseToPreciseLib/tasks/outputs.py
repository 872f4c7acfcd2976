"""Outputs of a task: checked before it works, written together at its end, and said."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError
from ..core.files import ensure_writable, reason_of, write_together

if TYPE_CHECKING:
    from rich.table import Table

Writer = Callable[[Path], object]


def check_outputs(
    outputs: Sequence[tuple[Path | None, Sequence[str]]], inputs: Sequence[Path | None], replaced: Path | None = None
) -> None:
    """Refuse outputs that cannot be written or would overwrite an input.

    Parameters
    ----------
    outputs
        Paths, the main one first, each with the extensions that it may have; None is not wanted.
    inputs
        Files that are only read; None is not given.
    replaced
        The input that the main output may replace.

    Raises
    ------
    InputError
        A wrong extension, one name for two outputs or for an input, or a place that takes no files.
    """
    wanted = [(path, tuple(extensions)) for path, extensions in outputs if path is not None]
    # However a path is spelled: two outputs of one file would have the same temporary name.
    for path, count in Counter(path.resolve() for path, _ in wanted).items():
        if count > 1:
            raise InputError(f"{path} is named for two outputs; give each its own name.")
    for number, (path, extensions) in enumerate(wanted):
        if not path.name.lower().endswith(extensions):
            raise InputError(f"The output {path} must end with {' or '.join(extensions)}.")
        kept = [*inputs, None if number == 0 else replaced]
        if any(other is not None and path.resolve() == other.resolve() for other in kept):
            raise InputError(f"The output {path} is one of the inputs; give it another name.")
        ensure_writable(path)


def check_folder(path: Path, what: str) -> None:
    """Refuse a folder that is a file or that could not be made; `what` it is for follows "name a folder"."""
    if path.exists() and not path.is_dir():
        raise InputError(f"The output {path} is a file; name a folder{what}.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; create it or choose another output.")


@contextmanager
def output_folders(*folders: Path | None) -> Iterator[None]:
    """Make the folders that are not there; those that are still empty at the end go again.

    Raises
    ------
    InputError
        One of them cannot be made.
    """
    made: list[Path] = []
    try:
        for folder in dict.fromkeys(folders):
            if folder is not None and not folder.exists():
                try:
                    folder.mkdir()
                except OSError as error:
                    raise InputError(f"Could not make the folder {folder}: {reason_of(error)}.") from error
                made.append(folder)
        yield
    finally:
        for folder in made:
            if not any(folder.iterdir()):
                folder.rmdir()


def write_outputs(*outputs: tuple[Path | None, Writer]) -> None:
    """Write all files or none; those without a path are not wanted."""
    write_together([(path, write) for path, write in outputs if path is not None])


def text_writer(text: str) -> Writer:
    """Writes a text."""
    # A name that is no Unicode, as systems but Windows allow, is told by the numbers of its bytes.
    return lambda path: path.write_text(text, encoding="utf-8", errors="backslashreplace")


def json_writer(content: dict[str, Any]) -> Writer:
    """Writes a report."""
    return text_writer(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows, the first of them names, as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def rounded(timings: dict[str, float]) -> dict[str, float]:
    """Seconds by stage, for a report."""
    return {stage: round(seconds, 4) for stage, seconds in timings.items()}


def written(*paths: Path | None) -> list[str]:
    """The sentence that names the files that were written, where there are some."""
    named = ", ".join(str(path) for path in paths if path is not None)
    return [f"Written: {named}"] if named else []


def table(
    title: str,
    texts: Sequence[str],
    numbers: Sequence[str] = (),
    remarks: Sequence[str] = (),
    *,
    fixed: bool = False,
    caption: str | None = None,
) -> Table:
    """An empty table whose numbers stand at the right edge.

    Parameters
    ----------
    title, caption
        Above and below it.
    texts, numbers, remarks
        Names of columns, from left to right.
    fixed
        Numbers are never broken; where there is no room, a text of the first columns is.
    """
    from rich.table import Column, Table

    columns = [Column(name, overflow="fold" if fixed else "ellipsis") for name in texts]
    columns += [Column(name, justify="right", no_wrap=fixed) for name in numbers]
    return Table(*columns, *remarks, title=title, caption=caption)
