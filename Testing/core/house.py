"""Reads the repository as text: CMake lists, the files that should be in them, imports, roles and docstrings."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = "SparseToPreciseLib"


def family_rows(root: Path = ROOT) -> list[dict[str, str]]:
    """What each row of families.py says, by field."""
    tree = ast.parse((root / "SparseToPrecise" / LIBRARY / "families.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Family"]
    return [{one.arg: ast.literal_eval(one.value) for one in call.keywords} for call in calls]


#: The folder of each family below the library, and the file of its verb: the function on volumes.
VERBS = {
    "/".join(folders): f"{file}.py"
    for *folders, file in (row["verb"].partition(":")[0].split(".") for row in family_rows())
}
FAMILIES = tuple(dict.fromkeys(folder.partition("/")[0] for folder in VERBS))
MODULE = "module"  # <Module>/<Module>.py, and packages beside it such as a Segment Editor effect
PACKAGE = "package"  # files directly in the library's folder

#: Packages below the families that have no model and no training: their measures are for all families.
WITHOUT_MODEL = ("comparison",)
#: Packages with a verb of their own that need no model yet: no family imports them.
NO_MODEL_YET = ("planes",)
#: What each layer may import of the library, besides itself and the bare package.
ALLOWED: dict[str, set[str]] = {
    PACKAGE: set(),
    "core": set(),
    "phantoms": {"core"},
    "anatomy": {"core", "phantoms"},
    **{package: {"core"} for package in WITHOUT_MODEL},
    **{family: {"core", *WITHOUT_MODEL} for family in (*NO_MODEL_YET, *FAMILIES)},
    "mrml": {"core", *WITHOUT_MODEL, *NO_MODEL_YET, *FAMILIES},
    "desktop": {"core", *WITHOUT_MODEL, *NO_MODEL_YET, *FAMILIES, "mrml"},
    "pictures": {"core", *WITHOUT_MODEL, *NO_MODEL_YET, *FAMILIES},
    "tasks": {"core", *WITHOUT_MODEL, *NO_MODEL_YET, *FAMILIES, "phantoms", "mrml", "pictures"},
    "cli": {"core", *WITHOUT_MODEL, *NO_MODEL_YET, *FAMILIES, "phantoms", "mrml", "tasks"},
    MODULE: {"core", *WITHOUT_MODEL, *NO_MODEL_YET, *FAMILIES, "phantoms", "mrml", "desktop"},
}
SLICER = re.compile(r"^(slicer|slicer_core|vtk\w*|sitkUtils)$")
QT = re.compile(r"^(qt|ctk|PythonQt|qSlicer\w*PythonQt|PySide\d?|PyQt\d?)$")
MAY_SLICER = {"mrml", "desktop", MODULE}
MAY_QT = {"desktop", MODULE}
#: The only files of a family that may generate phantoms or draw real anatomy: what trains on them.
TRAINS = re.compile(r"^((training|dataset)\w*|scenes|cases|trainer|recipe)\.py$")


def module_folders(root: Path = ROOT) -> list[Path]:
    """Folders at the top that hold a Slicer module: <Name>/<Name>.py."""
    return sorted(path.parent for path in root.glob("*/*.py") if path.stem == path.parent.name)


def files_below(folder: Path) -> Iterator[str]:
    """Paths relative to `folder` of every file that belongs to the source, with forward slashes."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not hidden and path.name != "CMakeLists.txt" and path.suffix != ".pyc":
            yield "/".join(parts)


def cmake_list(text: str, variable: str) -> list[str]:
    """The values of `set(variable ...)`, with ${MODULE_NAME} filled in; comments are dropped."""
    text = re.sub(r"(?m)#.*$", "", text)
    match = re.search(rf"(?s)\bset\s*\(\s*{variable}\b([^)]*)\)", text)
    if match is None:
        raise AssertionError(f"there is no set({variable} ...)")
    values = match.group(1).split()
    if "${MODULE_NAME}" in match.group(1):
        (name,) = cmake_list(text, "MODULE_NAME")
        values = [value.replace("${MODULE_NAME}", name) for value in values]
    return values


def cmake_string(text: str, variable: str) -> str:
    """The value of `set(variable "...")` on one line, as the Extensions Index reads it."""
    match = re.search(rf'set\s*\(\s*{variable}\s*"([^"\n]+)"\s*\)', text)
    if match is None:
        raise AssertionError(f'there is no line set({variable} "...")')
    return match.group(1)


def list_differences(where: str, listed: list[str], wanted: list[str]) -> str:
    """Empty when both agree, else the very lines to add to and to remove from the list."""
    add, remove = sorted(set(wanted) - set(listed)), sorted(set(listed) - set(wanted))
    twice = sorted({value for value in listed if listed.count(value) > 1})
    parts = []
    for words, values in (("add", add), ("remove", remove), ("leave only once", twice)):
        if values:
            parts.append(f"{where}: {words}\n" + "\n".join(f"  {value}" for value in values))
    return "\n".join(parts)


def layer_of(path: Path, root: Path = ROOT) -> str:
    """The layer that a source file belongs to."""
    parts = path.relative_to(root).parts
    if LIBRARY not in parts:
        return MODULE
    below = parts[parts.index(LIBRARY) + 1 :]
    return below[0] if len(below) > 1 else PACKAGE


def imported_modules(path: Path, root: Path = ROOT) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of every import of a file, also inside functions and by importlib."""
    parts = path.relative_to(root).parts
    package = list(parts[parts.index(LIBRARY) : -1]) if LIBRARY in parts else list(parts[1:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            # `from package import name`: the name may itself be a module.
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def wrong_arrows(root: Path = ROOT) -> list[str]:
    """One line for each import that points the wrong way, in every module folder and the library."""
    wrong = []
    for folder in module_folders(root):
        for path in sorted(folder.rglob("*.py")):
            layer = layer_of(path, root)
            where = path.relative_to(root).as_posix()
            if layer not in ALLOWED:
                wrong.append(f"{where}: {layer} is no layer of the house; add it to ALLOWED with its arrows")
                continue
            for line, name in imported_modules(path, root):
                problem = _problem(layer, path.name, name)
                if problem:
                    wrong.append(f"{where}:{line}: {problem}")
    return wrong


def _problem(layer: str, file_name: str, imported: str) -> str:
    first, *rest = imported.split(".")
    if SLICER.match(first) and layer not in MAY_SLICER:
        return f"{layer} imports {imported}; only mrml, desktop and the module files touch Slicer and VTK"
    if QT.match(first) and layer not in MAY_QT:
        return f"{layer} imports {imported}; only desktop and the module files touch Qt"
    target = rest[0] if first == LIBRARY and rest else ""
    if target not in ALLOWED or target == layer or target in ALLOWED[layer]:
        return ""
    if layer in FAMILIES and target in ("phantoms", "anatomy") and TRAINS.match(file_name):
        return ""
    return f"{layer} imports {imported}; it may import {', '.join(sorted(ALLOWED[layer])) or 'nothing'} of the library"


def import_graph(root: Path = ROOT) -> dict[str, set[str]]:
    """The modules of the library that each of them imports, also inside functions and for type checkers."""
    base = root / "SparseToPrecise"
    paths = {}
    for path in sorted((base / LIBRARY).rglob("*.py")):
        parts = path.relative_to(base).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph: dict[str, set[str]] = {}
    for module, path in paths.items():
        graph[module] = set()
        for _, name in imported_modules(path, root):
            while name and name not in paths:  # a name within a module
                name = name.rpartition(".")[0]
            if name and name != module:
                graph[module].add(name)
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import one another, each sorted."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for name in graph[waiting.pop()] - seen:
                seen.add(name)
                waiting.append(name)
        return seen

    ahead = {module: reached(module) for module in graph}
    groups = {
        tuple(sorted(other for other in ahead[module] if module in ahead[other]))
        for module in graph
        if module in ahead[module]
    }
    return [list(group) for group in sorted(groups)]


#: Roles that every family has; measures that several families of a package share stand beside these.
ROLES = ("model.py", "metrics.py", "recipe.py", "trainer.py")
#: Other names of a role, and the name that it bears here.
SYNONYMS = {
    r"training\w*|train|fit|learning|\w+_training": "trainer.py or recipe.py",
    r"\w*card|facts": "recipe.py, and the template of the card in Resources",
    r"loss|objectives?": "losses.py",
    r"net|nets|networks|unet|architecture": "network.py",
    r"models|opened_model|checkpoints?": "model.py",
    r"channels|\w+_channels|features|preprocessing|preparation": "inputs.py",
    r"native|working|lattice|resampling": "working_grid.py",
    r"looking|finder|finding|infer|predict|predicting|prediction|inferer|run|running": "inference.py",
    r"cleanup|clean_up|cleaning|post_processing": "postprocessing.py",
    r"calibration|calibrating|doubt|rejection|reliability": "confidence.py",
    r"measures|evaluation|scores": "metrics.py",
    r"dataset\w*|data|samples": "cases.py",
    r"simulated_(errors?|boxes|cases)|simulator|simulating": "simulation.py",
    r"likeness|alikeness|alike": "similarity.py",
    r"carried|carrying": "propagation.py",
}


def wrong_roles(root: Path = ROOT) -> list[str]:
    """One line for each role that a family lacks or calls otherwise."""
    library = root / "SparseToPrecise" / LIBRARY
    wrong = []
    for family, verb in VERBS.items():
        folder = library / family
        shared = folder.parent if folder.parent != library else folder
        for role in (verb, *ROLES):
            if not (folder / role).is_file() and not (shared / role).is_file():
                wrong.append(f"{family} has no {role}")
        for path in sorted({*folder.glob("*.py"), *shared.glob("*.py")}):
            for pattern, role in SYNONYMS.items():
                if re.fullmatch(pattern, path.stem):
                    wrong.append(f"{path.relative_to(library).as_posix()}: this role is called {role}")
    return sorted(set(wrong))


def fragments(root: Path = ROOT) -> list[str]:
    """One line for each docstring, also of a constant, that begins as a fragment: "Of ..." or "What ..."."""
    wrong = []
    for folder in module_folders(root):
        for path in sorted(folder.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                text = node.value.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else None
                if isinstance(text, str) and re.match(r"\s*(Of|What)\s", text):
                    wrong.append(f"{path.relative_to(root).as_posix()}:{node.lineno}: {text.strip().splitlines()[0]}")
    return wrong


#: Words that name nothing in the field, and those of the field in their place.
WORDS = {
    "looking": "prediction or inference",
    "carried": "propagated",
    "finder": "predictor",
    "native": "the image's own grid",
    "likeness": "similarity",
    "alikeness": "similarity",
    "doubt": "rejection",
    "doubtful": "uncertain",
}


def wrong_words(root: Path = ROOT) -> list[str]:
    """One line for each function, class, argument or variable of the library with a word of `WORDS` in its name.

    Annotated fields are left out: they may be keys of files that users have. So is `moved.py`: its finder is Python's.
    """
    library = root / "SparseToPrecise" / LIBRARY
    wrong = []
    for path in sorted(library.rglob("*.py")):
        if path.name == "moved.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        fields = {id(node.target) for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)}
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                name = node.name
            elif isinstance(node, ast.arg):
                name = node.arg
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in fields:
                name = node.id
            else:
                continue
            for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name):
                if word.lower() in WORDS:
                    where = f"{path.relative_to(library).as_posix()}:{node.lineno}"
                    wrong.append(f"{where}: {name}; say {WORDS[word.lower()]}")
    return wrong


def missing_places(page: Path, root: Path = ROOT) -> list[str]:
    """Names in a page's backticks that look like a file, folder, module or function of the repository and are none.

    A name with a slash or a file's extension, or a dotted one that begins with a package of the library; relative to
    the repository, the home module, the library or the page. Code blocks, and names with <placeholders>, do not count.
    """
    library = root / "SparseToPrecise" / LIBRARY
    packages = {path.name for path in library.iterdir() if path.is_dir()}
    bases = (root, library.parent, library, page.parent)

    def is_there(place: str) -> bool:
        if any(next(base.glob(f"{place}{end}"), None) for base in bases for end in ("", ".py")):
            return True
        if "/" not in place:  # a role or a config, which several families have
            return next(library.parent.rglob(place), None) is not None
        module, _, name = place.rpartition("." if "." in place.rpartition("/")[2] else "/")
        files = [base / f"{module}.py" for base in bases if (base / f"{module}.py").is_file()]
        defined = re.compile(rf"(?m)^\s*(def |class )?{re.escape(name)}\b")
        return any(defined.search(file.read_text(encoding="utf-8")) for file in files)

    missing = []
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))
    for name in re.findall(r"`(\w[^`\s<>]*|\.github[^`\s<>]*)`", text):
        dotted = re.fullmatch(r"\w+(\.\w+)+", name) and name.partition(".")[0] in packages
        place = (name.replace(".", "/") if dotted else name).rstrip("/")
        looks_like_a_place = "/" in name or dotted or re.search(r"\.(py|md|json|toml|txt|yml|sh|ui|svg)$", name)
        if looks_like_a_place and not is_there(place):
            missing.append(name)
    return missing


def code_lines(source: str) -> int:
    """Lines with code: neither blank, nor comment, nor docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines - {source.count("\n") + 1})  # the end of the file is a token, too


def too_long(root: Path = ROOT) -> list[str]:
    """One line for each source that is longer than its kind may be.

    Module folders: 150 lines of code, the Segment Editor effect 250. The library has one public concept a file: past
    450 lines of text it is likely two.
    """
    wrong = []
    for folder in module_folders(root):
        for path in sorted(folder.rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            if layer_of(path, root) != MODULE:
                count, limit, what = len(source.splitlines()), 450, "lines"
                advice = "split it where it holds two concepts"
            else:
                effect = path.name == "SegmentEditorEffect.py"
                count, limit, what = code_lines(source), 250 if effect else 150, "lines of code"
                advice = "move what needs no widget into the library"
            if count > limit:
                wrong.append(f"{path.relative_to(root).as_posix()} has {count} {what}; at most {limit}: {advice}")
    return wrong
