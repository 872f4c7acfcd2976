"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass

PLANES = 6
"""At which every method is compared."""


@dataclass(frozen=True)
class Context:
    """Counts of a run, and its seed.

    Attributes
    ----------
    planes
        Numbers of planes beside `PLANES`.
    per_source
        Structures of each test source.
    organs
        Structures of the CT and the MR slab.
    phantoms
        Seeds of each family.
    painted
        Structures on which planes are suggested.
    starts
        Random choices of planes beside each suggestion.
    side
        Voxels along the image whose time and memory are measured.
    """

    planes: tuple[int, ...] = (4, 8, 16)
    per_source: int = 1
    organs: int = 5
    phantoms: int = 1
    painted: int = 4
    starts: int = 1
    side: int = 256
    seed: int = 0


FULL = Context()
QUICK = Context(planes=(4,), per_source=1, organs=1, phantoms=1, painted=2, starts=1, side=96)
