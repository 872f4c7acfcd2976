"""Journal of a batch's finished inputs, beside its results, so that the same command goes on where it was stopped."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any


class Journal:
    """Entries of finished inputs, one JSON line each; the file is gone when the batch is complete.

    Parameters
    ----------
    path
        The file.
    settings
        All that the results depend on besides an input. What other settings have made is not taken up again.

    Examples
    --------
    >>> image = Path("image.nrrd")
    >>> Journal(Path("unfinished"), {"model": "one"}).add(image, {"volume": 5})
    >>> Journal(Path("unfinished"), {"model": "one"}).entry(image)
    {'volume': 5}
    >>> Journal(Path("unfinished"), {"model": "another"}).entry(image)
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self._path = path
        self._first = json.dumps({"settings": settings})
        self._entries: dict[str, Any] = {}
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self._goes_on = lines[:1] == [self._first]
        for line in lines[1:] if self._goes_on else ():
            try:
                self._entries.update(json.loads(line))
            except ValueError:  # the line at which a killed run was
                self._goes_on = False

    def entry(self, source: Path) -> Any:
        """Entry of an input; None where it is new or was changed."""
        return self._entries.get(_identity(source))

    def add(self, source: Path, entry: Any) -> None:
        """Note that an input is finished."""
        self._entries[_identity(source)] = entry
        new = {_identity(source): entry} if self._goes_on else self._entries
        lines = [*([] if self._goes_on else [self._first]), *(json.dumps({key: new[key]}) for key in new)]
        # Where it cannot be written, only the going on is lost.
        with contextlib.suppress(OSError), open(self._path, "a" if self._goes_on else "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
            self._goes_on = True

    def remove(self) -> None:
        """The batch is complete."""
        self._path.unlink(missing_ok=True)


def _identity(source: Path) -> str:
    state = source.stat()
    return f"{source.resolve()} {state.st_size} {state.st_mtime_ns}"
