"""The connections of one stage, by alias.

The profiles are what a user writes in ``environments.yaml``. Text fields may hold templates over ``env``
(``{{env.ORDERS_URL}}``); fields named ``*_ref`` hold references of secrets: ``env:NAME`` or ``file:PATH``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, JsonValue, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from pytest_orchestra.model.definition import Definition
from pytest_orchestra.problem import Place

__all__ = [
    "DbConnectionProfile",
    "Environment",
    "KafkaClusterProfile",
    "QueueBrokerProfile",
    "ServiceProfile",
]


def _checked_ref(value: str | None) -> str | None:
    if value is not None and not value.startswith(("env:", "file:")):
        raise ValueError("a secret is given by reference, 'env:NAME' or 'file:PATH'")
    return value


class ServiceProfile(Definition):
    """A service that speaks HTTP or gRPC; in short just its base URL."""

    short_form: ClassVar[str | None] = "Its base URL."

    base_url: str
    """Scheme, host, port and path prefix."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers of every request."""
    header_refs: dict[str, str] = Field(default_factory=dict)
    """Headers whose values are secrets, by reference."""
    verify_tls: bool = True
    max_concurrency: int | None = Field(default=None, ge=1)
    """How many calls of one session it gets at once; any number if absent."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"base_url": value} if isinstance(value, str) else value

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
    """`postgresql://host:port/name`, without password."""
    username_ref: str | None = None
    password_ref: str | None = None
    default_schema: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    _refs = field_validator("username_ref", "password_ref")(_checked_ref)


class KafkaClusterProfile(Definition):
    """A Kafka cluster."""

    bootstrap_servers: str
    security_profile_ref: str | None = None


class QueueBrokerProfile(Definition):
    """A queue broker."""

    endpoint: str
    kind: str = "RABBITMQ"
    credentials_ref: str | None = None


class Environment(Definition):
    """The connections of one stage. Steps hold aliases; the chosen environment says what they mean."""

    name: str = "default"
    services: dict[str, ServiceProfile] = Field(default_factory=dict)
    db_profiles: dict[str, DbConnectionProfile] = Field(default_factory=dict)
    kafka_profiles: dict[str, KafkaClusterProfile] = Field(default_factory=dict)
    queue_profiles: dict[str, QueueBrokerProfile] = Field(default_factory=dict)
    variables: dict[str, JsonValue] = Field(default_factory=dict)
    """Values that templates read as `environment.NAME`."""
    place: SkipJsonSchema[Place | None] = Field(default=None, exclude=True, repr=False)

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

    def with_variables(self, **values: JsonValue) -> Environment:
        """Give a copy in which these variables are added or changed."""
        return self.model_copy(update={"variables": {**self.variables, **values}})
