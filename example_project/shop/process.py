"""One service as an operating-system process."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from importlib import import_module

import uvicorn

from shop.correlation import CorrelationFilter
from shop.settings import Settings

SERVICES = ("orders", "payments", "warehouse", "prices")


def serve(service: str, listener: socket.socket, settings: Settings) -> None:
    """Serve until told to stop."""
    _log_to_stderr(service)
    app = import_module(f"shop.{service}.app").create_app(settings)
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_keep_alive=60, timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])


def end_with_parent() -> None:
    """End this process when the other end of its standard input closes: also when the parent was killed with -9."""

    def watch() -> None:
        while sys.stdin.buffer.read(1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _log_to_stderr(service: str) -> None:
    handler = logging.StreamHandler()
    handler.addFilter(CorrelationFilter())
    handler.setFormatter(
        logging.Formatter(
            f"%(asctime)s.%(msecs)03d {service:<9} %(levelname)-7s [%(correlation_id)s] %(message)s", "%H:%M:%S"
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy, level in {"httpx": logging.WARNING, "uvicorn": logging.WARNING, "aiokafka": logging.CRITICAL}.items():
        logging.getLogger(noisy).setLevel(level)
