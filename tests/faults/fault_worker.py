"""A process that forks workers on demand: each carries out the suite once and may be killed at any moment.

Reads one JSON order a line from standard input, and answers with the pid of a worker, which writes what it came to into
the file of the order. Forking saves a second of imports for each of hundreds of workers; nothing here starts a thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.engine import Engine, RunRequest, SuiteSetting
from pytest_orchestra.engine.scheduling import Prerequisite
from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.model.definition import Bindings, ChannelType, StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import RunStatus, SuiteRun, SuiteRunStatus, TestRun
from pytest_orchestra.model.scenario import ScenarioStep, TestScenario
from pytest_orchestra.protocols.database import DatabaseProtocol
from pytest_orchestra.protocols.http import HttpProtocol
from pytest_orchestra.readers.openapi import read_openapi
from pytest_orchestra.session.presence import WorkerPresence
from pytest_orchestra.store.embedded_store import EmbeddedStore
from pytest_orchestra.store.postgres import PostgresStore

STEPS: list[dict[str, Any]] = [
    {"alias": "create", "endpointRef": "shop.create", "inputTemplate": {"body": {"name": "{{data.name}}"}}},
    {"alias": "notify", "endpointRef": "shop.notify", "mode": "FIRE_AND_FORGET", "inputTemplate": {"body": {}}},
    {
        "alias": "place",
        "endpointRef": "shop.place",
        "inputTemplate": {"body": {"customer": "{{step.create.response.body.id}}"}},
        "exportAs": {"placed": "response.body.id"},
    },
    {"alias": "wall", "kind": "BARRIER", "trackedSteps": ["notify"]},
    {
        "alias": "shipped",
        "endpointRef": "shop.look",
        "inputTemplate": {"path": {"id": "{{step.place.response.body.id}}"}},
        "until": "response.body.status == 'SHIPPED'",
    },
    {"alias": "row", "dataSource": "shop", "sql": "select :n::int as n", "parameters": {"n": 1}, "until": "value == 1"},
    {
        "alias": "cancel",
        "endpointRef": "shop.cancel",
        "inputTemplate": {"path": {"id": "{{step.place.response.body.id}}"}},
    },
]


def derived_id(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


def make_requests(order: dict[str, Any], suite_run_id: str) -> list[RunRequest]:
    definitions = [StepDefinition.model_validate(step | order.get("step", {}).get(step["alias"], {})) for step in STEPS]
    setting = SuiteSetting(
        Bindings(timeout_ms=20_000, poll_interval_ms=2), {"shop": read_openapi(Path(order["spec"]), "shop")}
    )
    known = Environment(name="local").with_services(shop=order["service"]).with_databases(shop=order["database"])
    environment = ResolvedEnvironment(known, {})
    requests = []
    for n in range(order["runs"]):
        key = f"shop.bpmn::run-{n}"
        scenario = TestScenario(
            key=key,
            name=key,
            version="1",
            steps=tuple(ScenarioStep(i, d.alias or "", d.alias or "", f"e{i}", d) for i, d in enumerate(definitions)),
        )
        run_id = derived_id(suite_run_id, key)
        run = TestRun(run_id, suite_run_id, key, "p", "h", key, "1", None, "local", "m", derived_id(run_id, "c"))
        needs = (Prerequisite("shop.bpmn::run-0"),) if n == order["runs"] - 1 and n else ()
        data, retries = {"name": f"n{n}"}, order.get("retries", 0)
        requests.append(RunRequest(run, scenario, setting, environment, data, prerequisites=needs, retries=retries))
    return requests


async def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    presence = WorkerPresence(Path(order["folder"]))
    presence.announce()
    patience_s = order.get("patience", 30)
    if "embedded" in order:
        store: PostgresStore = EmbeddedStore(Path(order["embedded"]), patience_s=patience_s)
    else:
        store = PostgresStore(order["store"], patience_s=patience_s)
    await store.open()
    protocols = {ChannelType.HTTP_REST: HttpProtocol(), ChannelType.DB: DatabaseProtocol()}
    engine = Engine(
        store=store,
        protocols=protocols,
        owner=presence.owner,
        concurrency=8,
        presence=presence if order.get("presence", True) else None,
        lease_s=order.get("lease", 30),
        resumes=order["resumes"],
    )
    await engine.start(SuiteRun(str(uuid.uuid4()), order["key"], "default"))
    requests = make_requests(order, engine.suite_run.id)
    await engine.submit(requests)
    outcomes: dict[str, Any] = {}
    while len(outcomes) < len(requests):
        await engine.wait_completed(1)
        while engine.completed:
            finished = engine.completed.popleft().finished
            outcomes[finished.run.key] = {
                "status": finished.status,
                "steps": {step.alias: step.status for step in finished.steps},
                "fault": finished.fault and finished.fault.message,
                "reason": finished.reason,
                "violations": [v.message for s in finished.steps for v in s.violations],
                "started": [str(step.started_at) for step in finished.steps],
            }
    is_well = all(each["status"] in (RunStatus.PASSED, RunStatus.SKIPPED) for each in outcomes.values())
    owes = True
    try:
        await engine.close(SuiteRunStatus.PASSED if is_well else SuiteRunStatus.FAILED)
        owes = False
    finally:
        for protocol in protocols.values():
            await protocol.close()
        await store.close()
        presence.leave(owes=owes)
    return outcomes


def work(order: dict[str, Any]) -> None:
    try:
        facts: dict[str, Any] = asyncio.run(carry_out(order))
    except OrchestraError as error:
        facts = {"error": str(error)}
    answer = Path(order["answer"])
    unfinished = answer.with_name(f"{answer.name}.{uuid.uuid4().hex}")
    unfinished.write_text(json.dumps(facts))
    unfinished.rename(answer)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for workers here
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                work(json.loads(line))
            except BaseException:  # noqa: BLE001  whatever it is, this copy must not read on
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
