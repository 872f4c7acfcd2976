"""The house stands as drawn: CMake lists match the tree, imports point one way, versions agree."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import house
from SparseToPreciseLib import __version__, moved
from SparseToPreciseLib.core.requirements import PYTORCH

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = tomllib.loads((house.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RESOURCES = house.ROOT / "SparseToPrecise" / "Resources"
MODULES = house.module_folders()


def requirements(lines: list[str], python: str = "3.11") -> dict[str, Requirement]:
    """By normalised name, those whose markers hold for a version of Python."""
    parsed = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    valid = [one for one in parsed if one.marker is None or one.marker.evaluate({"python_version": python})]
    found = {re.sub(r"[-_.]+", "-", one.name).lower(): one for one in valid}
    assert len(found) == len(valid), f"a package stands twice for Python {python}"
    return found


# ---------------------------------------------------------------------------------------------- CMake lists


def test_root_cmake_adds_every_module_folder():
    text = (house.ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    added = re.findall(r"(?m)^\s*add_subdirectory\((\w+)\)", text)
    assert not (message := house.list_differences("CMakeLists.txt", added, [m.name for m in MODULES])), message


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_module_cmake_lists_equal_the_tree(folder: Path):
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    files = list(house.files_below(folder))
    scripts = [name for name in files if name.endswith(".py")]
    resources = [name for name in files if not name.endswith(".py")]
    where = f"{folder.name}/CMakeLists.txt, MODULE_PYTHON_"
    message = house.list_differences(where + "SCRIPTS", house.cmake_list(text, "MODULE_PYTHON_SCRIPTS"), scripts)
    message += house.list_differences(
        "\n" + where + "RESOURCES", house.cmake_list(text, "MODULE_PYTHON_RESOURCES"), resources
    )
    assert not message, "\n" + message


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_ctest_runs_the_generic_tests_and_those_of_the_module(folder: Path):
    text = re.sub(r"(?m)#.*$", "", (folder / "CMakeLists.txt").read_text(encoding="utf-8"))
    (name,) = house.cmake_list(text, "MODULE_NAME")
    assert name == folder.name
    assert re.search(r"slicerMacroBuildScriptedModule\([^)]*\bWITH_GENERIC_TESTS\b", text)
    assert re.search(r"slicer_add_python_unittest\(\s*SCRIPT \$\{MODULE_NAME\}\.py\b", text)


def test_the_comparison_sees_missing_surplus_and_doubled_lines():
    text = "set(MODULE_NAME Foo)\nset(LIST\n  ${MODULE_NAME}.py  # the module\n  FooLib/gone.py\n  a.png a.png\n  )"
    listed = house.cmake_list(text, "LIST")
    assert listed == ["Foo.py", "FooLib/gone.py", "a.png", "a.png"]
    message = house.list_differences("Foo", listed, ["Foo.py", "FooLib/new.py", "a.png"])
    assert message == "Foo: add\n  FooLib/new.py\nFoo: remove\n  FooLib/gone.py\nFoo: leave only once\n  a.png"


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_only_the_module_itself_lies_directly_in_its_folder(folder: Path):
    # Slicer takes every .py in a module folder for a module; under --testing a stranger ends it with an error.
    assert [path.name for path in folder.glob("*.py")] == [f"{folder.name}.py"]


def test_extension_metadata_is_complete_and_its_icon_exists():
    text = (house.ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.search(r"(?m)^project\(SparseToPrecise\b", text)
    for variable in ("HOMEPAGE", "CATEGORY", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"):
        house.cmake_string(text, f"EXTENSION_{variable}")
    assert house.cmake_string(text, "EXTENSION_DEPENDS") == "PyTorch"
    urls = house.cmake_string(text, "EXTENSION_SCREENSHOTURLS").split()
    for url in [house.cmake_string(text, "EXTENSION_ICONURL"), *urls]:
        picture = house.ROOT / url.partition("/main/")[2]
        assert picture.suffix == ".png" and picture.is_file(), f"{url} points to no file of the repository"

    entry = json.loads((house.ROOT / "Resources" / "SparseToPrecise.json").read_text(encoding="utf-8"))
    assert entry["build_dependencies"] == [house.cmake_string(text, "EXTENSION_DEPENDS")]
    assert entry["category"] == house.cmake_string(text, "EXTENSION_CATEGORY")
    assert house.cmake_string(text, "EXTENSION_HOMEPAGE").startswith(entry["scm_url"])


# ---------------------------------------------------------------------------------------------- arrows


def test_imports_point_one_way():
    wrong = house.wrong_arrows()
    assert not wrong, "wrong arrows:\n" + "\n".join(wrong)


def planted(root: Path, file: str, source: str) -> list[str]:
    """What the checker says of a small tree that holds a home module and one more file."""
    home = root / "SparseToPrecise" / "SparseToPrecise.py"
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    home.parent.mkdir(exist_ok=True)
    home.write_text("import qt, slicer\nfrom SparseToPreciseLib.core import bundles\n")
    path.write_text(source)
    return house.wrong_arrows(root)


LIB = "SparseToPrecise/SparseToPreciseLib"


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (f"{LIB}/core/volume.py", "from ..editing import edit"),
        (f"{LIB}/core/volume.py", "from SparseToPreciseLib import phantoms"),
        (f"{LIB}/core/volume.py", "from ..comparison import overlap"),
        (f"{LIB}/comparison/compare.py", "from ..boxes import metrics"),
        (f"{LIB}/core/volume.py", "def f():\n    import slicer"),
        (f"{LIB}/core/networks.py", "import importlib as i\ni.import_module('SparseToPreciseLib.boxes.net')"),
        (f"{LIB}/editing/edit.py", "import SparseToPreciseLib.synthesis.network as other"),
        (f"{LIB}/editing/edit.py", "from .. import boxes"),
        (f"{LIB}/editing/edit.py", "from ..phantoms import make_phantom"),
        (f"{LIB}/editing/edit.py", "from ..anatomy.cases import AnatomyCubes"),
        (f"{LIB}/phantoms/fields.py", "from ..anatomy.looks import random_look"),
        (f"{LIB}/editing/edit.py", "from vtkmodules.util import numpy_support"),
        (f"{LIB}/phantoms/shapes.py", "from ..editing.guidance import attention"),
        (f"{LIB}/mrml/volumes.py", "import qt"),
        (f"{LIB}/mrml/volumes.py", "from ..desktop.worker import Worker"),
        (f"{LIB}/cli/main.py", "def picture():\n    import vtk"),
        (f"{LIB}/cli/main.py", "from ..desktop import child"),
        (f"{LIB}/desktop/panel.py", "from ..cli.main import run"),
        (f"{LIB}/__init__.py", "from .core.volume import Volume"),
        (f"{LIB}/helpers/misc.py", ""),
        ("EditingModule/EditingModule.py", "from SparseToPreciseLib.cli import main"),
    ],
)
def test_a_planted_wrong_arrow_is_found(tmp_path: Path, file: str, source: str):
    wrong = planted(tmp_path, file, source)
    assert len(wrong) == 1 and wrong[0].startswith(file), wrong


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (f"{LIB}/editing/trainer.py", "from ..phantoms import make_phantom\nimport torch"),
        (f"{LIB}/editing/cases.py", "from ..anatomy.cases import AnatomyCubes"),
        (f"{LIB}/anatomy/looks.py", "from ..phantoms.fields import smooth_field"),
        (f"{LIB}/boxes/metrics.py", "from ..comparison.overlap import overlap"),
        (f"{LIB}/editing/edit.py", "from .. import __version__\nfrom ..core.volume import Volume\nfrom . import warps"),
        (f"{LIB}/mrml/volumes.py", "import slicer\nimport vtk.util.numpy_support\nfrom ..editing.edit import edit"),
        (f"{LIB}/cli/edit.py", "from ..mrml import files\nfrom SparseToPreciseLib.phantoms import make_phantom"),
        (f"{LIB}/desktop/panel.py", "import ctk, qt, slicer\nfrom ..mrml import volumes"),
        ("EditingModule/EditingModuleLib/SegmentEditorEffect.py", "import qt, vtk\nfrom . import other"),
    ],
)
def test_right_arrows_pass(tmp_path: Path, file: str, source: str):
    assert planted(tmp_path, file, source) == []


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("SparseToPreciseLib", {"numpy", "torch", "monai", "vtk", "slicer"}),
        ("SparseToPreciseLib.core.requirements", {"numpy", "torch", "monai", "vtk", "slicer"}),
        ("SparseToPreciseLib.core.bundles", {"torch", "monai", "vtk", "slicer"}),
        ("SparseToPreciseLib.editing.edit", {"torch", "monai", "vtk", "slicer"}),
        ("SparseToPreciseLib.comparison.compare", {"torch", "monai", "vtk", "slicer", "skimage"}),
        ("SparseToPreciseLib.cli.main", {"torch", "monai", "vtk", "slicer"}),
    ],
)
def test_light_modules_import_nothing_heavy(module: str, absent: set[str]):
    code = f"import sys, {module}; print(sorted({absent!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=house.ROOT / "SparseToPrecise", capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


# ---------------------------------------------------------------------------------------------- circles and roles


def test_imports_form_no_circle():
    wrong = house.circles(house.import_graph())
    assert not wrong, "modules that import one another:\n" + "\n".join(" <-> ".join(circle) for circle in wrong)


@pytest.mark.parametrize(
    ("sources", "circle"),
    [
        ({"core/a.py": "from . import b", "core/b.py": "from .c import x", "core/c.py": "import os"}, []),
        ({"core/a.py": "from . import b", "core/b.py": "def f():\n    from .a import x"}, ["core.a", "core.b"]),
        (
            {
                "core/a.py": "from .b import x",
                "editing/card.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .recipe import R",
                "editing/recipe.py": "from ..core.a import y\nfrom .card import z",
            },
            ["editing.card", "editing.recipe"],
        ),
        ({f"core/{a}.py": f"from .{b} import x" for a, b in ("ab", "bc", "ca")}, ["core.a", "core.b", "core.c"]),
        ({"core/__init__.py": "from .a import x", "core/a.py": "from . import y"}, ["core", "core.a"]),
    ],
)
def test_a_planted_circle_is_found(tmp_path: Path, sources: dict[str, str], circle: list[str]):
    for file, source in sources.items():
        planted(tmp_path, f"{LIB}/{file}", source)
    expected = [[f"{house.LIBRARY}.{name}" for name in circle]] if circle else []
    assert house.circles(house.import_graph(tmp_path)) == expected


def test_families_have_the_same_roles_by_the_same_names():
    wrong = house.wrong_roles()
    assert not wrong, "\n".join(wrong)


def families_of(root: Path) -> Path:
    """A library of empty files in which every family has every role."""
    library = root / "SparseToPrecise" / house.LIBRARY
    for family, verb in house.VERBS.items():
        (library / family).mkdir(parents=True)
        for role in (verb, *house.ROLES):
            (library / family / role).touch()
    return library


@pytest.mark.parametrize(
    ("removed", "added", "line"),
    [
        (None, "synthesis/hu.py", None),
        (None, "boxes/slices.py", None),
        ("boxes/corrector/metrics.py", "boxes/metrics.py", None),
        ("editing/edit.py", None, "editing has no edit.py"),
        ("editing/metrics.py", "metrics.py", "editing has no metrics.py"),
        ("boxes/segmenter/trainer.py", None, "boxes/segmenter has no trainer.py"),
        ("landmarks/recipe.py", "landmarks/training.py", "landmarks has no recipe.py"),
        (None, "landmarks/training_run.py", "landmarks/training_run.py: this role is called trainer.py or recipe.py"),
        (None, "editing/loss.py", "editing/loss.py: this role is called losses.py"),
        (None, "synthesis/native.py", "synthesis/native.py: this role is called working_grid.py"),
        (None, "boxes/looking.py", "boxes/looking.py: this role is called inference.py"),
        (None, "boxes/corrector/calibrating.py", "boxes/corrector/calibrating.py: this role is called confidence.py"),
    ],
)
def test_a_planted_role_is_found(tmp_path: Path, removed: str | None, added: str | None, line: str | None):
    library = families_of(tmp_path)
    assert not house.wrong_roles(tmp_path)
    if removed:
        (library / removed).unlink()
    if added:
        (library / added).touch()
    wrong = house.wrong_roles(tmp_path)
    assert line in wrong if line else not wrong


def test_names_are_words_of_the_field():
    wrong = house.wrong_words()
    assert not wrong, "\n".join(wrong)


def test_planted_words_are_found(tmp_path: Path):
    source = "class Finder:\n    likeness: float = 0.1\n\n\ndef local_alikeness(native_grid):\n    DOUBTFUL = 1\n"
    planted(tmp_path, f"{LIB}/core/a.py", source)
    planted(tmp_path, f"{LIB}/moved.py", "finder = 1\n")
    assert [line.split()[1] for line in house.wrong_words(tmp_path)] == [
        "Finder;",
        "local_alikeness;",
        "native_grid;",
        "DOUBTFUL;",
    ]


def test_docstrings_are_no_fragments():
    wrong = house.fragments()
    assert not wrong, "\n".join(wrong)


def test_planted_fragments_are_found(tmp_path: Path):
    source = (
        '"""What a module says."""\nX = 1\n"""Of the voxels."""\n\n\ndef f():\n    """Off-centre boxes."""\n'
        '    return "What a value"\n\n\nclass C:\n    """\n    Of a class.\n    """\n'
    )
    planted(tmp_path, f"{LIB}/core/a.py", source)
    lines = [line.partition(":")[2] for line in house.fragments(tmp_path)]
    assert lines == ["1: What a module says.", "3: Of the voxels.", "12: Of a class."]


# ---------------------------------------------------------------------------------------------- length


def test_no_source_is_too_long():
    wrong = house.too_long()
    assert not wrong, "\n".join(wrong)


def test_lines_of_code_are_neither_blank_nor_comments_nor_docstrings():
    source = '"""Module\n\ntext."""\n\nimport a  # why\n\n\ndef f():\n    "doc"\n    # note\n    return """x\n\ny"""\n'
    assert house.code_lines(source) == 5


@pytest.mark.parametrize(
    ("file", "lines", "wrong"),
    [
        ("EditingModule/EditingModule.py", 150, False),
        ("EditingModule/EditingModule.py", 151, True),
        ("EditingModule/EditingModuleLib/SegmentEditorEffect.py", 250, False),
        ("EditingModule/EditingModuleLib/SegmentEditorEffect.py", 251, True),
        ("EditingModule/EditingModuleLib/panel.py", 151, True),
        (f"{LIB}/core/volume.py", 450, False),
        (f"{LIB}/core/volume.py", 451, True),
    ],
)
def test_a_planted_long_source_is_found(tmp_path: Path, file: str, lines: int, wrong: bool):
    planted(tmp_path, "EditingModule/EditingModule.py", "")
    planted(tmp_path, file, "# a comment\n\n" * (LIB not in file) + "x = 1\n" * lines)
    assert [line.partition(" ")[0] for line in house.too_long(tmp_path)] == [file] * wrong


# ---------------------------------------------------------------------------------------------- package


def test_one_version_everywhere():
    version = Version(__version__)
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "SparseToPreciseLib.__version__"}

    headings = re.findall(r"(?m)^## \[([^\]]+)\]", (house.ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    released = [Version(heading) for heading in headings if heading != "Unreleased"]
    assert headings[0] == "Unreleased" and released == sorted(released, reverse=True)
    if version.is_devrelease:
        assert all(version > release for release in released)
    else:
        assert version == released[0]

    cmake = (house.ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for stated in re.findall(r"project\([^)]*\bVERSION\s+([\d.]+)", cmake):
        assert stated == version.base_version


def test_pyproject_lists_every_package():
    library = house.ROOT / "SparseToPrecise"
    found = [".".join(path.parent.relative_to(library).parts) for path in library.rglob("__init__.py")]
    listed = PYPROJECT["tool"]["setuptools"]["packages"]
    message = house.list_differences("pyproject.toml, packages", listed, [*found, "SparseToPreciseLib.Resources"])
    assert not message, message


def test_requirements_inside_slicer_are_those_of_the_package():
    brought = {"numpy", "scipy", "simpleitk", "packaging", "slicer-core", "torch"}  # by Slicer or its PyTorch extension
    package = requirements(PYPROJECT["project"]["dependencies"])
    inside = requirements((RESOURCES / "requirements.txt").read_text(encoding="utf-8").splitlines())
    assert brought <= set(package)
    assert requirements([PYTORCH]) == {"torch": package["torch"]}
    assert {name: str(r) for name, r in inside.items()} == {
        name: str(r) for name, r in package.items() if name not in brought
    }


PYTHONS = [line.rpartition(" ")[2] for line in PYPROJECT["project"]["classifiers"] if ":: 3." in line]


def test_supported_pythons_are_those_that_the_workflow_runs():
    workflow = (house.ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert set(re.findall(r'python: "(3\.\d+)"', workflow)) == set(PYTHONS)
    assert PYPROJECT["project"]["requires-python"] == f">={PYTHONS[0]}"


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_pin_every_requirement_inside_its_range(python: str):
    pins = requirements((house.ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines(), python)
    assert str(pins["torch"]) == "torch==2.13.0"
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    lines = [*PYPROJECT["project"]["dependencies"], *(line for extra in extras for line in extra)]
    wanted = requirements(lines, python)
    for name, requirement in wanted.items():
        assert name in pins, f"constraints.txt pins no {name}"
        (pin,) = pins[name].specifier
        assert pin.operator == "==", f"{pins[name]} is no exact version"
        assert requirement.specifier.contains(pin.version), f"{pins[name]} is outside of {requirement}"


PAGES = [*house.ROOT.glob("*.md"), *(house.ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(house.ROOT).as_posix())
def test_links_of_the_pages_lead_somewhere(page: Path):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) + re.findall(r'src="([^"]+)"', text)
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken, f"{page.relative_to(house.ROOT)} links to nothing: {broken}"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_places_that_a_page_names_are_there(page: str):
    missing = house.missing_places(house.ROOT / page)
    assert not missing, f"{page} names what is not there: {', '.join(missing)}"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`core/a.py`, `core/a`, `core/a.f`, `core.a.f`, `core.a`, `core/`, `a.py`, `core/*.py`, `page.md`", []),
        (f"`{LIB}/core/a.py`, `SparseToPreciseLib/core`, `core/<verb>.py`, `make test`, `torch.nn.Module`, `f`", []),
        ("```bash\ncat `gone/b.py`\n```\n`core/a.g` and `core.a.g`", ["core/a.g", "core.a.g"]),
        ("`core/b.py`, `b.py`, `gone/`, `core/b.f`", ["core/b.py", "b.py", "gone/", "core/b.f"]),
        ("`.github/b.yml`, `../b`, `.venv/bin/python`", [".github/b.yml"]),
    ],
)
def test_planted_places_are_found(tmp_path: Path, text: str, missing: list[str]):
    planted(tmp_path, f"{LIB}/core/a.py", "def f():\n    pass\n")
    page = tmp_path / "page.md"
    page.write_text(text)
    assert house.missing_places(page, tmp_path) == missing


# ---------------------------------------------------------------------------------------------- former names


@pytest.mark.parametrize("former", sorted(moved.MOVED))
def test_a_former_module_warns_and_leads_to_where_its_names_are_now(former: str):
    library = house.ROOT / "SparseToPrecise" / house.LIBRARY
    assert not (library / (former.replace(".", "/") + ".py")).exists(), f"{former} is still a module of its own"
    for now in moved.MOVED[former]:
        assert (library / (now.replace(".", "/") + ".py")).is_file(), f"{former} leads to {now}, which is no module"


@pytest.mark.filterwarnings("ignore:.*has moved to:DeprecationWarning")
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("boxes.calibration", "Calibration"),
        ("boxes.corrector_recipe", "CorrectorRecipe"),
        ("boxes.corrector_training", "Sampling"),
        ("boxes.frame", "Frame"),
        ("boxes.looking", "View"),
        ("boxes.model", "load_corrector"),
        ("boxes.segment", "load_segmenter"),
        ("boxes.segment", "segment"),
        ("boxes.segmenter_training", "PlaneSampling"),
        ("boxes.segmenter_training", "Weights"),
        ("boxes.slice_table", "slice_rows"),
        ("boxes.tighten", "SliceBox"),
        ("boxes.tighten", "tighten"),
    ],
)
def test_names_of_former_modules_and_of_configs_of_old_bundles_are_still_there(module: str, name: str):
    pytest.importorskip("torch")
    assert callable(getattr(importlib.import_module(f"{house.LIBRARY}.{module}"), name))


def test_a_former_name_is_the_same_thing_as_the_present_one():
    code = (
        "import warnings; warnings.simplefilter('error', DeprecationWarning)\n"
        "try:\n    import SparseToPreciseLib.core.training_loop\nexcept DeprecationWarning as w: print(w)\n"
        "warnings.simplefilter('ignore')\n"
        "from SparseToPreciseLib.core.opened_model import OpenedModel as former\n"
        "from SparseToPreciseLib.core.models import OpenedModel\nprint(former is OpenedModel)\n"
        "try:\n    from SparseToPreciseLib.core.opened_model import nonsense\nexcept ImportError: print('no such name')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=house.ROOT / "SparseToPrecise", capture_output=True, text=True, check=False
    )
    assert result.stdout.splitlines() == [
        "SparseToPreciseLib.core.training_loop has moved to SparseToPreciseLib.core.training.loop.",
        "True",
        "no such name",
    ], result.stderr
