"""Which RabbitMQ broker a step means, and how one logs in there."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from yarl import URL

from pytest_orchestra.data.redaction import mask_url
from pytest_orchestra.engine.ports import StepCall
from pytest_orchestra.errors import SecretNotFoundError, UnusableEnvironmentError
from pytest_orchestra.model.environment import Environment, QueueBrokerProfile
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.protocols.chosen_profile import ProfileWords, choose_profile

__all__ = ["BrokerLogin", "broker_profile"]

_PORTS: Final = {"amqp": 5672, "amqps": 5671}
_DEFAULT_USER: Final = "guest"
_KIND: Final = "RABBITMQ"
_WORDS: Final = ProfileWords("queue broker", "queue brokers", "queueProfiles", "brokerAlias")


@dataclass(frozen=True, slots=True)
class BrokerLogin:
    """Where a broker is and who logs in there.

    ``alias`` and ``environment`` are the names under which a user knows it. The files are those of TLS.
    """

    alias: str
    environment: str
    host: str
    port: int
    vhost: str
    is_tls: bool
    user: Secret
    password: Secret = field(repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    @classmethod
    def of(cls, call: StepCall) -> BrokerLogin:
        """Take it from the environment of a call.

        Raises ``UnknownAliasError``, ``SecretNotFoundError`` and, for a profile that means nothing to RabbitMQ,
        ``UnusableEnvironmentError``.
        """
        environment = call.environment
        alias, profile = broker_profile(environment, call.address.get("brokerAlias"))
        url = _url(environment, alias, profile)
        user, password = _credentials(call, alias, profile, url)
        folder = Path(environment.place.file).parent if environment.place else Path()
        return cls(
            alias=alias,
            environment=environment.name,
            host=url.host or "",
            port=url.port or _PORTS[url.scheme],
            vhost=url.path[1:] or "/",
            is_tls=url.scheme == "amqps",
            user=user,
            password=password,
            ca_file=_file(folder, profile.ca_file),
            certificate_file=_file(folder, profile.certificate_file),
            key_file=_file(folder, profile.key_file),
        )

    @property
    def address(self) -> str:
        """``host:port/vhost``, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}/{'' if self.vhost == '/' else self.vhost}"

    @property
    def subject(self) -> str:
        """What messages call it: ``broker 'main' at 'host:port/vhost'``."""
        return f"broker '{self.alias}' at '{self.address}'"

    @property
    def url(self) -> URL:
        """The URL to connect to, with the password in it: not to be shown."""
        return URL.build(
            scheme="amqps" if self.is_tls else "amqp",
            host=self.host,
            port=self.port,
            user=self.user.reveal(),
            password=self.password.reveal(),
            path=f"/{self.vhost}",
        )

    def tls_context(self) -> ssl.SSLContext | None:
        """Give what TLS is spoken with; None where none is. Raises ``UnusableEnvironmentError`` for unusable files."""
        if not self.is_tls:
            return None
        context = ssl.create_default_context()
        try:
            name, file = "caFile", self.ca_file
            if file is not None:
                context.load_verify_locations(file)
            name, file = "certificateFile", self.certificate_file
            if file is not None:
                # without the callback, OpenSSL asks for the password of an encrypted key at the terminal
                context.load_cert_chain(file, self.key_file, password=_no_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = str(getattr(error, "strerror", None) or error).lower()
            raise UnusableEnvironmentError(
                f"broker '{self.alias}': '{name}' cannot be used: {reason}",
                hint=f"correct '{name}' of '{self.alias}' in environment '{self.environment}'",
            ) from None
        return context


def _no_password() -> str:
    raise ValueError("its key is encrypted")


def _file(folder: Path, name: str | None) -> Path | None:
    return None if name is None else folder / Path(name).expanduser()


def broker_profile(environment: Environment, alias: object) -> tuple[str, QueueBrokerProfile]:
    """Give the broker of that alias, the only one if it is None, with its name. Raises ``UnknownAliasError``."""
    return choose_profile(environment.queue_profiles, alias, environment.name, _WORDS)


def _url(environment: Environment, alias: str, profile: QueueBrokerProfile) -> URL:
    if profile.kind.upper() != _KIND:
        raise UnusableEnvironmentError(
            f"broker '{alias}' is of kind '{profile.kind}', which is not spoken here",
            hint=f"set 'kind: {_KIND}', or use a plugin that brings a protocol for it",
        )
    try:
        url = URL(profile.endpoint)
        is_good = url.scheme in _PORTS and bool(url.host)
    except ValueError:
        is_good = False
    if not is_good:
        raise UnusableEnvironmentError(
            f"broker '{alias}' has the endpoint '{mask_url(profile.endpoint)}', which is no address of RabbitMQ",
            hint=f"write it as 'amqp://host:port/vhost' in environment '{environment.name}'",
        )
    return url


def _credentials(call: StepCall, alias: str, profile: QueueBrokerProfile, url: URL) -> tuple[Secret, Secret]:
    user, password = Secret(url.user or _DEFAULT_USER), Secret(url.password or _DEFAULT_USER)
    if profile.credentials_ref is not None:
        both = _secret(call, alias, profile.credentials_ref).reveal()
        name, colon, rest = both.partition(":")
        if not colon:
            raise UnusableEnvironmentError(
                f"broker '{alias}': the secret of 'credentialsRef' holds no ':'",
                hint="write user and password into it as 'user:password', or use 'usernameRef' and 'passwordRef'",
            )
        user, password = Secret(name), Secret(rest)
    if profile.username_ref is not None:
        user = _secret(call, alias, profile.username_ref)
    if profile.password_ref is not None:
        password = _secret(call, alias, profile.password_ref)
    return user, password


def _secret(call: StepCall, alias: str, ref: str) -> Secret:
    secret = call.secrets.get(ref)
    if secret is None:
        raise SecretNotFoundError(
            f"broker '{alias}' needs secret '{ref}', which was not read", hint=f"set what '{ref}' refers to"
        )
    return secret
