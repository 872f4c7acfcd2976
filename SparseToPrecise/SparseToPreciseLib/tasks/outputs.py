"""What a command is going to write, checked before it works."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


@contextmanager
def output_folder(path: Path) -> Iterator[None]:
    """Make a folder that is not there; it goes again when what is done meanwhile fails and leaves nothing in it.

    Raises
    ------
    InputError
        It is a file, its parent is not there, or it cannot be made.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"The output {path} is a file; name a folder.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; create it or choose another output.")
    made = not path.exists()
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The folder {path} cannot be made ({error.strerror or error}); choose another output."
        ) from error
    try:
        yield
    except BaseException:
        if made and not any(path.iterdir()):
            path.rmdir()
        raise
