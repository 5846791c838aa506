"""Which Kafka cluster a step means, and how one logs in there."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json

from pytest_orchestra.engine.ports import StepCall
from pytest_orchestra.errors import SecretNotFoundError, UnusableEnvironmentError
from pytest_orchestra.model.environment import Environment, KafkaClusterProfile
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.protocols.chosen_profile import ProfileWords, choose_profile

__all__ = ["KafkaLogin", "RegistryLogin", "cluster_profile"]

_DEFAULT_PORT: Final = 9092
_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_WORDS: Final = ProfileWords("Kafka cluster", "Kafka clusters", "kafkaProfiles", "clusterAlias")


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """Where a schema registry is and who logs in there."""

    url: str
    user: Secret | None = None
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class KafkaLogin:
    """Where a cluster is and who logs in there.

    ``alias`` and ``environment`` are the names under which a user knows it. The files are those of TLS.
    """

    alias: str
    environment: str
    servers: tuple[tuple[str, int], ...]
    protocol: str = "PLAINTEXT"
    mechanism: str = "PLAIN"
    user: Secret | None = None
    password: Secret | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: Secret | None = field(default=None, repr=False)
    creates_topics: bool = False
    registry: RegistryLogin | None = None

    @classmethod
    def of(cls, call: StepCall) -> KafkaLogin:
        """Take it from the environment of a call.

        Raises ``UnknownAliasError``, ``SecretNotFoundError`` and, for a profile that cannot be used,
        ``UnusableEnvironmentError``.
        """
        environment = call.environment
        alias, profile = cluster_profile(environment, call.address.get("clusterAlias"))
        settings = _settings(call, alias, profile)
        user = _secret(call, alias, profile.username_ref) or _text(settings, "username")
        password = _secret(call, alias, profile.password_ref) or _text(settings, "password")
        is_sasl = bool(user or profile.sasl_mechanism or settings.get("saslMechanism"))
        protocol = profile.security_protocol or settings.get("securityProtocol")
        mechanism = profile.sasl_mechanism or settings.get("saslMechanism") or _MECHANISMS[0]
        login = cls(
            alias=alias,
            environment=environment.name,
            servers=_servers(environment, alias, profile.bootstrap_servers),
            protocol=str(protocol or ("SASL_PLAINTEXT" if is_sasl else "PLAINTEXT")),
            mechanism=str(mechanism),
            user=user,
            password=password,
            ca_file=_file(environment, profile.ca_file),
            certificate_file=_file(environment, profile.certificate_file),
            key_file=_file(environment, profile.key_file),
            key_password=_secret(call, alias, profile.key_password_ref),
            creates_topics=profile.create_topics,
            registry=_registry(call, alias, profile),
        )
        login.check()
        return login

    def check(self) -> None:
        """Raise ``UnusableEnvironmentError`` if its parts do not go together."""
        fault = hint = None
        if self.protocol not in _PROTOCOLS:
            fault = f"has 'securityProtocol' '{self.protocol}'"
            hint = _one_of(_PROTOCOLS)
        elif self.mechanism not in _MECHANISMS:
            fault = f"has 'saslMechanism' '{self.mechanism}'"
            hint = _one_of(_MECHANISMS)
        elif self.is_sasl and (self.user is None or self.password is None):
            fault, hint = f"has '{self.protocol}' without user and password", "add 'usernameRef' and 'passwordRef'"
        elif not self.is_sasl and self.user is not None:
            fault = f"has '{self.protocol}', which knows no user"
            hint = f"use 'SASL_{'SSL' if self.is_tls else 'PLAINTEXT'}', or take 'usernameRef' away"
        if fault:
            raise UnusableEnvironmentError(f"cluster '{self.alias}' {fault}", hint=hint)

    @property
    def is_tls(self) -> bool:
        """Whether its brokers speak TLS."""
        return self.protocol.endswith("SSL")

    @property
    def is_sasl(self) -> bool:
        """Whether one logs in with user and password."""
        return self.protocol.startswith("SASL")

    @property
    def address(self) -> str:
        """``host:port,host:port``."""
        return ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.servers)

    @property
    def subject(self) -> str:
        """What messages call it: ``cluster 'main' at 'host:port'``."""
        return f"cluster '{self.alias}' at '{self.address}'"

    def options(self) -> dict[str, Any]:
        """Give what clients and connections want to know of security, credentials among it: not to be shown."""
        options: dict[str, Any] = {"security_protocol": self.protocol, "ssl_context": self._tls_context()}
        if self.is_sasl:
            assert self.user is not None
            assert self.password is not None
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user.reveal(),
                "sasl_plain_password": self.password.reveal(),
            }
        return options

    def _tls_context(self) -> ssl.SSLContext | None:
        if not self.is_tls:
            return None
        context = ssl.create_default_context()
        name, file = "caFile", self.ca_file
        try:
            if file is not None:
                context.load_verify_locations(file)
            name, file = "certificateFile", self.certificate_file
            if file is not None:
                # without a password, OpenSSL asks for that of an encrypted key at the terminal
                context.load_cert_chain(file, self.key_file, password=self._reveal_key_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = str(getattr(error, "strerror", None) or error).lower()
            raise UnusableEnvironmentError(
                f"cluster '{self.alias}': '{name}' cannot be used: {reason}",
                hint=f"correct '{name}' of '{self.alias}' in environment '{self.environment}'",
            ) from None
        return context

    def _reveal_key_password(self) -> str:
        if self.key_password is None:
            raise ValueError("its key is encrypted, and there is no 'keyPasswordRef'")
        return self.key_password.reveal()


def cluster_profile(environment: Environment, alias: object) -> tuple[str, KafkaClusterProfile]:
    """Give the cluster of that alias, the only one if it is None, with its name. Raises ``UnknownAliasError``."""
    return choose_profile(environment.kafka_profiles, alias, environment.name, _WORDS)


def _servers(environment: Environment, alias: str, written: str) -> tuple[tuple[str, int], ...]:
    servers: list[tuple[str, int]] = []
    for part in written.split(","):
        host, colon, port = part.strip().rpartition(":")
        if not colon or part.strip().endswith("]"):
            host, port = part.strip(), str(_DEFAULT_PORT)
        if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise UnusableEnvironmentError(
                f"cluster '{alias}' has bootstrap server '{part.strip()}', which is no address",
                hint=f"write it as 'host:port' in environment '{environment.name}'",
            )
        servers.append((host.strip("[]"), int(port)))
    return tuple(servers)


def _secret(call: StepCall, alias: str, ref: str | None) -> Secret | None:
    if ref is None:
        return None
    secret = call.secrets.get(ref)
    if secret is None:
        raise SecretNotFoundError(
            f"cluster '{alias}' needs secret '{ref}', which was not read", hint=f"set what '{ref}' refers to"
        )
    return secret


def _settings(call: StepCall, alias: str, profile: KafkaClusterProfile) -> Mapping[str, object]:
    """Read the secret that holds several settings in one."""
    secret = _secret(call, alias, profile.security_profile_ref)
    if secret is None:
        return {}
    try:
        settings = from_json(secret.reveal())
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise UnusableEnvironmentError(
            f"cluster '{alias}': 'securityProfileRef' '{profile.security_profile_ref}' is no JSON object",
            hint='write it as \'{"securityProtocol": ..., "username": ..., "password": ...}\'',
        )
    return settings


def _text(settings: Mapping[str, object], name: str) -> Secret | None:
    found = settings.get(name)
    return Secret(str(found)) if found else None


def _registry(call: StepCall, alias: str, profile: KafkaClusterProfile) -> RegistryLogin | None:
    registry = profile.schema_registry
    if registry is None:
        return None
    if not registry.url.startswith(("http://", "https://")):
        raise UnusableEnvironmentError(
            f"the schema registry of cluster '{alias}' has URL '{registry.url}', which is none of HTTP",
            hint="write it as 'http://host:port'",
        )
    user, password = _secret(call, alias, registry.username_ref), _secret(call, alias, registry.password_ref)
    return RegistryLogin(registry.url.rstrip("/"), user, password)


def _file(environment: Environment, name: str | None) -> Path | None:
    folder = Path(environment.place.file).parent if environment.place else Path()
    return None if name is None else folder / Path(name).expanduser()


def _one_of(names: tuple[str, ...]) -> str:
    return "use one of " + ", ".join(f"'{name}'" for name in names)
