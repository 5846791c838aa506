"""How much memory a process has needed."""

from __future__ import annotations

import re
import resource
from pathlib import Path

__all__ = ["peak_megabytes"]

_STATUS = Path("/proc/self/status")


def peak_megabytes() -> float:
    """Give the most memory that this process has had so far, in MB.

    Where the kernel tells it, of this program alone: ``ru_maxrss`` still counts what the process that forked it had.
    """
    if _STATUS.exists():
        peak = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
        if peak is not None:
            return int(peak[1]) / 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
