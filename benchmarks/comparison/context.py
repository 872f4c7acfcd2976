"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Context:
    """Counts of a run, and its seed."""

    ratios: tuple[float, ...] = (1, 2, 3, 6)
    turns: int = 2
    random_masks: int = 200
    inserted: int = 40
    supports: int = 10
    raters: int = 8
    side: int = 256
    seed: int = 0


FULL = Context()
QUICK = Context(ratios=(1, 3), turns=1, random_masks=20, inserted=6, supports=3, raters=1, side=96)
