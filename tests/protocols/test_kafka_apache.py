"""Kafka steps against Apache Kafka itself: what small brokers do not have."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from kafka_broker import kafka_call, started_producer

from pytest_orchestra.errors import (
    LoginRefusedError,
    SecretNotFoundError,
    StepError,
    UnknownAliasError,
    UnreachableError,
    UnusableEnvironmentError,
)

pytest_plugins = ["kafka_fixtures"]

GENEROUS_S = 60.0
SECRETS = {"env:USER": "clerk", "env:PASSWORD": "cl3rk-pass"}
_numbers = count(1)


@pytest.fixture
def topic(real_kafka):
    name = f"orders.{next(_numbers)}"
    real_kafka.make_topics(name)
    return name


def behind_login(broker, topic, *, secrets=SECRETS, kind="ASSERTION", **profile):
    known = {"bootstrapServers": broker.sasl, "usernameRef": "env:USER", "passwordRef": "env:PASSWORD", **profile}
    environment = {"kafkaProfiles": {"main": {name: value for name, value in known.items() if value is not None}}}
    value = {"a": 1} if kind == "ACTION" else None
    return kafka_call(broker, topic, environment=environment, secrets=secrets, kind=kind, value=value)


async def found(protocol, call, wanted=1):
    """Look as the engine does, until there is enough."""
    async with asyncio.timeout(GENEROUS_S):
        while True:
            reply = await protocol.execute(call, {})
            if reply.response["count"] >= wanted:
                return [message["value"] for message in reply.response["messages"]]
            await protocol.news(call, GENEROUS_S)


async def test_scenario_publishes_and_finds_on_apache_kafka(kafka, real_kafka, topic):
    """What holds on a small broker holds here: nothing before, everything after, resumed or not."""
    await kafka.execute(kafka_call(real_kafka, topic, kind="ACTION", value="before"), {})
    see = kafka_call(real_kafka, topic)
    await kafka.prepare([see], None)
    assert (await kafka.execute(see, {})).response["count"] == 0
    put = await kafka.execute(kafka_call(real_kafka, topic, kind="ACTION", key="k", value={"a": 1}), {})
    assert put.response["offset"] == 1
    assert await found(kafka, see) == [{"a": 1}]


async def test_resumed_run_finds_earlier_messages_on_apache_kafka(kafka, real_kafka, topic):
    """Positions by time are those of the broker; one that is later than all messages is the end."""
    began = datetime.now(UTC)
    await kafka.execute(kafka_call(real_kafka, topic, kind="ACTION", value="between"), {})
    see = kafka_call(real_kafka, topic)
    await kafka.prepare([kafka_call(real_kafka, topic, run="run-2")], began + timedelta(minutes=1))
    assert (await kafka.execute(see, {})).response["count"] == 0
    await kafka.prepare([see], began)
    assert await found(kafka, see) == ["between"]


async def test_partition_that_is_added_is_read_from_its_beginning(kafka, real_kafka, topic):
    """A topic may grow while scenarios wait."""
    see = kafka_call(real_kafka, topic)
    await kafka.prepare([see], None)
    from aiokafka.admin import AIOKafkaAdminClient, NewPartitions  # noqa: PLC0415  an extra

    admin = AIOKafkaAdminClient(bootstrap_servers=real_kafka.address)
    await admin.start()
    await admin.create_partitions({topic: NewPartitions(3)})
    await admin.close()
    producer = await started_producer(real_kafka)
    while len(await producer.partitions_for(topic)) < 3:
        await producer.client.force_metadata_update()
    headers = [("X-CORRELATION-ID", b"corr-run-1")]
    await producer.send_and_wait(topic, b'"far"', partition=2, headers=headers)
    await producer.stop()
    assert await found(kafka, see) == ["far"]
    assert set((await kafka.execute(see, {})).exchange.request["listensFrom"]) == {"0", "1", "2"}


async def test_messages_of_transactions_count_when_they_are_committed(kafka, real_kafka, topic):
    """What a transaction took back was never said; a topic that ends in one can be listened to."""
    see = kafka_call(real_kafka, topic)
    producer = await started_producer(real_kafka, transactional_id="shop")
    headers = [("x-correlation-id", b"corr-run-1")]
    async with producer.transaction():
        await producer.send(topic, b'"earlier"', headers=headers)
    await kafka.prepare([see], None)
    await producer.begin_transaction()
    await producer.send_and_wait(topic, b'"taken back"', headers=headers)
    await producer.abort_transaction()
    async with producer.transaction():
        await producer.send(topic, b'"committed"', headers=headers)
    await producer.stop()
    assert await found(kafka, see) == ["committed"]


async def test_topic_is_not_created_by_looking_for_it(kafka, real_kafka, topic):
    """This broker creates what is asked for by name; so nothing is asked for by name."""
    for call in (kafka_call(real_kafka, "nowhere", kind="ACTION", value=1), kafka_call(real_kafka, "nowhere")):
        with pytest.raises(UnknownAliasError) as caught:
            await kafka.execute(call, {})
        assert caught.value.fact == f"cluster 'main' at '{real_kafka.address}' has no topic 'nowhere'"
        assert caught.value.hint == "create it, or set 'createTopics: true' in the cluster's profile"


async def test_topic_with_a_name_that_is_none_is_a_step_error(kafka, real_kafka):
    """Where topics are created, not every name will do."""
    environment = real_kafka.environment(createTopics=True)
    with pytest.raises(StepError) as caught:
        await kafka.prepare([kafka_call(real_kafka, "a b/c", environment=environment)], None)
    assert caught.value.fact.startswith(f"cluster 'main' at '{real_kafka.address}' does not create topic 'a b/c': ")
    assert caught.value.hint == "create it, or correct its name"


async def test_message_that_is_too_large_is_a_step_error(kafka, real_kafka, topic):
    """The broker's limit, or the client's."""
    with pytest.raises(StepError) as caught:
        await kafka.execute(kafka_call(real_kafka, topic, kind="ACTION", value="x" * 2_000_000), {})
    assert caught.value.fact.startswith(f"cluster 'main' at '{real_kafka.address}' does not take the message: ")


# ---- logging in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"securityProtocol": "SASL_PLAINTEXT", "saslMechanism": "PLAIN"},
        {"usernameRef": None, "passwordRef": None, "securityProfileRef": "env:ALL"},
    ],
)
async def test_login_by_user_and_password_works(kafka, real_kafka, topic, profile):
    """Credentials come from references, one by one or all in one secret, and the least that is needed is enough."""
    secrets = {**SECRETS, "env:ALL": '{"saslMechanism": "PLAIN", "username": "clerk", "password": "cl3rk-pass"}'}
    see = behind_login(real_kafka, topic, secrets=secrets, **profile)
    await kafka.prepare([see], None)
    put = await kafka.execute(behind_login(real_kafka, topic, secrets=secrets, kind="ACTION", **profile), {})
    assert await found(kafka, see) == [{"a": 1}]
    assert "cl3rk-pass" not in repr([put, kafka._clusters])


@pytest.mark.parametrize("kind", ["ASSERTION", "ACTION"])
async def test_wrong_password_is_refused_and_told(kafka, real_kafka, topic, kind, caplog):
    """The error names the user and never the password; nothing is retried."""
    call = behind_login(real_kafka, topic, secrets={**SECRETS, "env:PASSWORD": "wr0ng-pass"}, kind=kind)
    with pytest.raises(LoginRefusedError) as caught:
        await kafka.execute(call, {})
    assert caught.value.fact == f"cluster 'main' at '{real_kafka.sasl}': login of 'clerk' refused"
    assert caught.value.hint == "check 'usernameRef' and 'passwordRef' of 'main' in environment 'local'"
    assert "wr0ng-pass" not in caplog.text + str(caught.value)
    assert caplog.text == ""


async def test_login_that_the_broker_does_not_know_is_told(kafka, real_kafka, topic):
    """Its listener knows other mechanisms."""
    with pytest.raises(UnusableEnvironmentError) as caught:
        await kafka.prepare([behind_login(real_kafka, topic, saslMechanism="SCRAM-SHA-256")], None)
    assert caught.value.fact == (
        f"cluster 'main' at '{real_kafka.sasl}': the broker does not let log in by 'SCRAM-SHA-256'"
    )


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
async def test_security_protocol_that_does_not_fit_is_told(kafka, real_kafka, topic, protocol):
    """A listener where one has to log in closes the connection on whoever does not."""
    profile = {"usernameRef": None, "passwordRef": None, "securityProtocol": protocol}
    with pytest.raises(UnusableEnvironmentError) as caught:
        await kafka.prepare([behind_login(real_kafka, topic, **profile)], None)
    assert caught.value.hint == "check 'securityProtocol' of 'main' in environment 'local'"
    if protocol == "PLAINTEXT":
        assert isinstance(caught.value, UnreachableError)


async def test_tls_works_with_a_certificate_that_is_trusted(kafka, real_kafka, topic, certificate):
    """``caFile`` names who is trusted besides those of the machine."""
    tls = {"bootstrapServers": real_kafka.tls, "securityProtocol": "SASL_SSL", "caFile": str(certificate[0])}
    see = behind_login(real_kafka, topic, **tls)
    await kafka.prepare([see], None)
    await kafka.execute(behind_login(real_kafka, topic, kind="ACTION", **tls), {})
    assert await found(kafka, see) == [{"a": 1}]


async def test_certificate_that_nobody_trusts_is_told(kafka, real_kafka, topic):
    """Without ``caFile``, a certificate that is signed by itself is refused."""
    tls = {"bootstrapServers": real_kafka.tls, "securityProtocol": "SASL_SSL"}
    with pytest.raises(UnusableEnvironmentError) as caught:
        await kafka.prepare([behind_login(real_kafka, topic, **tls)], None)
    assert caught.value.fact.startswith(f"cluster 'main' at '{real_kafka.tls}': its certificate is not trusted: ")
    assert caught.value.hint == "name the file of its issuer as 'caFile' of 'main'"


async def test_secret_that_was_not_read_is_told(kafka, real_kafka, topic):
    """Nothing is tried without credentials that the profile names."""
    with pytest.raises(SecretNotFoundError) as caught:
        await kafka.prepare([behind_login(real_kafka, topic, secrets={"env:USER": "clerk"})], None)
    assert caught.value.fact == "cluster 'main' needs secret 'env:PASSWORD', which was not read"
