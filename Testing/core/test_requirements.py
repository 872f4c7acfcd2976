from __future__ import annotations

from importlib import metadata

import numpy
import pytest
from packaging.requirements import InvalidRequirement

from SparseToPreciseLib.core.requirements import requirement_states


def test_installed_too_old_and_absent_packages_are_told_apart():
    lines = ["# needs", "", "numpy>=1.0\n", "  numpy<1.0", "no-such-package-anywhere>=2"]
    good, old, absent = requirement_states(lines)
    assert (good.name, good.wanted, good.installed, good.satisfied) == ("numpy", ">=1.0", numpy.__version__, True)
    assert (old.installed, old.satisfied) == (numpy.__version__, False)
    assert (absent.name, absent.installed, absent.satisfied) == ("no-such-package-anywhere", None, False)


@pytest.mark.parametrize("version", ["2.13.0+cpu", "2.13.0rc1", "2.14.0.dev20261101"])
def test_local_and_pre_release_versions_count(monkeypatch: pytest.MonkeyPatch, version: str):
    monkeypatch.setattr(metadata, "version", lambda name: version)
    assert requirement_states(["torch>=2.8"])[0].satisfied


def test_a_line_that_is_no_requirement_is_refused():
    with pytest.raises(InvalidRequirement):
        requirement_states(["monai >= "])
