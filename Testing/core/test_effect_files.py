"""The Segment Editor effect's package as text: what can be checked of it without Qt."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from house import ROOT

PACKAGE = ROOT / "EditingModule" / "EditingModuleLib"
FILES = sorted(PACKAGE.glob("*.py"))
#: Loaded by the application anyway; numpy, scipy, torch and the library are imported where they are used.
CHEAP = {"contextlib", "ctk", "os", "qt", "SegmentEditorEffects", "slicer", "vtk"}
EFFECT_FILES = ("__init__.py", "SegmentEditorEffect.py", "ScribblePanel.py", "StrokeFeedback.py", "EscapeKey.py")


def tree_of(name: str) -> ast.Module:
    return ast.parse((PACKAGE / name).read_text(encoding="utf-8"))


def methods_of(name: str, class_name: str) -> set[str]:
    (found,) = [node for node in tree_of(name).body if isinstance(node, ast.ClassDef) and node.name == class_name]
    return {node.name for node in found.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", [*EFFECT_FILES, "EditorModel.py"])
def test_importing_it_costs_nothing(name) -> None:
    for node in tree_of(name).body:
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= CHEAP
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1 or (node.module or "").partition(".")[0] in CHEAP


def test_the_default_model_is_the_librarys() -> None:
    from SparseToPreciseLib.editing.model import DEFAULT_EDITOR

    (value,) = [
        node.value.value
        for node in tree_of("EditorModel.py").body
        if isinstance(node, ast.Assign) and node.targets[0].id == "DEFAULT_MODEL"
    ]
    assert value == DEFAULT_EDITOR


def test_the_panel_calls_what_the_effect_has() -> None:
    called = set(re.findall(r"\b_?owner\.(\w+)", (PACKAGE / "ScribblePanel.py").read_text(encoding="utf-8")))
    assert {"onAccept", "onReject", "onRevert", "onCancel", "onJump", "updateMRMLFromGUI"} <= called
    assert called <= methods_of("SegmentEditorEffect.py", "SegmentEditorEffect")


def test_the_effect_calls_what_panel_and_session_have() -> None:
    effect = (PACKAGE / "SegmentEditorEffect.py").read_text(encoding="utf-8")
    panel = (PACKAGE / "ScribblePanel.py").read_text(encoding="utf-8")
    attributes = methods_of("ScribblePanel.py", "ScribblePanel") | set(re.findall(r"self\.(\w+)[ ,=]", panel))
    assert set(re.findall(r"\bpanel\.(\w+)", effect)) <= attributes
    session = ROOT / "SparseToPrecise" / "SparseToPreciseLib" / "mrml" / "stroke_session.py"
    (found,) = [
        node
        for node in ast.parse(session.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == "Session"
    ]
    known = {node.name for node in found.body if isinstance(node, ast.FunctionDef)} | set(
        re.findall(r"self\.(\w+)", ast.unparse(found))
    )
    called = set(re.findall(r"[sS]ession(?:\(\))?\.(\w+)", effect)) - {"cancel"}
    assert {"draw", "accept", "reject", "revert", "edits", "follow_selection"} <= called
    assert {name for name in called if not name.startswith("_")} <= known | {"mrml"}


def test_every_parameter_has_a_default() -> None:
    """Slicer logs an error for each parameter that is asked for and was never set."""
    source = (PACKAGE / "SegmentEditorEffect.py").read_text(encoding="utf-8")
    asked = set(re.findall(r"(?:arameter|integerParameter|doubleParameter)\((_[A-Z]+)", source))
    given = set(re.findall(r"setParameterDefault\((_[A-Z]+)", source))
    assert asked <= given and len(given) == 4


def test_the_icon_is_an_svg_that_scales() -> None:
    path = Path(ROOT / "EditingModule" / "Resources" / "Icons" / "ScribbleEdit.svg")
    assert path.name in (PACKAGE / "SegmentEditorEffect.py").read_text(encoding="utf-8")
    root = ElementTree.parse(path).getroot()
    assert root.tag.endswith("svg") and root.get("viewBox") == "0 0 32 32"
