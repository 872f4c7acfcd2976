"""The examples in docstrings do what they say.

Those that need files or a template run where these are: `Testing/mrml/test_tasks.py`, `test_landmarks_detect.py`.
"""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import house

LIBRARY = house.ROOT / "SparseToPrecise" / house.LIBRARY
ELSEWHERE = {*LIBRARY.glob("tasks/*.py"), LIBRARY / "landmarks" / "detect.py"}
WITH_EXAMPLES = [
    path for path in sorted({*LIBRARY.rglob("*.py")} - ELSEWHERE) if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_examples_of_a_module(path: Path) -> None:
    name = ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts)
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted and not result.failed
