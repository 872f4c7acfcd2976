"""Betti numbers against gudhi."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SparseToPreciseLib.comparison.topology import topology
from SparseToPreciseLib.core.volume import Volume

from .context import Context

TITLE = "Betti numbers"


def run(context: Context) -> dict:
    try:
        import gudhi
    except ImportError:
        return {"masks": 0, "equal": 0}
    equal, tunnels, located = 0, 0, 0
    for number in range(context.random_masks):
        rng = np.random.default_rng([context.seed, number])
        noise = ndimage.gaussian_filter(rng.standard_normal(rng.integers(4, 15, 3)), rng.uniform(0, 1.2))
        mask = noise > np.quantile(noise, rng.uniform(0.2, 0.9))
        complex_ = gudhi.CubicalComplex(top_dimensional_cells=np.where(mask, 0.0, 1.0))
        complex_.compute_persistence()
        theirs = [int(one) for one in complex_.persistent_betti_numbers(0.5, 0.5)][:3]
        found = topology(Volume(mask, np.eye(4)))
        equal += [found.components, found.tunnels, found.cavities] == theirs
        tunnels += found.tunnels
        located += sum(place.kind == "tunnel" for place in found.places)
    return {"masks": context.random_masks, "equal": equal, "tunnels": tunnels, "located": located}


def render(found: dict) -> str:
    if not found["masks"]:
        return "gudhi is not installed, so nothing was compared (pip install gudhi)."
    return (
        f"Components, tunnels and cavities of {found['masks']} random masks of 4 to 14 voxels a side, from noise to "
        f"smooth: all three equal gudhi's on {found['equal']}. Of their {found['tunnels']} tunnels, {found['located']} "
        "have a place."
    )


def verdict(found: dict) -> list[str]:
    if not found["masks"]:
        return ["Betti numbers were not compared: gudhi is not installed."]
    return [f"Betti numbers equal gudhi's on {found['equal']} of {found['masks']} random masks (bar: all)."]
