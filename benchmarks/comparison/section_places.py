"""Handles and gaps of two voxels that were put in, and whether they are found where they are."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from SparseToPreciseLib.comparison.centerlines import centerlines
from SparseToPreciseLib.comparison.topology import topology
from SparseToPreciseLib.core.volume import Volume

from ..tables import percent, table
from .context import Context

TITLE = "Handles and gaps"
NEAR = 4.0
"""A place is right within so many voxels of the middle of what was put in."""
_SIDE = 64


def run(context: Context) -> dict:
    found = {}
    for kind, one in (("handle", _handle), ("gap", _gap)):
        cases = [one(np.random.default_rng([context.seed, number])) for number in range(context.inserted)]
        found[kind] = {
            "cases": len(cases),
            "located": sum(hit for hit, _ in cases),
            "false": sum(false for _, false in cases),
            "most_false": max(false for _, false in cases),
        }
    return found


def _arch(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """(N, 3) points of a bent centre line within a cube of 64 voxels, its first derivative, and a radius."""
    angle = np.linspace(0, np.pi * rng.uniform(0.8, 1.3), 400)
    radius, rise = rng.uniform(14, 18), rng.uniform(-8, 8)
    line = np.stack([radius * np.cos(angle), radius * np.sin(angle), rise * angle / np.pi], axis=1)
    line = Rotation.random(random_state=int(rng.integers(1 << 30))).apply(line - line.mean(axis=0)) + _SIDE / 2
    return line, np.gradient(line, axis=0), rng.uniform(2.5, 5.5)


def _tube(line: np.ndarray, radius: float) -> np.ndarray:
    points = np.moveaxis(np.indices((_SIDE,) * 3), 0, -1)
    far = np.full((_SIDE,) * 3, np.inf)
    for point in line[::4]:
        far = np.minimum(far, np.square(points - point).sum(axis=-1))
    return far <= radius**2


def _handle(rng: np.random.Generator) -> tuple[bool, int]:
    """A bridge of 2 x 2 voxels between the legs of an arch.

    Drawn again where it makes no handle or several: a bridge along the tube touches it, and leaves small holes.
    """
    line, _, radius = _arch(rng)
    mask = _tube(line, radius)
    at = rng.uniform(0.02, 0.2)
    ends = [line[int(at * 400)], line[int((1 - at) * 399)]]
    for step in np.linspace(0, 1, 400):
        corner = np.floor(ends[0] + step * (ends[1] - ends[0])).astype(int)
        mask[tuple(slice(one, one + 2) for one in corner)] = True
    found = topology(Volume(mask, np.eye(4)))
    if found.tunnels != 1:
        return _handle(rng)
    places = [one for one in found.places if one.kind == "tunnel"]
    # Anywhere on the bridge is right.
    bridge = np.linspace(*ends, 100) + 0.5
    hits = [np.linalg.norm(bridge - one.position[::-1], axis=1).min() <= NEAR for one in places]
    return any(hits), len(hits) - any(hits)


def _gap(rng: np.random.Generator) -> tuple[bool, int]:
    """Two voxels along a tube are gone."""
    line, direction, radius = _arch(rng)
    whole = _tube(line, radius)
    at = int(rng.uniform(0.2, 0.8) * 400)
    normal = direction[at] / np.linalg.norm(direction[at])
    shift = np.moveaxis(np.indices((_SIDE,) * 3), 0, -1) - line[at]
    cut = (np.abs(shift @ normal) < 1.0) & (np.linalg.norm(shift, axis=-1) < 2 * radius)
    gaps = centerlines(Volume(whole & ~cut, np.eye(4)), Volume(whole, np.eye(4))).gaps
    hits = [np.linalg.norm(one.position[::-1] - line[at]) <= NEAR for one in gaps]
    return any(hits), len(hits) - any(hits)


def render(found: dict) -> str:
    rows = [
        [name, str(one["cases"]), percent(one["located"] / one["cases"]), str(one["false"]), str(one["most_false"])]
        for name, one in found.items()
    ]
    return (
        "Bent tubes of 2.5 to 5.5 voxels in radius. A handle is a bridge of two voxels' thickness between the legs of "
        "one that makes exactly one tunnel, a gap two voxels that are gone. Located: a place within "
        f"{NEAR:g} voxels.\n\n"
        + table(["put in", "cases", "located", "false places", "most in a case"], rows)
    )


def verdict(found: dict) -> list[str]:
    told = (
        f"{name}s {percent(one['located'] / one['cases'])}, at most {one['most_false']} false a case"
        for name, one in found.items()
    )
    return [f"Located of what was put in (bar: 95 %, one false): {'; '.join(told)}."]
