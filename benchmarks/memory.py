"""The peak memory of a process, for benchmarks that measure it in a process of their own."""

from __future__ import annotations

import re
from pathlib import Path


def peak_bytes() -> int:
    """Of this process so far, resident (Linux).

    Not getrusage: its ru_maxrss survives execve, so that a child begins with the peak of its parent.
    """
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status).group(1)) * 1024
