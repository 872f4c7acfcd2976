"""Other numbers of planes on real structures, without the random walker, which takes longer than all else together."""

from __future__ import annotations

from .cases import real_cases
from .context import Context
from .rivals import RIVALS
from .rows import measured, rendered, summary

TITLE = "Real structures, other numbers of planes"


def run(context: Context) -> dict:
    cases = real_cases(context)[::2]
    if not cases:
        return {"structures": 0}
    rivals = {name: rival for name, rival in RIVALS.items() if name != "random walker"}
    records = measured(context, cases, context.planes, rivals)
    return {**summary(records), "records": records}


def render(found: dict) -> str:
    if not found["structures"]:
        return "The real images are not on this machine, so nothing was measured on them."
    return f"{found['structures']} of the structures above.\n\n" + rendered(found["means"])
