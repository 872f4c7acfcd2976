"""Standard streams on which no command fails: for characters that they cannot show, or because nobody reads them."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
import unicodedata
from typing import TextIO

_PLAIN = {"–": "-", "—": "-", "×": "x", "≤": "<=", "≥": ">=", "’": "'", "“": '"', "”": '"', "Ł": "L", "ł": "l"}


def prepare() -> None:
    """Let stdout and stderr take any text, also where the process was started with them closed."""
    codecs.register_error("plainer", _plainer)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # Else the next file that is opened gets the number, and libraries in C print into it.
            _to_nothing(number)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="plainer")


def say(text: str) -> None:
    """Print a sentence on stderr, whether or not anybody can read it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        give_up(sys.stderr)


def give_up(stream: TextIO) -> None:
    """Nobody reads a stream any more: what it still holds, and what comes, goes nowhere."""
    with contextlib.suppress(OSError, ValueError):
        _to_nothing(stream.fileno())


def _to_nothing(number: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    if nothing != number:
        os.dup2(nothing, number)
        os.close(nothing)


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """Characters that an encoding lacks by the ones that they are made of: 3 instead of ³."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(one) or _in_ascii(one) for one in lacking), error.end


def _in_ascii(character: str) -> str:
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"
