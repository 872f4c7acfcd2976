"""The two ways in which work ends early."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


class InputError(ValueError):
    """Bad input, said in one sentence: what is wrong, with the value, and what to do about it.

    The command line prints the sentence and exits with 2; the desktop shows it.
    """


class Cancelled(Exception):
    """The user cancelled; nothing has been changed."""


def as_reason(sentence: str) -> str:
    """A sentence as it stands within another one: no full stop, and a capital only where the first word is a name."""
    sentence = sentence.rstrip(".")
    first = sentence.partition(" ")[0]
    # "CT", "SHA-256" and "PyTorch" stay as they are.
    return sentence[:1].lower() + sentence[1:] if first[1:].islower() or len(first) == 1 else sentence


def listing(entries: Sequence[object], most: int) -> str:
    """So many entries of a list that may be long, and how many more there are."""
    more = [f"and {len(entries) - most} more"] if len(entries) > most else []
    return ", ".join([*map(str, entries[:most]), *more])


def one_line(error: BaseException) -> str:
    """The message of a library's error as a part of a sentence: without its lines' ends, and not endless."""
    text = " ".join(str(error).split()).rstrip(".")
    return text if len(text) <= 200 else f"{text[:200]}…"


def in_digits(value: float, decimals: int = 0) -> str:
    """A length, area or volume with so many decimals, and with more where it is small: two digits always count.

    >>> [in_digits(value) for value in (1234.5, 10.4, 9.96, 0.48, 0.0075, 0.0)]
    ['1234', '10', '10', '0.48', '0.0075', '0']
    >>> [in_digits(value, 1) for value in (12.0, 7.0, 0.0075)]
    ['12.0', '7.0', '0.0075']
    """
    size = abs(value)
    needed = 1 - math.floor(math.log10(size)) if 0 < size < 9.95 else 0
    return f"{value:.{max(decimals, needed)}f}"


def in_mm(lengths: Iterable[float]) -> str:
    """An extent, each length in fitting digits.

    >>> in_mm((0.2, 180, 21.0))
    '0.20 x 180 x 21 mm'
    """
    return " x ".join(in_digits(length) for length in lengths) + " mm"


def decimals_on(step_mm: float, least: int) -> int:
    """Decimals for positions on a grid: so many for voxels of 0.1 mm and more, and one more for each tenth of that.

    >>> [decimals_on(step_mm, 3) for step_mm in (10.0, 0.5, 0.05, 0.001)]
    [3, 3, 4, 5]
    """
    return max(least, least - 1 - math.floor(math.log10(step_mm) + 1e-9))
