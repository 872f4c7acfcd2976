"""Compares the .ui files of a module with the Python code that uses their widgets, without Qt.

qt_widgets.json holds for each class of widget its base, its properties, the methods that Python may call and its
signals, as they stand in the headers of Qt 5.15, CTK and Slicer 5.13. Add what is missing, after a look at the class.
"""

from __future__ import annotations

import ast
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CLASSES = json.loads(Path(__file__).with_name("qt_widgets.json").read_text(encoding="utf-8"))

_SLIDERS = {"ctkDoubleSlider", "ctkSliderWidget", "qMRMLSliderWidget"}
_NUMBERS = {"QDoubleSpinBox", "ctkDoubleSpinBox", "qMRMLSpinBox", *_SLIDERS}
_CHOICES = {"QComboBox", "ctkComboBox"}
#: Classes of widgets that the parameter node connector of Slicer can show a type with
#: (Base/Python/slicer/parameterNodeWrapper/guiConnectors.py); it compares exact types, not subclasses.
CONNECTED = {
    "bool": {"QCheckBox", "ctkCheckBox", "QPushButton", "ctkCheckablePushButton", *_CHOICES},
    "int": {"QSlider", "QSpinBox", *_NUMBERS, *_CHOICES},
    "float": {*_NUMBERS, *_CHOICES},
    "str": {"QLineEdit", "QLabel", "QTextEdit", *_CHOICES},
    "Path": {"ctkPathLineEdit", "ctkDirectoryButton"},
    "FloatRange": {"ctkRangeWidget", "ctkDoubleRangeSlider", "qMRMLRangeWidget"},
    "enum": _CHOICES,
    "node": {"qMRMLNodeComboBox"},
}


@dataclass
class UiFile:
    """What a .ui file makes: the class of each object by its name, and the parameters that are bound to widgets."""

    classes: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)  # name of the widget -> SlicerParameterName


def parse(path: Path) -> UiFile:
    """Read a .ui file; a name that is given twice is an error, as only one of the two can be reached."""
    ui = UiFile()
    for element in ElementTree.parse(path).getroot().iter():
        name = element.get("name")
        if element.tag not in ("widget", "layout") or name is None:
            continue
        if name in ui.classes:
            raise AssertionError(f"{path.name}: two objects are called {name}")
        ui.classes[name] = element.get("class", "")
        for entry in element.findall("property"):
            if entry.get("name") == "SlicerParameterName":
                ui.parameters[name] = entry.findtext("string", "")
    return ui


def lineage(name: str) -> Iterator[dict]:
    """The entry of a class and of its bases."""
    while name:
        yield CLASSES[name]
        name = CLASSES[name]["base"]


def _in_ui(node: ast.AST) -> str | None:
    """The name of a widget that is taken from a .ui file: `<anything>.ui.<name>`, `_ui` too, or `ui.<name>`."""
    if not isinstance(node, ast.Attribute):
        return None
    owner = node.value
    of_ui = (isinstance(owner, ast.Attribute) and owner.attr in ("ui", "_ui")) or (
        isinstance(owner, ast.Name) and owner.id == "ui"
    )
    return node.attr if of_ui else None


def _plain(node: ast.AST) -> str | None:
    """`name` and `self.name` as text: what may be given a widget by an assignment."""
    if isinstance(node, ast.Name):
        return node.id
    of_self = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return f"self.{node.attr}" if of_self else None


def _made(value: ast.AST | None, widgets: dict[str, str]) -> str | None:
    """The class of what an assignment gives: `self.ui.table`, or `qt.QLabel()`; None when it cannot be told."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        known = ast.unparse(value.func.value) in ("qt", "ctk", "slicer") and value.func.attr in CLASSES
        return value.func.attr if known else None
    name = _in_ui(value) if value is not None else None
    return widgets.get(name) if name else None


def _given(scope: ast.AST, prefix: str, widgets: dict[str, str]) -> dict[str, str]:
    """Classes of the names (of the attributes of self, by the prefix "self.") that are given one widget in a scope."""
    stored = [
        name
        for node in ast.walk(scope)
        if isinstance(getattr(node, "ctx", None), ast.Store) and (name := _plain(node)) is not None
    ]
    classes = {
        name: _made(node.value, widgets)
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign) and (name := _plain(node.targets[0])) and stored.count(name) == 1
    }
    return {name: made for name, made in classes.items() if made and name.startswith("self.") == bool(prefix)}


def problems(source: str, widgets: dict[str, str]) -> list[str]:
    """One line for each widget, attribute or signal that code names and that is not there.

    Widgets are those of .ui files, and those that the code makes and gives to one name: `self.label = qt.QLabel()`.

    Parameters
    ----------
    source
        Python code.
    widgets
        Class by name, of the .ui files that the code uses.
    """
    tree = ast.parse(source)
    # `self.ui.row = Row()` adds a widget that no file has; its class is not known here.
    own = {_in_ui(node) for node in ast.walk(tree) if isinstance(getattr(node, "ctx", None), ast.Store)}
    wrong: dict[str, None] = {}
    for node in ast.walk(tree):
        name = _in_ui(node)
        if name and name not in widgets and name not in own and not name.startswith("__"):
            wrong[f"line {node.lineno}: no .ui file has a widget {name}"] = None

    files = {name: found for name, found in widgets.items() if name not in own}
    scopes = [(tree, {})]
    for one in ast.walk(tree):
        if isinstance(one, ast.ClassDef):
            attributes = _given(one, "self.", files)
            functions = [node for node in ast.walk(one) if isinstance(node, ast.FunctionDef)]
            scopes += [(function, attributes | _given(function, "", files)) for function in functions]
    scopes += [(node, _given(node, "", files)) for node in tree.body if isinstance(node, ast.FunctionDef)]
    for scope, names in scopes:
        for line in _problems_in(scope, names, files):
            wrong[line] = None
    return list(wrong)


def _problems_in(scope: ast.AST, names: dict[str, str], files: dict[str, str]) -> Iterator[str]:
    calls = {id(node.func) for node in ast.walk(scope) if isinstance(node, ast.Call)}

    def class_of(node: ast.AST) -> str | None:
        return names.get(_plain(node) or "") or files.get(_in_ui(node) or "")

    for node in ast.walk(scope):
        if isinstance(node, ast.Attribute) and (found := class_of(node.value)):
            yield from _attribute_problems(node, found, id(node) in calls)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "connect":
            found = class_of(node.func.value)
            if found and node.args and isinstance(node.args[0], ast.Constant):
                yield from _signal_problems(node, found)


def _attribute_problems(node: ast.Attribute, name: str, called: bool) -> Iterator[str]:
    if name not in CLASSES:
        yield f"line {node.lineno}: qt_widgets.json does not have the class {name}"
        return
    classes = list(lineage(name))
    signals = {signal.partition("(")[0] for one in classes for signal in one["signals"]}
    if any(node.attr in one["properties"] for one in classes):
        if called:
            yield f"line {node.lineno}: {node.attr} of a {name} is a property in Python; it cannot be called"
    elif node.attr not in signals and not any(node.attr in one["methods"] for one in classes):
        yield f"line {node.lineno}: a {name} has no {node.attr}"


def _signal_problems(node: ast.Call, name: str) -> Iterator[str]:
    wanted = re.sub(r"\bconst\b|[\s&]", "", str(node.args[0].value))
    if name in CLASSES and not any(wanted in one["signals"] for one in lineage(name)):
        yield f"line {node.lineno}: a {name} has no signal {node.args[0].value}"


def parameter_fields(source: str) -> dict[str, str]:
    """Fields of the @parameterNodeWrapper classes of some code, with the kind of their type as in CONNECTED."""
    tree = ast.parse(source)
    enums = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases)
    }
    fields = {}
    for node in ast.walk(tree):
        wrapped = isinstance(node, ast.ClassDef) and any(
            "parameterNodeWrapper" in ast.unparse(decorator) for decorator in node.decorator_list
        )
        for entry in node.body if wrapped else []:
            if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name):
                fields[entry.target.id] = _kind(entry.annotation, enums)
    return fields


def _kind(annotation: ast.expr, enums: set[str]) -> str:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    if isinstance(annotation, ast.Subscript):
        inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        outer = ast.unparse(annotation.value)
        if outer.endswith("Annotated"):
            return _kind(inner[0], enums)
        kinds = {_kind(one, enums) for one in inner if ast.unparse(one) != "None"}
        return "node" if kinds == {"node"} and outer.endswith(("Union", "Optional")) else ast.unparse(annotation)
    if isinstance(annotation, ast.BinOp):
        sides = (annotation.left, annotation.right)
        kinds = {_kind(side, enums) for side in sides if ast.unparse(side) != "None"}
        return "node" if kinds == {"node"} else ast.unparse(annotation)
    name = ast.unparse(annotation).rpartition(".")[2]
    if name.startswith("vtkMRML"):
        return "node"
    return "enum" if name in enums else name


def parameter_problems(ui: UiFile, fields: dict[str, str]) -> list[str]:
    """One line for each widget that is bound to no field, or to one that it cannot show."""
    wrong = []
    for widget, parameter in ui.parameters.items():
        kind = fields.get(parameter)
        if kind is None:
            wrong.append(f"{widget} is bound to {parameter!r}, which is no field of the parameter node")
        elif ui.classes[widget] not in CONNECTED.get(kind, set()):
            wrong.append(f"{widget}, a {ui.classes[widget]}, cannot show {parameter}, which is {kind}")
    return wrong


def resources(source: str) -> list[str]:
    """Arguments of resourcePath("...") in some code."""
    return [
        node.args[0].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "resourcePath"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ]
