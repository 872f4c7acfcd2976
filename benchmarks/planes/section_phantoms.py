"""Phantoms of every family."""

from __future__ import annotations

from ..tables import number
from .cases import KINDS, phantom_cases
from .context import PLANES, Context
from .rows import OURS, measured, rendered, summary

TITLE = "Phantoms"
GOAL = 0.93


def run(context: Context) -> dict:
    records = measured(context, phantom_cases(context), (PLANES,))
    return {**summary(records), "records": records}


def render(found: dict) -> str:
    told = f"{found['structures']} phantoms of 64 voxels along each side; large targets continue beyond the cube."
    return f"{told}\n\n" + rendered(found["means"])


def verdict(found: dict) -> list[str]:
    told = " and ".join(f"{number(found['means'][kind][OURS][str(PLANES)], 3)} ({kind})" for kind in KINDS)
    return [f"Phantoms, {PLANES} planes: mean Dice {told}; goal {GOAL}."]
