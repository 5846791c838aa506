"""A small real service, and projects that test it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
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


@pytest.fixture(scope="session")
def loaded(orders_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import whatever a session does: pytester forgets what was imported in one, and each would import it anew."""
    folder = tmp_path_factory.mktemp("loaded")
    write_orders(folder, orders_url, {"small": {"amount": 10}})
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    options = ["--orchestra", "--orchestra-store=memory", "-p", "no:cacheprovider", "-q"]
    assert pytest.main([*options, "--rootdir", str(folder), str(folder)]) == pytest.ExitCode.OK


def write_orders(
    folder: Path, url: str, rows: Mapping[str, Mapping[str, Any]], sidecar: str = SIDECAR, *, name: str = "order"
) -> None:
    """Write the order project: a data set for each row."""
    data = [{"name": key, "data": dict(values)} for key, values in rows.items()]
    (folder / "data").mkdir(exist_ok=True)
    (folder / "orders.json").write_text(json.dumps(SPEC))
    (folder / "environments.yaml").write_text(f"local:\n  services: {{orders: '{url}'}}\n")
    (folder / "data" / "rows.json").write_text(json.dumps({"dataSets": data}))
    (folder / f"{name}.bpmn").write_text(bpmn(["Place order", "Order paid"]))
    (folder / f"{name}.orchestra.yaml").write_text(sidecar)


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
        write_orders(self.path, self.orders_url, rows, sidecar, name=name)

    def run(self, *options: str, store: str = "memory", apart: bool = False) -> pytest.RunResult:
        """Run pytest with ``--orchestra``: in this process, which is fastest, unless a store or xdist take part.

        ``apart`` has it in a process of its own, for what would end this one as well.
        """
        run = self.pytester.runpytest_inprocess
        if apart or store != "memory" or "-n" in options:
            run = self.pytester.runpytest_subprocess
        return run("--orchestra", f"--orchestra-store={store}", "-p", "no:cacheprovider", *options)


@pytest.fixture
def project(pytester: pytest.Pytester, orders_url: str, loaded: None, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("COLUMNS", raising=False)  # as wide as where there is no terminal, whoever runs these tests
    pytester.makeini("[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n")
    return Project(pytester, orders_url)
