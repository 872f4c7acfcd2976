"""Sparse input, precise result: the library behind the SparseToPrecise extension of 3D Slicer.

Importing the package loads nothing else: PyTorch, MONAI, VTK and Slicer are imported where they are used.
"""

# The only place where the version stands: inside Slicer there is no installed package to ask for it,
# and pyproject.toml reads it here.
__version__ = "0.1.0.dev0"

from . import moved  # noqa: E402 -- after the version, which is read from this file's text

moved.install(__name__)
