"""The largest memory that a process has used so far."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def peak_bytes() -> int | None:
    """Peak resident memory of this process; None where the system does not tell it in a way that is known here."""
    if sys.platform == "linux":
        # Not getrusage: its ru_maxrss survives execve, so that a child begins with the peak of its parent.
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s*(\d+) kB", status).group(1)) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None
