"""``python -m shop``: the whole shop on ports 8001 to 8003; ``python -m shop orders --fd 3``: one service."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

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
    with run_shop(Settings.read(os.environ), log=Path(tempfile.gettempdir(), "shop.log"), free_ports=False) as shop:
        print(f"orders {shop.orders_url}\npayments {shop.payments_url}\nwarehouse {shop.warehouse_url}\nlog {shop.log}")
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
