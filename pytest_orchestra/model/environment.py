"""The connections of one stage, by alias.

The profiles are what a user writes in ``environments.yaml``. Text fields may hold templates over ``env``
(``{{env.ORDERS_URL}}``); fields named ``*_ref`` hold references of secrets: ``env:NAME`` or ``file:PATH``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BeforeValidator, Field, JsonValue, PrivateAttr, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from pytest_orchestra.model.definition import Definition
from pytest_orchestra.model.definition_base import RefusedError
from pytest_orchestra.problem import Place

__all__ = [
    "ApiKeyAuth",
    "BasicAuth",
    "BearerAuth",
    "ConnectionProfile",
    "DbConnectionProfile",
    "Environment",
    "KafkaClusterProfile",
    "OAuth2Auth",
    "QueueBrokerProfile",
    "SchemaRegistryProfile",
    "ServiceAuth",
    "ServiceProfile",
    "SimulatedExchange",
]

_Profile = TypeVar("_Profile", bound=Definition)


def _checked_ref(value: str | None) -> str | None:
    if value is not None and not value.startswith(("env:", "file:")):
        raise ValueError("a secret is given by reference, 'env:NAME' or 'file:PATH'")
    return value


def _one_or_many(value: Any) -> Any:
    """Let one routing key stand for a list of one."""
    return [value] if isinstance(value, str) else value


def _simulated(profiles: Mapping[str, _Profile]) -> dict[str, _Profile]:
    return {alias: profile.model_copy(update={"simulated": True}) for alias, profile in profiles.items()}


class BasicAuth(Definition):
    """User name and password (RFC 7617)."""

    username: str | None = None
    username_ref: str | None = None
    """The user name, where it is a secret."""
    password_ref: str

    _refs = field_validator("username_ref", "password_ref")(_checked_ref)

    @model_validator(mode="after")
    def _named(self) -> BasicAuth:
        if (self.username is None) == (self.username_ref is None):
            raise RefusedError(
                "give one of 'username' and 'usernameRef'", "write for example 'usernameRef: env:SHOP_USER'"
            )
        return self


class BearerAuth(Definition):
    """A token that is there already (RFC 6750); in short just its reference."""

    short_form: ClassVar[str | None] = "The reference of the token."

    token_ref: str

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"token_ref": value} if isinstance(value, str) else value

    _ref = field_validator("token_ref")(_checked_ref)


class ApiKeyAuth(Definition):
    """An API key; in short just its reference. Its name and place are those of the specification's security scheme."""

    short_form: ClassVar[str | None] = "The reference of the key."

    value_ref: str
    name: str | None = None
    """The header, query parameter or cookie that carries it, where the specification does not say."""
    location: Literal["header", "query", "cookie"] = Field(default="header", alias="in")
    """`header`, `query` or `cookie`; goes with `name`."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"value_ref": value} if isinstance(value, str) else value

    _ref = field_validator("value_ref")(_checked_ref)


class OAuth2Auth(Definition):
    """A client of an OAuth 2.0 authorization server (RFC 6749), which gives it tokens."""

    grant: Literal["clientCredentials", "password"] = "clientCredentials"
    """`clientCredentials`, or `password` for the user of `username` and `passwordRef`."""
    token_url: str | None = None
    """Where tokens are fetched; what the specification says if absent."""
    client_id: str | None = None
    client_id_ref: str | None = None
    """The client's id, where it is a secret."""
    client_secret_ref: str | None = None
    client_authentication: Literal["basic", "body"] = "basic"
    """Whether the client's id and secret go in a header (`basic`) or in the `body` of the token request."""
    username: str | None = None
    username_ref: str | None = None
    """The user name, where it is a secret."""
    password_ref: str | None = None
    scopes: list[str] | None = None
    """What the token is for; the scopes that the operation asks for if absent."""
    parameters: dict[str, str] = Field(default_factory=dict)
    """More fields of the token request: `audience`, `resource` ..."""

    _refs = field_validator("client_id_ref", "client_secret_ref", "username_ref", "password_ref")(_checked_ref)

    @model_validator(mode="after")
    def _complete(self) -> OAuth2Auth:
        if (self.client_id is None) == (self.client_id_ref is None):
            raise RefusedError(
                "give one of 'clientId' and 'clientIdRef'", "write for example 'clientIdRef: env:CLIENT_ID'"
            )
        has_user = (self.username is not None or self.username_ref is not None) and self.password_ref is not None
        if self.grant == "password" and not has_user:
            raise RefusedError(
                "grant 'password' needs 'username' or 'usernameRef', and 'passwordRef'",
                "write for example 'usernameRef: env:SHOP_USER' and 'passwordRef: env:SHOP_PASSWORD'",
            )
        return self


class ServiceAuth(Definition):
    """How calls of a service are authenticated: of each kind at most one, and the operation's specification chooses."""

    basic: BasicAuth | None = None
    bearer: BearerAuth | None = None
    api_key: ApiKeyAuth | None = None
    api_key_refs: dict[str, str] = Field(default_factory=dict)
    """API keys by the name of their security scheme, by reference, where there are several."""
    oauth2: OAuth2Auth | None = None

    @field_validator("api_key_refs")
    @classmethod
    def _refs(cls, value: dict[str, str]) -> dict[str, str]:
        for ref in value.values():
            _checked_ref(ref)
        return value


class ServiceProfile(Definition):
    """A service that speaks HTTP or gRPC; in short just its base URL."""

    short_form: ClassVar[str | None] = "Its base URL."

    base_url: str = ""
    """Scheme, host, port and path prefix; only a service that is simulated may have none."""
    simulated: bool = False
    """Whether the plugin stands in for it: it listens on loopback and answers as the specification and `simulations` of
    the sidecar say."""
    simulated_port: int | None = Field(default=None, ge=1, le=65535)
    """The port at which a simulated service listens, where others than the scenarios must know it; a free one if
    absent."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers of every request."""
    header_refs: dict[str, str] = Field(default_factory=dict)
    """Headers whose values are secrets, by reference."""
    verify_tls: bool = True
    """Whether the certificate of the service is checked."""
    ca_file: str | None = None
    """A file of certificates (PEM) that are trusted, besides those of the machine; relative to this file."""
    certificate_file: str | None = None
    """The client's own certificate (PEM), where the service asks for one; relative to this file."""
    key_file: str | None = None
    """The key of that certificate (PEM), if it is not in the same file."""
    key_password_ref: str | None = None
    auth: ServiceAuth | None = None
    """How calls are authenticated, as far as the operation's specification asks for it."""
    proxy: str | None = None
    """The proxy that calls go through, `http://host:port`; those of the process environment do not count."""
    proxy_username_ref: str | None = None
    proxy_password_ref: str | None = None
    http_version: Literal["1.1", "2"] = "1.1"
    """`2` speaks HTTP/2 and takes no less; needs the extra `http2`."""
    max_concurrency: int | None = Field(default=None, ge=1)
    """How many calls of one session it gets at once; any number if absent."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"base_url": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _reachable(self) -> ServiceProfile:
        if not self.base_url and not self.simulated:
            raise RefusedError(
                "give 'baseUrl', or say 'simulated: true'", "write for example 'baseUrl: http://localhost:8080'"
            )
        return self

    _key_ref = field_validator("key_password_ref", "proxy_username_ref", "proxy_password_ref")(_checked_ref)

    @field_validator("header_refs")
    @classmethod
    def _refs(cls, value: dict[str, str]) -> dict[str, str]:
        for ref in value.values():
            _checked_ref(ref)
        return value


class DbConnectionProfile(Definition):
    """A database; in short just its URL."""

    short_form: ClassVar[str | None] = "Its URL, without password."

    url: str
    """`postgresql://host:port/name`, without password; of any other database SQLAlchemy's URL, `sqlite:///shop.db`,
    `mysql+aiomysql://host:port/name`, for which `pytest-orchestra[sqlalchemy]` is needed."""
    username_ref: str | None = None
    password_ref: str | None = None
    default_schema: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    _refs = field_validator("username_ref", "password_ref")(_checked_ref)


class SchemaRegistryProfile(Definition):
    """A schema registry that speaks Confluent's protocol; in short just its URL."""

    short_form: ClassVar[str | None] = "Its URL, without password."

    url: str
    username_ref: str | None = None
    password_ref: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    _refs = field_validator("username_ref", "password_ref")(_checked_ref)


class KafkaClusterProfile(Definition):
    """A Kafka cluster; in short just its bootstrap servers."""

    short_form: ClassVar[str | None] = "Its bootstrap servers, `host:port,host:port`."

    bootstrap_servers: str = ""
    """`host:port` of one broker or several, with commas between them; only a simulated cluster may have none."""
    simulated: bool = False
    """Whether the plugin stands in for it, in memory: every topic is there, with one partition. Only steps and
    simulated participants reach it."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] | None = None
    """How its brokers are spoken to; `PLAINTEXT` if absent, with `saslMechanism` or `usernameRef` `SASL_PLAINTEXT`."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """How one logs in; `PLAIN` if absent."""
    username_ref: str | None = None
    password_ref: str | None = None
    security_profile_ref: str | None = None
    """A secret that is a JSON object with `securityProtocol`, `saslMechanism`, `username` and `password`, in place of
    the four fields; one of them that is there counts first."""
    ca_file: str | None = None
    """A file of certificates (PEM) that are trusted, besides those of the machine; relative to this file."""
    certificate_file: str | None = None
    """The client's own certificate (PEM), where the brokers ask for one; relative to this file."""
    key_file: str | None = None
    """The key of that certificate (PEM), if it is not in the same file."""
    key_password_ref: str | None = None
    create_topics: bool = False
    """Whether topics that do not exist are created, with one partition; else they are an error."""
    schema_registry: SchemaRegistryProfile | None = None
    """Where the schemas of Avro and Protobuf values are."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"bootstrap_servers": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _reachable(self) -> KafkaClusterProfile:
        if not self.bootstrap_servers and not self.simulated:
            raise RefusedError(
                "give 'bootstrapServers', or say 'simulated: true'",
                "write for example 'bootstrapServers: localhost:9092'",
            )
        return self

    _refs = field_validator("username_ref", "password_ref", "key_password_ref")(_checked_ref)


class SimulatedExchange(Definition):
    """An exchange of a simulated queue broker; in short just its type."""

    short_form: ClassVar[str | None] = "Its type."

    type: Literal["topic", "direct", "fanout"] = "topic"
    """What routing keys mean to it: patterns with `*` and `#` for `topic`, themselves for `direct`, nothing for
    `fanout`."""
    queues: dict[str, Annotated[list[str], BeforeValidator(_one_or_many)]] = Field(default_factory=dict)
    """The queues that are bound to it, each with its routing keys."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value


class QueueBrokerProfile(Definition):
    """A queue broker; in short just its URL."""

    short_form: ClassVar[str | None] = "Its URL, `amqp://host:port/vhost`, without password."

    endpoint: str = ""
    """`amqp://host:port/vhost` or, with TLS, `amqps://host:port/vhost`, without password; only a broker that is
    simulated may have none."""
    simulated: bool = False
    """Whether the plugin stands in for it, in memory: every exchange and queue is there. Only steps and simulated
    participants reach it."""
    exchanges: dict[str, SimulatedExchange] = Field(default_factory=dict)
    """Exchanges of a simulated broker that are no `topic` exchanges, or to which queues are bound."""
    kind: str = "RABBITMQ"
    """What the broker is; `RABBITMQ` also stands for others that speak AMQP 0-9-1."""
    username_ref: str | None = None
    """Who logs in; the user in the URL if absent, else `guest`."""
    password_ref: str | None = None
    credentials_ref: str | None = None
    """User and password as one secret, `user:password`, in place of the two references."""
    ca_file: str | None = None
    """A file of certificates (PEM) that are trusted, besides those of the machine; relative to this file."""
    certificate_file: str | None = None
    """The client's own certificate (PEM), where the broker asks for one; relative to this file."""
    key_file: str | None = None
    """The key of that certificate (PEM), if it is not in the same file."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"endpoint": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _reachable(self) -> QueueBrokerProfile:
        if not self.endpoint and not self.simulated:
            raise RefusedError(
                "give 'endpoint', or say 'simulated: true'", "write for example 'endpoint: amqp://localhost:5672'"
            )
        return self

    _refs = field_validator("username_ref", "password_ref", "credentials_ref")(_checked_ref)


class ConnectionProfile(Definition):
    """What a protocol of your own connects to; in short just its URL."""

    short_form: ClassVar[str | None] = "Its URL."

    url: str
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Whatever the protocol wants to know."""
    secret_refs: dict[str, str] = Field(default_factory=dict)
    """Secrets by a name that the protocol knows, by reference."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @field_validator("secret_refs")
    @classmethod
    def _refs(cls, value: dict[str, str]) -> dict[str, str]:
        for ref in value.values():
            _checked_ref(ref)
        return value


class Environment(Definition):
    """The connections of one stage. Steps hold aliases; the chosen environment says what they mean."""

    name: str = "default"
    services: dict[str, ServiceProfile] = Field(default_factory=dict)
    db_profiles: dict[str, DbConnectionProfile] = Field(default_factory=dict)
    kafka_profiles: dict[str, KafkaClusterProfile] = Field(default_factory=dict)
    queue_profiles: dict[str, QueueBrokerProfile] = Field(default_factory=dict)
    connections: dict[str, ConnectionProfile] = Field(default_factory=dict)
    """What protocols of your own connect to, by alias."""
    variables: dict[str, JsonValue] = Field(default_factory=dict)
    """Values that templates read as `environment.NAME`."""
    place: SkipJsonSchema[Place | None] = Field(default=None, exclude=True, repr=False)
    _is_all_simulated: bool = PrivateAttr(default=False)

    @property
    def is_simulated(self) -> bool:
        """Whether all services, clusters and brokers are simulated, so that nothing has to be started for them."""
        groups = (self.services, self.kafka_profiles, self.queue_profiles)
        said = [profile.simulated for profiles in groups for profile in profiles.values()]
        return self._is_all_simulated or (bool(said) and all(said))

    def with_all_simulated(self) -> Environment:
        """Give a copy in which all services, clusters and brokers are simulated; other settings of theirs stay."""
        copy = self.model_copy(
            update={
                "services": _simulated(self.services),
                "kafka_profiles": _simulated(self.kafka_profiles),
                "queue_profiles": _simulated(self.queue_profiles),
            }
        )
        copy._is_all_simulated = True  # noqa: SLF001  the own one, which also one that names nobody has
        return copy

    def with_services(self, **base_urls: str) -> Environment:
        """Give a copy in which these services have these base URLs; other settings of theirs stay."""
        services = dict(self.services)
        for alias, base_url in base_urls.items():
            known = services.get(alias)
            services[alias] = (
                known.model_copy(update={"base_url": base_url}) if known else ServiceProfile(base_url=base_url)
            )
        return self.model_copy(update={"services": services})

    def with_databases(self, **urls: str) -> Environment:
        """Give a copy in which these databases have these URLs; other settings of theirs stay."""
        databases = dict(self.db_profiles)
        for alias, url in urls.items():
            known = databases.get(alias)
            databases[alias] = known.model_copy(update={"url": url}) if known else DbConnectionProfile(url=url)
        return self.model_copy(update={"db_profiles": databases})

    def with_kafka(self, **bootstrap_servers: str) -> Environment:
        """Give a copy in which these clusters have these bootstrap servers; other settings of theirs stay."""
        clusters = dict(self.kafka_profiles)
        for alias, servers in bootstrap_servers.items():
            known = clusters.get(alias)
            clusters[alias] = (
                known.model_copy(update={"bootstrap_servers": servers})
                if known
                else KafkaClusterProfile(bootstrap_servers=servers)
            )
        return self.model_copy(update={"kafka_profiles": clusters})

    def with_queues(self, **endpoints: str) -> Environment:
        """Give a copy in which these brokers have these endpoints; other settings of theirs stay."""
        brokers = dict(self.queue_profiles)
        for alias, endpoint in endpoints.items():
            known = brokers.get(alias)
            brokers[alias] = (
                known.model_copy(update={"endpoint": endpoint}) if known else QueueBrokerProfile(endpoint=endpoint)
            )
        return self.model_copy(update={"queue_profiles": brokers})

    def with_variables(self, **values: JsonValue) -> Environment:
        """Give a copy in which these variables are added or changed."""
        return self.model_copy(update={"variables": {**self.variables, **values}})
