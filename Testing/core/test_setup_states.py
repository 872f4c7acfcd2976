"""First-run set-up: every state and every way from one to the next, with an application made of answers."""

from __future__ import annotations

import re
import sys
from importlib import metadata

import pytest

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.requirements import (
    NEVER_INSTALLED,
    PYTORCH,
    RequirementState,
    missing_requirements,
    replaced_while_imported,
)
from SparseToPreciseLib.core.setup_states import MINIMUM_SLICER, SetupState, next_step, take


class Application:
    """Answers what it is told to, and lets installations change the answers."""

    slicer_version = "5.12.3"

    def __init__(self, **answers) -> None:
        self.packaging = self.manager = self.made = True
        self.installed = self.loaded = self.pending = self.declines = False
        self.torch_version: str | None = None
        self.missing = ["monai>=1.5", "rich>=13.8"]
        self.calls: list[object] = []
        vars(self).update(answers)

    def restart_pending(self) -> bool:
        return self.pending

    def has_packaging(self) -> bool:
        return self.packaging

    def torch_is_made(self) -> bool:
        return self.made

    def can_install_extensions(self) -> bool:
        return self.manager

    def extension_installed(self) -> bool:
        return self.installed

    def extension_loaded(self) -> bool:
        return self.loaded

    def torch(self) -> RequirementState:
        wanted = PYTORCH.removeprefix("torch")
        fits = self.torch_version is not None and self.torch_version >= wanted.removeprefix(">=")
        return RequirementState("torch", wanted, self.torch_version, fits)

    def missing_packages(self) -> list[str]:
        return self.missing

    def install_extension(self) -> bool:
        self.calls.append("extension")
        self.installed = not self.declines
        return self.installed

    def install_torch(self, versions: str) -> bool:
        self.calls.append(("torch", versions))
        if not self.declines:
            self.torch_version = "2.9.1+cu128"
        return not self.declines

    def install_packages(self, requirements) -> None:
        self.calls.append(("packages", tuple(requirements)))
        self.missing = []

    def restart(self) -> None:
        self.calls.append("restart")
        self.pending = False
        self.loaded = self.installed


READY = {"torch_version": "2.8.0", "missing": []}


@pytest.mark.parametrize(
    ("answers", "state", "words", "button"),
    [
        ({}, SetupState.EXTENSION_MISSING, "PyTorch extension", "Install the PyTorch extension"),
        ({"manager": False}, SetupState.EXTENSION_MISSING, "no Extensions Manager", ""),
        ({"installed": True}, SetupState.RESTART_NEEDED, "restarted", "Restart Slicer"),
        ({"loaded": True}, SetupState.TORCH_MISSING, "PyTorch is not installed", "Install PyTorch"),
        ({"loaded": True, "torch_version": "2.2.2"}, SetupState.TORCH_MISSING, "PyTorch 2.2.2 is too old", "Update"),
        ({"made": False}, SetupState.TORCH_NOT_MADE, "not made for this computer", ""),
        ({"torch_version": "2.8.0"}, SetupState.PACKAGES_MISSING, "monai>=1.5, rich>=13.8", "Install the P"),
        ({"torch_version": "2.8.0", "manager": False, "made": False}, SetupState.PACKAGES_MISSING, "monai", "Install"),
        (READY, SetupState.READY, "Everything is installed", ""),
        (READY | {"packaging": False, "manager": False}, SetupState.READY, "Everything", ""),
        (READY | {"pending": True}, SetupState.RESTART_NEEDED, "restarted", "Restart Slicer"),
        ({"loaded": True, "pending": True}, SetupState.RESTART_NEEDED, "restarted", "Restart Slicer"),
        (
            {"packaging": False, "slicer_version": "5.10.0"},
            SetupState.SLICER_TOO_OLD,
            f"This is Slicer 5.10.0, .*Slicer {MINIMUM_SLICER} or newer",
            "",
        ),
    ],
)
def test_each_state_has_its_sentence_and_its_button(answers, state, words, button):
    step = next_step(Application(**answers))
    assert step.state is state and step.ready == (state is SetupState.READY)
    assert re.search(words, step.sentence), step.sentence
    assert step.button.startswith(button) and bool(step.button) == bool(button)
    assert step.sentence.endswith(".") and "\n" not in step.sentence


def test_from_nothing_to_ready_by_clicks_only():
    application = Application()
    states = []
    for _ in range(10):
        step = next_step(application)
        states.append(step.state)
        if step.ready:
            break
        before = list(application.calls)
        assert next_step(application) == step and application.calls == before  # looking installs nothing
        take(step, application)
    assert states == [
        SetupState.EXTENSION_MISSING,
        SetupState.RESTART_NEEDED,
        SetupState.TORCH_MISSING,
        SetupState.PACKAGES_MISSING,
        SetupState.READY,
    ]
    packages = ("packages", ("monai>=1.5", "rich>=13.8"))
    assert application.calls == ["extension", "restart", ("torch", PYTORCH.removeprefix("torch")), packages]


@pytest.mark.parametrize("answers", [{}, {"loaded": True}])
def test_who_declines_stays_where_they_were_and_is_told(answers):
    application = Application(declines=True, **answers)
    step = next_step(application)
    with pytest.raises(InputError, match="not installed"):
        take(step, application)
    assert next_step(application) == step


@pytest.mark.parametrize("answers", [READY, {"packaging": False}, {"made": False}])
def test_states_without_a_button_do_nothing(answers):
    application = Application(**answers)
    take(next_step(application), application)
    assert application.calls == []


# ---------------------------------------------------------------------------------------------- requirements


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, list[str]]]:
    """Installed packages as a table: name -> (version, its requirements)."""
    table: dict[str, tuple[str, list[str]]] = {}

    def entry(name: str):
        if name not in table:
            raise metadata.PackageNotFoundError(name)
        return table[name]

    monkeypatch.setattr(metadata, "version", lambda name: entry(name)[0])
    monkeypatch.setattr(metadata, "requires", lambda name: entry(name)[1])
    return table


def test_what_an_installed_package_needs_is_missed_too(packages):
    packages["monai"] = ("1.5.0", ["torch>=2", "helper>=1; python_version >= '3'", "toy; extra == 'all'", "numpy"])
    assert missing_requirements(["monai>=1.5", "# no", "rich>=13"]) == ["rich>=13", "helper>=1"]
    # What installed packages want of each other's versions may contradict itself; only our own wishes must be met.
    packages["helper"] = ("0.1", ["deeper", "monai>=99"])
    packages["rich"] = ("14", [])
    assert missing_requirements(["monai>=1.5", "rich>=13"]) == ["deeper"]
    packages["deeper"] = ("1", ["helper"])
    assert missing_requirements(["monai>=1.5", "rich>=13"]) == []
    assert missing_requirements(["monai>=2"]) == ["monai>=2"]


def test_requirements_of_other_systems_are_passed_over(packages):
    other = "win32" if sys.platform != "win32" else "linux"
    assert missing_requirements([f"winonly; sys_platform == '{other}'"]) == []
    assert missing_requirements([f"here>=2; sys_platform == '{sys.platform}'"]) == ["here>=2"]


@pytest.mark.parametrize("name", NEVER_INSTALLED)
def test_slicers_own_packages_are_never_asked_for(packages, name):
    packages["monai"] = ("1.5.0", [name, name.upper(), f"{name.lower()}>99"])
    assert missing_requirements([f"{name}>99", "monai"]) == []


def test_a_replaced_package_counts_only_when_it_is_imported(monkeypatch):
    modules = {"pytest": ["pytest"], "unheard_of": ["unheard.of"], "re": ["New_Re"]}
    monkeypatch.setattr(metadata, "packages_distributions", lambda: modules)
    before = {"pytest": "1", "unheard-of": "1", "other": "1"}
    assert replaced_while_imported(before, before | {"unheard-of": "2", "other": "2", "new-re": "1"}) == []
    assert replaced_while_imported(before, before | {"pytest": "2"}) == ["pytest"]
    assert replaced_while_imported(before, {}) == ["pytest"]
