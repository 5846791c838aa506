"""Resolving environments: templates over ``env`` and references of secrets."""

from __future__ import annotations

import pickle

import pytest

from pytest_orchestra.data.environments import resolve_environment
from pytest_orchestra.errors import (
    SecretNotFoundError,
    TemplateSyntaxError,
    UndefinedVariableError,
    UnusableEnvironmentError,
    VariableNotSetError,
)
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.problem import Place


def environment(place=None, **fields):
    return Environment.model_validate({"name": "staging", **fields}).model_copy(update={"place": place})


def test_text_fields_of_every_profile_are_rendered_over_env():
    """Whatever text a profile holds may name environment variables."""
    written = environment(
        services={
            "orders": {"baseUrl": "{{env.BASE}}/orders", "headers": {"X-Stage": "{{env.STAGE}}"}},
            "short": "https://{{env.STAGE|lower}}.example.org:{{env.PORT}}",
        },
        dbProfiles={"warehouse": {"url": "postgresql://{{env.STAGE}}/db", "defaultSchema": "{{env.STAGE|lower}}"}},
        kafkaProfiles={"main": {"bootstrapServers": "{{env.STAGE}}:9092"}},
        queueProfiles={"main": {"endpoint": "amqp://{{env.STAGE}}"}},
        variables={"stage": "{{env.STAGE}}", "port": "{{env.PORT|int}}", "list": [{"deep": "{{env.PORT}}"}], "n": 1},
    )
    resolved = resolve_environment(written, {"BASE": "https://api", "STAGE": "QA", "PORT": "8443"})
    assert resolved.secrets == {}
    assert resolved.environment == environment(
        services={
            "orders": {"baseUrl": "https://api/orders", "headers": {"X-Stage": "QA"}},
            "short": "https://qa.example.org:8443",
        },
        dbProfiles={"warehouse": {"url": "postgresql://QA/db", "defaultSchema": "qa"}},
        kafkaProfiles={"main": {"bootstrapServers": "QA:9092"}},
        queueProfiles={"main": {"endpoint": "amqp://QA"}},
        variables={"stage": "QA", "port": 8443, "list": [{"deep": "8443"}], "n": 1},
    )


def test_environment_without_templates_and_secrets_is_itself():
    """Nothing is lost on the way: name, place and settings stay."""
    written = environment(
        Place("environments.yaml", 3),
        services={"orders": {"baseUrl": "http://x", "verifyTls": False}},
        variables={"a": None},
    )
    resolved = resolve_environment(written, {})
    assert resolved.environment == written
    assert resolved.environment.place == Place("environments.yaml", 3)


def test_text_field_that_renders_to_a_number_stays_text():
    """A URL or header is text whatever its template gives."""
    written = environment(services={"orders": {"baseUrl": "x", "headers": {"X-Port": "{{env.PORT|int}}"}}})
    resolved = resolve_environment(written, {"PORT": "80"})
    assert resolved.environment.services["orders"].headers == {"X-Port": "80"}


def test_variable_that_is_not_set_is_an_error_with_its_field_and_a_way_out():
    """The error names the variable, the field and the environment."""
    written = environment(
        Place("environments.yaml", 3), services={"orders": {"baseUrl": "http://{{env.HOST}}:{{env.PORT}}"}}
    )
    with pytest.raises(VariableNotSetError) as caught:
        resolve_environment(written, {"HOST": "h", "PROT": "1"})
    assert isinstance(caught.value, UnusableEnvironmentError)
    assert str(caught.value) == (
        "environments.yaml:3: 'services.orders.baseUrl' of environment 'staging' "
        "needs the environment variable 'PORT': it is not set\n"
        "hint: set PORT, or give a default: {{env.PORT|default('...')}}"
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_variable_with_a_default_need_not_be_set():
    """Defaults are those of the expression language."""
    written = environment(services={"orders": "{{env.BASE|default('http://localhost')}}"})
    assert resolve_environment(written, {}).environment.services["orders"].base_url == "http://localhost"
    assert resolve_environment(written, {"BASE": "http://x"}).environment.services["orders"].base_url == "http://x"


@pytest.mark.parametrize(
    ("template", "kind", "message"),
    [
        ("{{data.x}}", UndefinedVariableError, "'data' is not defined\nhint: there is only 'env'"),
        ("{{env.A.b}}", UndefinedVariableError, "'b' is not in 'env.A', which is a string"),
        ("{{env.A &}}", TemplateSyntaxError, "cannot read the expression 'env.A &': unexpected char '&' at 6"),
    ],
)
def test_template_that_is_wrong_is_the_error_that_it_is_elsewhere(template, kind, message):
    """Only ``env`` is in reach of an environment file."""
    with pytest.raises(kind) as caught:
        resolve_environment(environment(services={"orders": template}), {"A": "1"})
    assert str(caught.value) == message


def test_references_of_secrets_are_read_from_variables_and_files(tmp_path):
    """Every reference of every profile is read, once, under its own name."""
    (tmp_path / "db.password").write_bytes(b"p\xc3\xa4ss\nword\n")
    (tmp_path / "token").write_bytes(b"tok\r\n")
    written = environment(
        services={"orders": {"baseUrl": "x", "headerRefs": {"Authorization": "env:TOKEN", "X-Key": "file:token"}}},
        dbProfiles={"w": {"url": "x", "usernameRef": "env:DB_USER", "passwordRef": "file:db.password"}},
        kafkaProfiles={"k": {"bootstrapServers": "x", "securityProfileRef": "env:TOKEN"}},
        queueProfiles={"q": {"endpoint": "x", "credentialsRef": f"file:{tmp_path}/token"}},
        variables={"passwordRef": "env:NOWHERE"},
    )
    resolved = resolve_environment(written, {"TOKEN": "token-of-orders\n", "DB_USER": "ada"}, folder=tmp_path)
    assert resolved.secrets == {
        "env:TOKEN": Secret("token-of-orders\n"),
        "file:token": Secret("tok"),
        "env:DB_USER": Secret("ada"),
        "file:db.password": Secret("päss\nword"),
        f"file:{tmp_path}/token": Secret("tok"),
    }
    assert "token-of-orders" not in repr(resolved)


def test_reference_may_hold_a_template(tmp_path):
    """The reference that a profile holds after rendering is the one that is read."""
    written = environment(dbProfiles={"w": {"url": "x", "passwordRef": "env:{{env.STAGE}}_PW"}})
    resolved = resolve_environment(written, {"STAGE": "QA", "QA_PW": "secret"})
    assert resolved.secrets == {"env:QA_PW": Secret("secret")}
    assert resolved.environment.db_profiles["w"].password_ref == "env:QA_PW"


def test_relative_file_is_looked_for_beside_the_file_of_the_environment(tmp_path):
    """The folder of ``environments.yaml`` is where its files are."""
    (tmp_path / "pw").write_text("secret\n")
    written = environment(
        Place(str(tmp_path / "environments.yaml"), 2), dbProfiles={"w": {"url": "x", "passwordRef": "file:pw"}}
    )
    assert resolve_environment(written, {}).secrets == {"file:pw": Secret("secret")}


@pytest.mark.parametrize(
    ("reference", "reason", "hint"),
    [
        ("env:PW", "the environment variable is not set", "set the environment variable PW"),
        ("env:EMPTY", "it is empty", "set the environment variable EMPTY"),
        (
            "file:absent",
            "the file cannot be read: no such file or directory",
            "write the secret to that file, or refer to another one",
        ),
        ("file:.", "the file cannot be read: is a directory", "write the secret to that file, or refer to another one"),
        ("file:empty", "it is empty", "write the secret to that file, or refer to another one"),
        (
            "file:binary",
            "the file is not text in UTF-8",
            "write the secret to that file, or refer to another one",
        ),
        (
            "file:large",
            "the file is larger than 65536 bytes",
            "write the secret to that file, or refer to another one",
        ),
        ("env:", "it is no reference", "write 'env:NAME' or 'file:PATH'"),
    ],
)
def test_secret_that_is_not_there_is_an_error_that_names_its_reference(tmp_path, reference, reason, hint):
    """The error names the reference, the field and the reason, and never a value."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_text("x" * 65537)
    written = environment(Place("environments.yaml", 9), dbProfiles={"w": {"url": "x", "passwordRef": reference}})
    with pytest.raises(SecretNotFoundError) as caught:
        resolve_environment(written, {"EMPTY": "", "OTHER": "value"}, folder=tmp_path)
    assert str(caught.value) == (
        f"environments.yaml:9: 'dbProfiles.w.passwordRef' of environment 'staging' needs the secret '{reference}': "
        f"{reason}\nhint: {hint}"
    )


def test_header_whose_secret_is_not_there_is_named():
    """Of several headers the one is named whose secret is missing."""
    written = environment(services={"orders": {"baseUrl": "x", "headerRefs": {"X-Key": "env:KEY"}}})
    with pytest.raises(SecretNotFoundError) as caught:
        resolve_environment(written, {})
    assert caught.value.fact == (
        "'services.orders.headerRefs.X-Key' of environment 'staging' needs the secret 'env:KEY': "
        "the environment variable is not set"
    )


def test_profile_reference_without_a_scheme_is_refused():
    """What is no reference is not taken for a value."""
    written = environment(kafkaProfiles={"k": {"bootstrapServers": "x", "securityProfileRef": "sasl"}})
    with pytest.raises(SecretNotFoundError) as caught:
        resolve_environment(written, {})
    assert caught.value.fact == (
        "'kafkaProfiles.k.securityProfileRef' of environment 'staging' needs the secret 'sasl': it is no reference"
    )


def test_variables_that_are_credentials_by_name_count_as_secrets():
    """A token that a template reads from ``env`` is masked like one that is given by reference."""
    written = environment(
        services={
            "orders": {"baseUrl": "{{env.BASE}}", "headers": {"X": "{{env.API_TOKEN}} {{env.OPTIONAL_SECRET|d('')}}"}}
        }
    )
    resolved = resolve_environment(
        written, {"BASE": "http://x", "API_TOKEN": "token-of-orders", "UNUSED_PASSWORD": "p"}
    )
    assert resolved.secrets == {"env:API_TOKEN": Secret("token-of-orders")}
