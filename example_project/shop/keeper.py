"""``python -m shop.keeper 5 COMMAND ...`` runs a command until standard input closes, and ends it then: in 5 s at most.

A server that is no process of ours does not watch whether its starter lives; this one does that for it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def keep(command: list[str], patience_s: float) -> int:
    """Run a command, at most as long as the other end of standard input is open; give its exit code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_end_with_parent, args=[process, patience_s], name="lifeline", daemon=True).start()
    return process.wait()


def _end_with_parent(process: subprocess.Popen[bytes], patience_s: float) -> None:
    while sys.stdin.buffer.read(1):
        pass
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # it and what it started


if __name__ == "__main__":
    sys.exit(keep(sys.argv[2:], float(sys.argv[1])))
