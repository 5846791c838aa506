"""pytest sessions with simulated Kafka clusters and queue brokers, and with databases for which nobody stands in."""

from __future__ import annotations

import pytest
from simulated_shop import SIDECAR, write_project

from pytest_orchestra.cli.loading import loader_of_commands
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.model.environment import Environment, KafkaClusterProfile
from pytest_orchestra.session.simulated_brokers import with_brokers

BINDINGS = {
    "Charge": {"alias": "order", "kind": "ACTION", "topic": "orders", "valueTemplate": {"qty": "{{data.amount}}"}},
    "Settled": {
        "alias": "parcels",
        "kind": "ASSERTION",
        "brokerAlias": "tasks",
        "exchange": "warehouse",
        "routingKey": "parcel.*",
        "valueTemplate": {"qty": "{{data.amount}}"},
        "until": "count == 2",
        "failWhen": "count > 2",
        "stableForMs": 100,
    },
    "Look": [
        {"alias": "row", "dataSource": "shop", "sql": "select qty from parcels", "until": "value == data.amount"},
        {"alias": "told", "topic": "told", "valueTemplate": {"row": "{{step.row.response.value}}"}, "kind": "ACTION"},
    ],
}
STOCK = {
    "lagMs": 20,
    "duplicates": 1,
    "onMessage": {
        "topic": "orders",
        "publish": {
            "brokerAlias": "tasks",
            "exchange": "warehouse",
            "routingKey": "parcel.sent",
            "value": "{{message.value}}",
        },
    },
}
WITH_BROKERS = {**SIDECAR, "specs": {}, "bindings": BINDINGS, "simulations": {"stock": STOCK}}
PROFILES = "local:\n  kafkaProfiles: {main: {simulated: true}}\n  queueProfiles: {tasks: {simulated: true}}\n"
CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def orchestra_environment(orchestra_environment):
    assert orchestra_environment.is_simulated, "this would start the system"
    return orchestra_environment
"""


def test_all_is_simulated_where_no_environment_is_written(project, pytester):
    """Clusters and brokers that steps name are there; a step at a database is left out, and one that reads it."""
    clean_up = {"alias": "cleared", "dataSource": "shop", "sql": "select clear()"}
    bindings = {**BINDINGS, "Charge": {**BINDINGS["Charge"], "finally": [clean_up]}}
    run = project({**WITH_BROKERS, "bindings": bindings}, environments="{}\n")
    (pytester.path / "environments.yaml").unlink()
    pytester.makeconftest(CONFTEST)
    result = run("--orchestra-simulate=all", "--orchestra-events=events.ndjson")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["orchestra: not rehearsed, nobody simulates database 'shop': row, cleared"])
    events = (pytester.path / "events.ndjson").read_text()
    assert "it reads the reply of step 'row', which has none" in events


def test_profiles_say_that_brokers_are_simulated_and_fixtures_see_it(project, pytester):
    """Nothing is left out then: the database is asked, and is not there."""
    pytester.makeconftest(CONFTEST)
    result = project(WITH_BROKERS, environments=PROFILES)("-k", "n5")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*environment 'local' has no database *"])


def test_lost_messages_are_missed(project):
    """As at real brokers: what a participant does not send does not come."""
    bindings = {**BINDINGS, "Look": [], "Settled": {**BINDINGS["Settled"], "timeoutMs": 300}}
    sidecar = {**WITH_BROKERS, "bindings": bindings, "simulations": {"stock": {**STOCK, "loss": 1}}}
    result = project(sidecar, environments=PROFILES)("-k", "n5")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*QUEUE_MESSAGE_NOT_FOUND*"])


@pytest.mark.parametrize(
    ("profiles", "fact"),
    [
        ({"kafkaProfiles": {"main": {"simulated": True}}}, "'main' is simulated, and has no 'bootstrapServers'"),
        ({"queueProfiles": {"tasks": {"simulated": True}}}, "'tasks' is simulated, and has no 'endpoint'"),
    ],
)
def test_broker_that_is_only_simulated_cannot_be_real(tmp_path, profiles, fact):
    """The option says 'none', and nobody knows where the real one would be."""
    definitions = loader_of_commands().load(write_project(tmp_path, WITH_BROKERS))
    environment = Environment.model_validate(profiles)
    with pytest.raises(SettingsError) as caught:
        with_brokers(environment, definitions, "none", "one")
    assert caught.value.fact == f"--orchestra-simulate=none: {fact}"
    assert (
        caught.value.hint
        == f"add {fact.split()[-1]} to {fact.split()[0]} in environments.yaml, or leave the option out"
    )


def test_secrets_of_real_brokers_are_not_asked_for_where_these_are_simulated(tmp_path):
    """A rehearsal runs on a machine that has none of them; what describes the simulation stays."""
    definitions = loader_of_commands().load(write_project(tmp_path, WITH_BROKERS))
    kafka = {"bootstrapServers": "kafka:9092", "usernameRef": "env:USER", "passwordRef": "env:PASSWORD"}
    queue = {"endpoint": "amqp://rabbit", "credentialsRef": "env:BOTH", "exchanges": {"audit": "fanout"}}
    environment = Environment.model_validate({"kafkaProfiles": {"main": kafka}, "queueProfiles": {"tasks": queue}})
    assert with_brokers(environment, definitions, "", "one") == environment
    found = with_brokers(environment, definitions, "all", "one")
    assert found.kafka_profiles["main"] == KafkaClusterProfile(simulated=True, bootstrap_servers="one")
    assert found.queue_profiles["tasks"].model_dump(exclude_unset=True) == {
        "simulated": True,
        "endpoint": "one",
        "exchanges": {"audit": {"type": "fanout"}},
    }
    assert found.is_simulated
    assert not environment.is_simulated
