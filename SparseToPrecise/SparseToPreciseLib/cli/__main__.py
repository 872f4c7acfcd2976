"""`python -m SparseToPreciseLib.cli`: how the desktop runs a command, in a process without an application."""

import sys

from .main import run

if __name__ == "__main__":  # worker processes import this file under another name
    sys.exit(run())
