"""What a command is going to write, checked before it works."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import InputError
from ..core.files import ensure_writable


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
