"""gRPC's library, loaded so that it does not write into the output of pytest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["grpc"]

_VERBOSITY: Final = "GRPC_VERBOSITY"


@contextmanager
def _told_to_be_quiet() -> Iterator[None]:
    """Have the C core read, once, that only errors are told: else it writes of each fork and each lost peer.

    What the process environment says goes first; nothing of it is left for the processes that a test starts.
    """
    if _VERBOSITY in os.environ:
        yield
        return
    os.environ[_VERBOSITY] = "ERROR"
    try:
        yield
    finally:
        del os.environ[_VERBOSITY]


with _told_to_be_quiet():
    import grpc
    import grpc.aio
