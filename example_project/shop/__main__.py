"""``python -m shop``: the whole shop on ports 8001 to 8005; ``python -m shop orders --fd 3``: one service."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from shop.brokers import find_rabbitmq
from shop.launch import run_shop
from shop.process import SERVICES, end_with_parent, serve
from shop.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="shop", description="Run the shop, or one service of it.")
    parser.add_argument("service", nargs="?", choices=SERVICES)
    parser.add_argument("--fd", type=int, help="the number of a listening socket")
    arguments = parser.parse_args()
    if arguments.service is None:
        _run_all()
    else:
        end_with_parent()
        serve(arguments.service, socket.socket(fileno=arguments.fd), Settings.read(os.environ))


def _run_all() -> None:
    if "SHOP_DATABASE_URL" not in os.environ:
        sys.exit("shop: set SHOP_DATABASE_URL to a Postgres database, for example postgresql://localhost/shop")
    has_rabbitmq = find_rabbitmq() is not None
    with run_shop(
        Settings.read(os.environ),
        log=Path(tempfile.gettempdir(), "shop.log"),
        free_ports=False,
        with_rabbitmq=has_rabbitmq,
    ) as shop:
        for name in ("orders_url", "payments_url", "warehouse_url", "prices_url", "kafka_servers", "amqp_url", "log"):
            print(f"{name.removesuffix('_url'):<14} {getattr(shop, name) or '-'}")
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
