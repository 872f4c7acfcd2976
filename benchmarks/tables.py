"""Markdown of tables and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence


def number(value: float | None, digits: int = 2, signed: bool = False) -> str:
    """A number, or an en dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    # no "-0.00"
    return text.replace("-", "+" if signed else "") if float(text) == 0 else text.replace("-", "−")


def percent(value: float | None, signed: bool = False) -> str:
    return "–" if value is None or math.isnan(value) else f"{number(100 * value, 0, signed)} %"


def interval(found: dict[str, float], digits: int = 4, scale: float = 1.0, unit: str = "") -> str:
    """ "+0.004 [0.001, 0.007]" from a difference and its bounds."""
    difference, low, high = (number(scale * found[name], digits, True) for name in ("difference", "low", "high"))
    return f"{difference}{unit} [{low}, {high}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column left, the others right aligned."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
