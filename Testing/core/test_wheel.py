from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import house


def test_a_built_wheel_holds_the_library_and_the_model_bundles(tmp_path: Path):
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(house.ROOT / "SparseToPrecise", source / "SparseToPrecise", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(house.ROOT / name, source)
    # Without isolation nothing is downloaded: the environment has setuptools, which torch needs.
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path)]
    build = [sys.executable, "-m", "pip", "wheel", ".", *options]
    built = subprocess.run(build, cwd=source, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = [name for name in archive.namelist() if ".dist-info/" not in name]
    files = list(house.files_below(house.ROOT / "SparseToPrecise"))
    expected = [name for name in files if name.startswith("SparseToPreciseLib/")]
    resources = ("Resources/Anatomy/", "Resources/Cards/", "Resources/Models/")
    expected += [f"SparseToPreciseLib/{name}" for name in files if name.startswith(resources)]
    assert not (message := house.list_differences("wheel", packed, expected)), message
