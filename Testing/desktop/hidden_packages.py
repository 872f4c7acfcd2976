"""Makes Python be as if some packages were not installed, for modules and for metadata alike."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

#: Where the package's name differs from that of its module.
DISTRIBUTIONS = {"skimage": "scikit-image"}


class Hiding:
    """The usual finder of modules and of packages' metadata, blind to some packages."""

    def __init__(self, hidden: set[str]) -> None:
        self.modules = hidden
        self.distributions = {DISTRIBUTIONS.get(name, name) for name in hidden}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.modules:
            return None
        return PathFinder.find_spec(name, path, target)

    def find_distributions(self, context):
        for found in PathFinder.find_distributions(context):
            if found.metadata["Name"] not in self.distributions:
                yield found

    def invalidate_caches(self):
        PathFinder.invalidate_caches()


def hide(modules: set[str]) -> None:
    """Hide packages that nothing has imported yet, by the names of their modules."""
    if modules:
        sys.meta_path[:] = [Hiding(modules) if finder is PathFinder else finder for finder in sys.meta_path]
