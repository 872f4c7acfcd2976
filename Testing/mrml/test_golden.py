"""What the software does is what it did when Testing/golden/*.json were made (by Testing/golden/make.py).

Numbers are compared with a tolerance, hashes and the dearer half only with GOLDEN_EXACT=1 in the environment, on the
computer and with the packages that made them.
"""

from __future__ import annotations

import importlib
import json
import os
import re
from pathlib import Path

import pytest

pytest.importorskip("slicer")
pytest.importorskip("torch")

from golden_cases import GOLDEN, NAMES, ROOT, USES, differences, observed

EXACT = os.environ.get("GOLDEN_EXACT") == "1"
DEAR = {"box", "demo", "landmarks", "synthesis", *(f"train-{family}" for family in USES)} - {"train-boxes-segmenter"}
"""From 7 to 60 s each."""
CERTAIN = {"commands", "configs"}
"""Nothing in them is computed."""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:.*has moved to:DeprecationWarning")
def test_the_same_as_before(name: str, tmp_path: Path, scene) -> None:
    if name in DEAR and not EXACT:
        pytest.skip("runs with GOLDEN_EXACT=1")
    golden = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    found = observed(name, tmp_path)
    if name == "commands":  # more of them may come
        assert not golden.keys() - found.keys()
        found = {command: found[command] for command in golden}
        for command, parts in golden.items():
            found[command]["commands"] = [one for one in found[command]["commands"] if one in parts["commands"]]
    loose = {"relative": 1e-4, "absolute": 1e-5} if name.startswith("train-") else {}
    wrong = differences(golden, found, exact=EXACT or name in CERTAIN, **loose)
    assert not wrong, "\n".join(wrong)


def documented() -> list[tuple[str, str]]:
    """(module, name) of every import in the Python examples of README.md and docs/*.md."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))))
    found = re.findall(r"^from (SparseToPreciseLib[\w.]*) import ([\w, ]+)", text, re.MULTILINE)
    return [(module, name.strip()) for module, names in found for name in names.split(",")]


PINNED = [tuple(one) for one in json.loads((GOLDEN / "imports.json").read_text(encoding="utf-8"))]
"""What was documented when the goldens were made."""


@pytest.mark.parametrize(("module", "name"), sorted({*PINNED, *documented()}))
@pytest.mark.filterwarnings("ignore:.*has moved to:DeprecationWarning")
def test_a_documented_import(module: str, name: str) -> None:
    assert callable(getattr(importlib.import_module(module), name))


def test_near_numbers_are_alike_and_others_are_not() -> None:
    golden = {"a": [1.0, {"sha256": "x", "text": "12 of 13"}], "n": 100}
    near = {"a": [1.0005, {"sha256": "y", "text": "11 of 13"}], "n": 100}
    assert not differences(golden, near, exact=False)
    assert len(differences(golden, near, exact=True)) == 3
    far = {"a": [1.1, {"sha256": "x", "text": "12 in 13"}], "m": 100}
    assert len(differences(golden, far, exact=False)) == 4
    assert len(differences(golden, {"a": [1.0], "n": True}, exact=False)) == 2
