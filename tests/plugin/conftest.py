"""A small real service, and projects that test it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from orders_service import SIDECAR, SPEC, Orders, bpmn


@pytest.fixture(scope="session")
def orders_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Orders)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class Project:
    """A folder with a process and what lies beside it, and pytest to run there."""

    def __init__(self, pytester: pytest.Pytester, orders_url: str) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.orders_url = orders_url

    def write(self, **files: str) -> None:
        """Write files; ``__`` stands for a slash and ``_dot_`` for a dot."""
        for name, text in files.items():
            path = self.path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def orders(
        self, rows: Mapping[str, Mapping[str, Any]] | None = None, *, sidecar: str = SIDECAR, name: str = "order"
    ) -> None:
        """Write the order project: a data set for each row."""
        rows = {"small": {"amount": 10}} if rows is None else rows
        data = [{"name": key, "data": dict(values)} for key, values in rows.items()]
        self.write(
            orders_dot_json=json.dumps(SPEC),
            environments_dot_yaml=f"local:\n  services: {{orders: '{self.orders_url}'}}\n",
            data__rows_dot_json=json.dumps({"dataSets": data}),
        )
        (self.path / f"{name}.bpmn").write_text(bpmn(["Place order", "Order paid"]))
        (self.path / f"{name}.orchestra.yaml").write_text(sidecar)

    def run(self, *options: str, store: str = "memory") -> pytest.RunResult:
        """Run pytest with ``--orchestra`` in a process of its own."""
        return self.pytester.runpytest_subprocess(
            "--orchestra", f"--orchestra-store={store}", "-p", "no:cacheprovider", *options
        )


@pytest.fixture
def project(pytester: pytest.Pytester, orders_url: str) -> Project:
    pytester.makeini("[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n")
    return Project(pytester, orders_url)
