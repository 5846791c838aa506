"""Which cluster a step means, and what is wrong with its profile."""

from __future__ import annotations

import ssl
import subprocess
import sys

import pytest
from kafka_broker import Broker, kafka_call
from pydantic import ValidationError

from pytest_orchestra.errors import SecretNotFoundError, UnknownAliasError, UnusableEnvironmentError
from pytest_orchestra.model.environment import Environment, KafkaClusterProfile
from pytest_orchestra.problem import Place
from pytest_orchestra.protocols.kafka_login import KafkaLogin

SECRETS = {"env:USER": "clerk", "env:PASSWORD": "s3cret-word", "env:ALL": "", "env:LIST": "[1]"}
NAMED = {"usernameRef": "env:USER", "passwordRef": "env:PASSWORD"}


def login(servers="a:1", secrets=SECRETS, place=None, **profile):
    environment = {"kafkaProfiles": {"main": {"bootstrapServers": servers, **profile}}}
    call = kafka_call(Broker("unused:1"), "t", environment=environment, secrets=secrets)
    if place is not None:
        object.__setattr__(call, "environment", call.environment.model_copy(update={"place": place}))
    return KafkaLogin.of(call)


def test_short_form_is_the_bootstrap_servers():
    """The least that one can write is an address."""
    environment = Environment.model_validate({"kafkaProfiles": {"main": "a:1,b:2"}})
    assert environment.kafka_profiles["main"].bootstrap_servers == "a:1,b:2"
    with pytest.raises(ValidationError, match="a secret is given by reference"):
        KafkaClusterProfile.model_validate({"bootstrapServers": "a:1", "passwordRef": "s3cret"})


def test_servers_are_read_in_every_form():
    """A port may be left out, and an address may be of the sixth version."""
    read = login("a, b:2 ,[::1]:3,[::1]")
    assert read.servers == (("a", 9092), ("b", 2), ("::1", 3), ("::1", 9092))
    assert read.address == "a:9092,b:2,[::1]:3,[::1]:9092"


@pytest.mark.parametrize("servers", [",", "a:1,", "a:b", "a:0", "a:99999", "kafka://a:1"])
def test_server_that_is_no_address_is_told(servers):
    """The faulty one of them is named."""
    with pytest.raises(UnusableEnvironmentError) as caught:
        login(servers)
    assert "has bootstrap server '" in caught.value.fact
    assert caught.value.hint == "write it as 'host:port' in environment 'local'"


@pytest.mark.parametrize(
    ("profile", "protocol", "mechanism"),
    [
        ({}, "PLAINTEXT", "PLAIN"),
        (NAMED, "SASL_PLAINTEXT", "PLAIN"),
        ({**NAMED, "saslMechanism": "SCRAM-SHA-512"}, "SASL_PLAINTEXT", "SCRAM-SHA-512"),
        ({**NAMED, "securityProtocol": "SASL_SSL"}, "SASL_SSL", "PLAIN"),
        ({"securityProtocol": "SSL"}, "SSL", "PLAIN"),
    ],
)
def test_security_is_what_the_profile_says_or_implies(profile, protocol, mechanism):
    """Who names a user wants to log in."""
    read = login(**profile)
    assert (read.protocol, read.mechanism) == (protocol, mechanism)
    options = read.options()
    assert options["security_protocol"] == protocol
    assert isinstance(options["ssl_context"], ssl.SSLContext) is read.is_tls
    assert options.get("sasl_plain_password") == ("s3cret-word" if read.is_sasl else None)
    assert "s3cret-word" not in repr(read)


@pytest.mark.parametrize(
    ("profile", "fact", "hint"),
    [
        (
            {"saslMechanism": "PLAIN"},
            "cluster 'main' has 'SASL_PLAINTEXT' without user and password",
            "add 'usernameRef' and 'passwordRef'",
        ),
        (
            {**NAMED, "securityProtocol": "SSL"},
            "cluster 'main' has 'SSL', which knows no user",
            "use 'SASL_SSL', or take 'usernameRef' away",
        ),
        (
            {"securityProfileRef": "env:LIST"},
            "cluster 'main': 'securityProfileRef' 'env:LIST' is no JSON object",
            'write it as \'{"securityProtocol": ..., "username": ..., "password": ...}\'',
        ),
        (
            {"securityProfileRef": "env:ODD"},
            "cluster 'main' has 'securityProtocol' 'TLS'",
            "use one of 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'",
        ),
        (
            {"securityProfileRef": "env:GSS"},
            "cluster 'main' has 'saslMechanism' 'GSSAPI'",
            "use one of 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'",
        ),
    ],
)
def test_profile_whose_parts_do_not_go_together_is_told(profile, fact, hint):
    """What is wrong is said before anything is connected."""
    secrets = {**SECRETS, "env:ODD": '{"securityProtocol": "TLS"}'}
    secrets["env:GSS"] = '{"saslMechanism": "GSSAPI", "username": "u", "password": "p"}'
    with pytest.raises(UnusableEnvironmentError) as caught:
        login(secrets=secrets, **profile)
    assert (caught.value.fact, caught.value.hint) == (fact, hint)


def test_files_of_tls_are_relative_to_the_environment(tmp_path, certificate):
    """A certificate beside the file is found by its name; one that is none is told."""
    place = Place(str(certificate[0].parent / "environments.yaml"))
    files = {"caFile": "certificate.pem", "certificateFile": "certificate.pem", "keyFile": "key.pem"}
    assert isinstance(login(place=place, securityProtocol="SSL", **files).options()["ssl_context"], ssl.SSLContext)
    (tmp_path / "odd.pem").write_text("nothing")
    for field in ("caFile", "certificateFile"):
        for name in ("odd.pem", "missing.pem"):
            with pytest.raises(UnusableEnvironmentError) as caught:
                login(place=Place(str(tmp_path / "e.yaml")), securityProtocol="SSL", **{field: name}).options()
            assert caught.value.fact.startswith(f"cluster 'main': '{field}' cannot be used: ")
            assert caught.value.hint == f"correct '{field}' of 'main' in environment 'local'"


def test_alias_may_be_absent_where_there_is_one_cluster():
    """With none or several, somebody has to say."""
    for known, fact in (
        ({}, "environment 'local' has no Kafka cluster"),
        ({"a": "a:1", "b": "b:1"}, "environment 'local' has several Kafka clusters: 'a', 'b'"),
    ):
        with pytest.raises(UnknownAliasError) as caught:
            KafkaLogin.of(kafka_call(Broker("x:1"), "t", environment={"kafkaProfiles": known}))
        assert caught.value.fact == fact
    known = {"kafkaProfiles": {"a": "a:1", "b": "b:1"}}
    assert KafkaLogin.of(kafka_call(Broker("x:1"), "t", environment=known, clusterAlias="b")).alias == "b"


def test_secret_that_was_not_read_is_told():
    """Its reference is named, never its value."""
    with pytest.raises(SecretNotFoundError) as caught:
        login(secrets={}, **NAMED)
    assert str(caught.value) == (
        "cluster 'main' needs secret 'env:USER', which was not read\nhint: set what 'env:USER' refers to"
    )


_WITHOUT = """
import sys
for name in list(sys.modules):
    assert not name.startswith("aiokafka")
sys.modules["aiokafka"] = None
import asyncio
sys.path.insert(0, sys.argv[1])
from kafka_broker import Broker, kafka_call
from pytest_orchestra.errors import StepError
from pytest_orchestra.protocols.kafka import KafkaProtocol
try:
    asyncio.run(KafkaProtocol().execute(kafka_call(Broker("x:1"), "t"), {}))
except StepError as error:
    print(error)
"""


def test_missing_client_is_told_with_what_to_install(request):
    """Without the extra, a Kafka step says which one it needs."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, str(request.path.parent)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "Kafka steps need the package 'aiokafka'\nhint: pip install 'pytest-orchestra[kafka]'\n"
