"""What the example says about its process: read without a problem, and a sensible set of scenarios comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import ProcessDocument
from pytest_orchestra.model.scenario import ScenarioSuite
from pytest_orchestra.readers.bpmn import read_process_file
from pytest_orchestra.readers.data_files import read_data_sets
from pytest_orchestra.readers.environment_file import read_environments
from pytest_orchestra.readers.openapi import read_openapi
from pytest_orchestra.readers.proto import read_proto
from pytest_orchestra.readers.sidecar import read_sidecar, sidecar_path


@pytest.fixture(scope="module")
def document(example: Path) -> ProcessDocument:
    return read_process_file(example / "order.bpmn")


@pytest.fixture(scope="module")
def bindings(example: Path) -> Bindings:
    return read_sidecar(sidecar_path(example / "order.bpmn"))


@pytest.fixture(scope="module")
def data_sets(example: Path) -> tuple[TestDataSet, ...]:
    return read_data_sets(sorted((example / "data").iterdir()))


@pytest.fixture(scope="module")
def suite(document: ProcessDocument, bindings: Bindings, data_sets: tuple[TestDataSet, ...]) -> ScenarioSuite:
    (process,) = document.processes
    return build_suite(process, bindings, data_sets, document=document)


def test_nothing_is_wrong_with_the_definitions(document: ProcessDocument, suite: ScenarioSuite) -> None:
    """Neither the readers nor the generation have anything to say against the example but for its missing defaults."""
    assert document.problems == ()
    assert [(problem.severity, problem.code, problem.element) for problem in suite.problems] == [
        ("info", "missing-default", "Approved"),  # the shop's own gateways, which cover what the shop can answer
        ("info", "missing-default", "Delivery"),
    ]
    assert [scenario.problems for scenario in suite.scenarios] == [()] * len(suite.scenarios)


def test_every_step_calls_an_operation_that_there_is(example: Path, bindings: Bindings) -> None:
    """All operations that the sidecar names are in the committed specifications."""
    readers = {".json": read_openapi, ".proto": read_proto}
    specs = {service: readers[Path(path).suffix](example / path, service) for service, path in bindings.specs.items()}
    operations = {
        service: {operation.name.rpartition(".")[2] for operation in spec.operations} for service, spec in specs.items()
    }
    called = {step.endpoint_ref for steps in bindings.bindings.values() for step in steps if step.endpoint_ref}
    assert called
    for reference in called:
        assert reference.endpoint_name in operations[reference.service_name]


def test_scenarios_cover_every_flow_with_data_that_fits(suite: ScenarioSuite) -> None:
    """All flows are covered, each scenario has the data that is meant for it, and two are generated."""
    (coverage,) = suite.coverage
    assert (coverage.covered, coverage.missing) == (coverage.total, ())
    assert {scenario.key: sorted(scenario.data_sets) for scenario in suite.scenarios} == {
        "small-order": ["green-tea", "one-green-tea", "six-cups"],
        "small-order-express": ["teapot-by-courier", "ten-teapots"],
        "card-declined-once": ["declined-once"],
        "card-declined-twice": ["declined-twice"],
        "large-order": ["two-samovars"],
        "large-order-no-payment-overdue": ["bank-is-silent", "card-always-declined"],
        "large-order-yes-approved-no": ["fifty-samovars"],
    }


def test_every_data_set_is_used(suite: ScenarioSuite, data_sets: tuple[TestDataSet, ...]) -> None:
    """No data lies about that no scenario uses."""
    used = {name for scenario in suite.scenarios for name in scenario.data_sets}
    assert used == {data_set.name for data_set in data_sets}


def test_what_is_fired_and_forgotten_is_waited_for_at_the_join(suite: ScenarioSuite) -> None:
    """The picking is begun before the join of the parallel section and tracked by its barrier."""
    scenario = next(scenario for scenario in suite.scenarios if scenario.key == "small-order")
    aliases = [step.alias for step in scenario.steps]
    barrier = next(step for step in scenario.steps if step.kind == "BARRIER")
    assert barrier.element_id == "Join"
    assert aliases.index("picking") < barrier.order_index < aliases.index("shipped")
    assert set(barrier.definition.tracked_steps) <= {"picking", "payment", "reservation"}


def test_environments_hold_no_secret(example: Path) -> None:
    """The first environment is the local one; what is secret on the other stage is there by reference only."""
    environments = read_environments(example / "environments.yaml")
    assert list(environments) == ["local", "stage"]
    stage = environments["stage"]
    assert stage.services["orders"].header_refs == {"Authorization": "env:STAGE_ORDERS_TOKEN"}
    assert stage.db_profiles["shop"].password_ref == "file:/run/secrets/stage_db_password"
    assert environments["local"].services.keys() == stage.services.keys()
    assert environments["local"].db_profiles.keys() == stage.db_profiles.keys()
    assert stage.kafka_profiles["shop"].password_ref == "file:/run/secrets/stage_kafka_password"
    assert stage.queue_profiles["shop"].credentials_ref == "file:/run/secrets/stage_rabbitmq_credentials"
    assert environments["local"].kafka_profiles.keys() == stage.kafka_profiles.keys()
    assert environments["local"].queue_profiles.keys() == stage.queue_profiles.keys()


def test_steps_speak_on_all_five_channels(suite: ScenarioSuite) -> None:
    """Who ships goods calls, reads, listens to Kafka and asks by gRPC; who cancels awaits an answer of RabbitMQ."""
    channels = {scenario.key: {step.definition.channel_type for step in scenario.steps} for scenario in suite.scenarios}
    spoken = {"HTTP_REST", "DB", "KAFKA", "GRPC"}
    assert channels.pop("large-order-yes-approved-no") == {"HTTP_REST", "DB"}
    assert channels.pop("large-order-no-payment-overdue") == {"HTTP_REST", "DB", "QUEUE"}
    assert set(map(frozenset, channels.values())) == {frozenset(spoken)}
