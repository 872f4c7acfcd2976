"""A place to look at: what `places`, `topology` and `centerlines` find, in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Place:
    """A place in the world where something is to be seen.

    Attributes
    ----------
    kind
        "difference", "component", "tunnel", "cavity" or "gap".
    position
        (3,) RAS, mm; on the thing itself, not beside it.
    size
        How large it is, in `unit`: what to sort by within a kind.
    unit
        "mm" or "mm³".
    text
        A phrase for people.
    """

    kind: str
    position: np.ndarray
    size: float
    unit: str
    text: str
