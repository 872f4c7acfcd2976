"""Shared by all levels of test: one thread each, the same examples on every run, and the real cases where they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Small arrays gain nothing from threads, and the libraries read these when they are first imported.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real images beside the checkout; tests that need it are skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real cases are not in {folder}")
    return folder


# ---------------------------------------------------------------------------------------------- trained once


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """`made_once(name, make)`: the folder that `make(folder)` has filled, once for all processes of a run."""

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        import fcntl

        root = tmp_path_factory.getbasetemp()
        made = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "made"
        made.mkdir(exist_ok=True)
        with open(made / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (made / name).exists():
                begun = tmp_path_factory.mktemp(name)
                make(begun)
                begun.rename(made / name)
        return made / name

    return folder


@pytest.fixture(scope="session")
def landmark_template(made_once) -> Iterator[Path]:
    """The folder of a template that learnt the shape of `landmark_cases`; to be read only, as all that is shared."""
    pytest.importorskip("torch")
    from landmark_cases import quick_template, turned_once

    with turned_once():
        yield made_once("landmarks", lambda folder: quick_template(folder / "template")) / "template"


@pytest.fixture(scope="session")
def corrector_bundle(made_once) -> Path:
    """The folder of the corrector of `box_cases`."""
    pytest.importorskip("torch")
    from box_cases import tiny_corrector

    return made_once("corrector", lambda folder: tiny_corrector(folder / "tiny")) / "tiny"


@pytest.fixture(scope="session")
def segmenter_bundle(made_once) -> Path:
    """The folder of the segmenter of `box_cases`."""
    pytest.importorskip("torch")
    from box_cases import tiny_segmenter

    return made_once("segmenter", lambda folder: tiny_segmenter(folder / "tiny")) / "tiny"


# ---------------------------------------------------------------------------------------------- slow tests
# `make test-fast` leaves out those of slow.txt, `pytest --note-slow` writes that list anew from what it ran.

SLOW = Path(__file__).with_name("slow.txt")
LONG_S = 0.3
"""From so many seconds on, its share of fixtures included, a test is slow."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--note-slow", action="store_true", help=f"write {SLOW.name} anew")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: left out by `make test-fast`; see slow.txt")
    if config.getoption("--note-slow") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Durations())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow = set(SLOW.read_text(encoding="utf-8").split()) if SLOW.is_file() else set()
    for item in items:
        if item.nodeid.partition("[")[0] in slow:
            item.add_marker(pytest.mark.slow)


class _Durations:
    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        slow = {name.partition("[")[0] for name, seconds in self._seconds.items() if seconds >= LONG_S}
        SLOW.write_text("".join(f"{name}\n" for name in sorted(slow)), encoding="utf-8")
