"""The examples in docstrings do what they say; those of tasks need files, see `Testing/mrml/test_tasks.py`."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import house

LIBRARY = house.ROOT / "SparseToPrecise" / house.LIBRARY
WITH_EXAMPLES = [
    path
    for path in sorted(LIBRARY.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8") and path.parent.name != "tasks"
]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_examples_of_a_module(path: Path) -> None:
    name = ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts)
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted and not result.failed
