"""The Extensions Index will take the extension: what its automatic checks ask of a submission, asked here.

The rules are those of scripts/check_description_files.py and of the schema 1.0.1 in Slicer/ExtensionsIndex, as of
August 2026, as far as they need no network.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import house

ENTRY = house.ROOT / "Resources" / "SparseToPrecise.json"
CMAKE = house.ROOT / "CMakeLists.txt"
KEYS = {
    "$schema": str,
    "category": str,
    "scm_url": str,
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "enabled": bool,
    "tier": int,
}
REQUIRED = {"$schema", "category", "scm_url"}
#: Those categories of the index's list that an extension like this one may be in.
CATEGORIES = {"Active Learning", "Analysis", "Cardiac", "Image Synthesis", "Registration", "Segmentation", "Ultrasound"}
LICENCES = ("LICENSE", "LICENCE", "License.txt", "license.txt", "LICENSE.txt", "COPYING", "COPYING.txt")
SIZE_LIMIT = 100 * 1024**2  # bytes of a checkout with its .git


def entry_problems(path: Path) -> list[str]:
    """What the index would say of an entry; the file's name is the extension's."""
    content = path.read_bytes()
    if b"\r" in content:
        return ["the lines do not end with LF alone"]
    entry = json.loads(content)
    problems = [f"{key} is missing" for key in sorted(REQUIRED - set(entry))]
    problems += [f"{key} is no key of the schema" for key in sorted(set(entry) - set(KEYS))]
    problems += [
        f"{key} is no {KEYS[key].__name__}"
        for key, value in entry.items()
        if key in KEYS and (not isinstance(value, KEYS[key]) or (KEYS[key] is int and isinstance(value, bool)))
    ]
    if problems:
        return problems
    if not re.search(r"slicer-extension-catalog-entry-schema-v1\.0\.[12]\.json", entry["$schema"]):
        problems.append(f"$schema {entry['$schema']} is unknown")
    if entry["category"] not in CATEGORIES:
        problems.append(f"category {entry['category']} is not accepted")
    if not 1 <= entry.get("tier", 1) <= 5:
        problems.append(f"tier {entry['tier']} is not in 1 to 5")
    if urlsplit(entry["scm_url"]).scheme not in ("git", "https"):
        problems.append(f"scm_url {entry['scm_url']} is neither https nor git")
    repository = Path(urlsplit(entry["scm_url"].strip().strip("/")).path).stem
    if not repository.startswith("Slicer"):
        problems.append(f"the repository's name {repository} does not begin with Slicer")
    if path.stem.lower().startswith("slicer"):
        problems.append(f"the extension's name {path.stem} begins with Slicer")
    return problems


def cmake_problems(text: str, name: str) -> list[str]:
    """What the index would say of the CMakeLists.txt at the root, which it reads with regular expressions."""
    problems = []
    project = re.search(r"(?i)project\s*\(\s*([^\s)]+)", text)
    if project is None or project.group(1).strip("\"'") != name:
        problems.append(f"the project is not called {name}")
    for variable in ("EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"):
        match = re.search(rf'(?i)set\s*\({variable}\s*"([^"\n]+)"\)', text)
        if match is None:
            problems.append(f'there is no line set({variable} "...")')
            continue
        for url in match.group(1).split():
            if not re.fullmatch(r"https?://\S+\.(png|jpe?g|gif)", url):
                problems.append(f"{variable}: {url} is no picture in the web")
    return problems


def test_the_entry_keeps_to_the_rules():
    assert entry_problems(ENTRY) == []


def test_cmake_says_what_the_index_reads():
    assert cmake_problems(CMAKE.read_text(encoding="utf-8"), ENTRY.stem) == []


def test_a_licence_lies_at_the_root():
    assert any((house.ROOT / name).is_file() for name in LICENCES)


def test_the_repository_stays_below_the_limit():
    git = shutil.which("git")
    if git is None or not (house.ROOT / ".git").exists():
        pytest.skip("this is no git checkout")

    def ask(*command: str) -> str:
        return subprocess.run([git, *command], cwd=house.ROOT, capture_output=True, text=True, check=True).stdout

    files = [house.ROOT / name for name in ask("ls-files", "-z").split("\0") if name]
    # What a clone brings: every object of the history once, however many packs of this checkout hold it as well.
    history = int(ask("rev-list", "--objects", "--disk-usage", "HEAD"))
    size = history + sum(path.stat().st_size for path in files if path.is_file())
    assert size < SIZE_LIMIT, f"{size / 1024**2:.0f} MB with the history"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"category": None}, "category is no str"),
        ({"category": "Scribbles"}, "category Scribbles is not accepted"),
        ({"homepage": "https://x"}, "homepage is no key of the schema"),
        ({"tier": 6}, "tier 6 is not in 1 to 5"),
        ({"tier": True}, "tier is no int"),
        ({"build_dependencies": "PyTorch"}, "build_dependencies is no list"),
        ({"scm_url": "ssh://git@host/SlicerX"}, "scm_url ssh://git@host/SlicerX is neither https nor git"),
        ({"scm_url": "https://host/a/Sparse.git"}, "the repository's name Sparse does not begin with Slicer"),
        ({"$schema": "https://host/schema.json"}, "$schema https://host/schema.json is unknown"),
    ],
)
def test_a_planted_wrong_entry_is_found(tmp_path: Path, change: dict, problem: str):
    path = tmp_path / ENTRY.name
    path.write_text(json.dumps({**json.loads(ENTRY.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    assert entry_problems(path) == [problem]


def test_a_planted_missing_key_name_or_line_ending_is_found(tmp_path: Path):
    path = tmp_path / "SlicerX.json"
    shutil.copy(ENTRY, path)
    assert entry_problems(path) == ["the extension's name SlicerX begins with Slicer"]
    path.write_bytes(ENTRY.read_bytes().replace(b"\n", b"\r\n"))
    assert entry_problems(path) == ["the lines do not end with LF alone"]
    path.write_text("{}")
    assert entry_problems(path) == ["$schema is missing", "category is missing", "scm_url is missing"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("project(SparseToPrecise)", "project(Sparse)"),
        ('set(EXTENSION_ICONURL "', 'set(EXTENSION_ICONURL\n "\n'),
        (".png", ".svg"),
    ],
)
def test_a_planted_wrong_cmake_is_found(old: str, new: str):
    assert cmake_problems(CMAKE.read_text(encoding="utf-8").replace(old, new), ENTRY.stem)
