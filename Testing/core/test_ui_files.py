"""Every widget, signal, parameter and resource that a module's code names is there, with the class the code assumes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import house
import ui_files

MODULES = house.module_folders()
SOURCES = [path for folder in MODULES for path in sorted(folder.rglob("*.py"))]
SOURCES += sorted((house.ROOT / "Testing" / "desktop").glob("test_*.py"))


def relative(path: Path) -> str:
    return path.relative_to(house.ROOT).as_posix()


@cache
def widgets_of(ui: Path) -> dict[str, str]:
    return ui_files.parse(ui).classes


@cache
def all_ui_files() -> list[Path]:
    return [ui for folder in MODULES for ui in sorted(folder.rglob("*.ui"))]


def widgets_for(path: Path) -> dict[str, str]:
    """Classes by name: of the .ui files that a source names, else of all of its module, else of all modules."""
    everywhere = all_ui_files()
    source = path.read_text(encoding="utf-8")
    named = [ui for ui in everywhere if ui.name in source]
    beside = [ui for ui in everywhere if ui.relative_to(house.ROOT).parts[0] == path.relative_to(house.ROOT).parts[0]]
    return {name: one for ui in named or beside or everywhere for name, one in widgets_of(ui).items()}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_widgets_that_the_code_names_exist_with_the_class_it_assumes(path: Path):
    wrong = ui_files.problems(path.read_text(encoding="utf-8"), widgets_for(path))
    assert not wrong, "\n".join(f"{relative(path)}, {line}" for line in wrong)


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_every_ui_file_is_loaded_and_its_widgets_are_known(folder: Path):
    code = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    for path in folder.rglob("*.ui"):
        assert f"UI/{path.name}" in code, f"{relative(path)} is used nowhere"
        unknown = {one for one in ui_files.parse(path).classes.values() if one not in ui_files.CLASSES}
        assert not unknown - {"Line", "Spacer"}, f"{relative(path)}: add {sorted(unknown)} to qt_widgets.json"


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_parameters_bound_in_ui_files_are_fields_that_their_widgets_can_show(folder: Path):
    fields = {}
    for path in folder.rglob("*.py"):
        fields |= ui_files.parameter_fields(path.read_text(encoding="utf-8"))
    for path in folder.rglob("*.ui"):
        wrong = ui_files.parameter_problems(ui_files.parse(path), fields)
        assert not wrong, "\n".join(f"{relative(path)}: {line}" for line in wrong)


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_resources_that_the_code_names_exist_and_are_packaged(folder: Path):
    listed = house.cmake_list((folder / "CMakeLists.txt").read_text(encoding="utf-8"), "MODULE_PYTHON_RESOURCES")
    module = (folder / f"{folder.name}.py").read_text(encoding="utf-8")
    for name in ui_files.resources(module):
        assert (folder / "Resources" / name).is_file(), f"{folder.name} has no Resources/{name}"
        assert f"Resources/{name}" in listed, f"{folder.name}/CMakeLists.txt does not list Resources/{name}"


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_every_module_has_an_icon(folder: Path):
    icons = [folder / "Resources" / "Icons" / f"{folder.name}.{extension}" for extension in ("svg", "png")]
    assert any(icon.is_file() for icon in icons), f"none of {[relative(icon) for icon in icons]} exists"


def test_every_effect_has_an_icon_that_its_code_names():
    effects = [path for path in SOURCES if path.name == "SegmentEditorEffect.py"]
    for path in effects:
        package = "\n".join(other.read_text(encoding="utf-8") for other in path.parent.glob("*.py"))
        module = house.ROOT / path.relative_to(house.ROOT).parts[0]
        icons = [icon for icon in (module / "Resources" / "Icons").glob("*") if icon.stem != module.name]
        assert any(icon.name in package for icon in icons), f"{relative(path)} names no icon of {module.name}"


# ---------------------------------------------------------------------------------------------- planted failures

UI = """<ui><class>M</class><widget class="qMRMLWidget" name="M"><layout class="QVBoxLayout" name="box">
<item><widget class="QPushButton" name="applyButton"/></item>
<item><widget class="qMRMLNodeComboBox" name="imageSelector">
 <property name="SlicerParameterName" stdset="0"><string>image</string></property></widget></item>
<item><widget class="ctkSliderWidget" name="radius">
 <property name="SlicerParameterName" stdset="0"><string>radius</string></property></widget></item>
</layout></widget></ui>"""


@pytest.fixture
def ui(tmp_path: Path) -> ui_files.UiFile:
    (tmp_path / "M.ui").write_text(UI)
    return ui_files.parse(tmp_path / "M.ui")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("self.ui.applyButtom.enabled = True", "no .ui file has a widget applyButtom"),
        ("widget.ui.runButton.click()", "no .ui file has a widget runButton"),
        ("self.ui.applyButton.setCurrentNode(n)", "a QPushButton has no setCurrentNode"),
        ("self.ui.imageSelector.currentNode().x = self.ui.imageSelector.value", "a qMRMLNodeComboBox has no value"),
        ("self.ui.applyButton.enabled()", "enabled of a QPushButton is a property in Python; it cannot be called"),
        ("def f(self):\n b = self.ui.applyButton\n b.setMRMLScene(1)", "a QPushButton has no setMRMLScene"),
        ("self.ui.radius.connect('valueChanged(int)', f)", "a ctkSliderWidget has no signal valueChanged(int)"),
        ("self.ui.applyButton.connect('triggered(bool)', f)", "a QPushButton has no signal triggered(bool)"),
        ("class A:\n def f(self):\n  self.b = qt.QLabel()\n def g(self):\n  self.b.click()", "a QLabel has no click"),
        ("def f():\n t = qt.QTimer()\n t.connect('timeout(int)', g)", "a QTimer has no signal timeout(int)"),
    ],
)
def test_a_planted_wrong_use_is_found(ui: ui_files.UiFile, code: str, problem: str):
    (found,) = ui_files.problems(code, ui.classes)
    assert found.partition(": ")[2] == problem


@pytest.mark.parametrize(
    "code",
    [
        "self.ui.applyButton.enabled = self.ui.imageSelector.currentNode() is not None",
        "self.ui.applyButton.connect('clicked(bool)', self.onApply); self.ui.applyButton.clicked.connect(f)",
        "self.ui.imageSelector.connect('currentNodeChanged(vtkMRMLNode *)', f)",
        "self.ui.row = Row(); self.ui.box.addWidget(self.ui.row); self.ui.row.whatever()",
        "def f(self):\n b = self.ui.applyButton\n b.click()\ndef g(self):\n b = other()\n b.anything()",
        "class A:\n def f(self):\n  self.b = None\n  self.b = qt.QLabel()\n  self.b.anything()",
        "def f():\n t = qt.QTimer()\n t.connect('timeout()', g)\n t.timeout.connect(g)\n t.start(5)",
    ],
)
def test_right_uses_pass(ui: ui_files.UiFile, code: str):
    assert ui_files.problems(code, ui.classes) == []


NODE = "@parameterNodeWrapper\nclass P:\n    image: vtkMRMLScalarVolumeNode\n    "


@pytest.mark.parametrize(
    ("radius", "count"),
    [("radius: Annotated[float, WithinRange(1, 9)] = 5.0", 0), ("radius: str", 1), ("radii: float", 1)],
)
def test_parameters_are_compared_with_the_widgets(ui: ui_files.UiFile, radius: str, count: int):
    assert len(ui_files.parameter_problems(ui, ui_files.parameter_fields(NODE + radius))) == count


def test_kinds_of_fields():
    code = (
        "class Output(Enum):\n    NEW = 1\n"
        "@parameterNodeWrapper\nclass P:\n    a: Output\n    b: slicer.vtkMRMLMarkupsNode | None\n    c: pathlib.Path\n"
        "    d: Union[vtkMRMLMarkupsCurveNode, vtkMRMLMarkupsFiducialNode]\n    e: list[str]\n"
    )
    assert ui_files.parameter_fields(code) == {"a": "enum", "b": "node", "c": "Path", "d": "node", "e": "list[str]"}


def test_a_name_given_twice_is_an_error(tmp_path: Path):
    (tmp_path / "M.ui").write_text(UI.replace('name="radius"', 'name="applyButton"'))
    with pytest.raises(AssertionError, match="two objects are called applyButton"):
        ui_files.parse(tmp_path / "M.ui")


def test_resources_are_read_from_the_code():
    assert ui_files.resources("self.resourcePath('UI/M.ui'); resourcePath(x); self.resourcePath(name)") == ["UI/M.ui"]
