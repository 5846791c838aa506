"""How a service is reached: TLS, proxy and version of HTTP, as its profile says."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from pytest_orchestra.errors import LoginRefusedError, SecretNotFoundError, UnusableEnvironmentError
from pytest_orchestra.model.environment import Environment, ServiceProfile
from pytest_orchestra.model.secret import Secret

__all__ = ["HttpRoute", "find_secret", "proxy_refuses", "tls_context"]

_REASONS: Mapping[str, str] = {
    "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
    "BAD_DECRYPT": "the key's password is wrong",
    "BAD_PASSWORD_READ": "the key's password is wrong",
    "NO_START_LINE": "it holds no PEM",
    "NO_CERTIFICATE_OR_CRL_FOUND": "it holds no certificate in PEM",
    "EE_KEY_TOO_SMALL": "the key is too short to be accepted",
    "CA_MD_TOO_WEAK": "the signature is too weak to be accepted",
}


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """What connections have in common. ``proxy`` is a URL without user; files are those that the profile names."""

    is_https: bool = False
    verify_tls: bool = True
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    key_password: Secret | None = None
    proxy: str | None = None
    proxy_user: Secret | None = None
    proxy_password: Secret | None = None
    version: str = "1.1"

    @classmethod
    def of(
        cls,
        profile: ServiceProfile,
        environment: Environment,
        service: str,
        secrets: Mapping[str, Secret],
        *,
        is_https: bool,
    ) -> HttpRoute:
        """Read a profile. Raises ``SecretNotFoundError`` and ``UnusableEnvironmentError``."""
        proxy = _proxy(profile.proxy, service) if profile.proxy else None
        user = find_secret(profile.proxy_username_ref, secrets, f"'proxyUsernameRef' of service '{service}'")
        password = find_secret(profile.proxy_password_ref, secrets, f"'proxyPasswordRef' of service '{service}'")
        if not is_https:
            return cls(proxy=proxy, proxy_user=user, proxy_password=password, version=profile.http_version)
        folder = Path(environment.place.file).parent if environment.place else Path()
        ca_file, certificate, key = (
            str(folder / Path(name).expanduser()) if name else None
            for name in (profile.ca_file, profile.certificate_file, profile.key_file)
        )
        return cls(
            is_https=True,
            verify_tls=profile.verify_tls,
            ca_file=ca_file,
            certificate_file=certificate,
            key_file=key,
            key_password=find_secret(profile.key_password_ref, secrets, f"'keyPasswordRef' of service '{service}'"),
            proxy=proxy,
            proxy_user=user,
            proxy_password=password,
            version=profile.http_version,
        )

    def to_stranger(self, *, is_https: bool) -> HttpRoute:
        """Give the route to another origin: the same, without the client's certificate."""
        kept = self.is_https and is_https
        return HttpRoute(
            is_https=is_https,
            verify_tls=self.verify_tls or not is_https,
            ca_file=self.ca_file if kept else None,
            proxy=self.proxy,
            proxy_user=self.proxy_user,
            proxy_password=self.proxy_password,
        )

    def curl_options(self) -> list[str]:
        """Give the words that have curl take the same route; credentials are left to the reader."""
        words: list[str] = []
        for option, value in (
            ("--cacert", self.ca_file if self.verify_tls else None),
            ("--cert", self.certificate_file),
            ("--key", self.key_file),
            ("--proxy", self.proxy),
        ):
            words += [option, value] if value else []
        if self.version == "2":
            words.append("--http2" if self.is_https else "--http2-prior-knowledge")
        return words


def proxy_refuses(proxy: str | None, service: str) -> LoginRefusedError:
    """Give the error of a proxy that wants other credentials."""
    return LoginRefusedError(
        f"proxy '{proxy}' of service '{service}' refuses the credentials",
        hint="set 'proxyUsernameRef' and 'proxyPasswordRef'",
    )


def find_secret(reference: str | None, secrets: Mapping[str, Secret], subject: str) -> Secret | None:
    """Give the secret of a reference, None where there is no reference. Raises ``SecretNotFoundError``."""
    if reference is None:
        return None
    secret = secrets.get(reference)
    if secret is None:
        raise SecretNotFoundError(
            f"{subject} needs secret '{reference}', which was not read", hint=f"set what '{reference}' refers to"
        )
    return secret


@lru_cache(maxsize=64)
def _proxy(url: str, service: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "http" and bool(parts.hostname) and parts.username is None
        _ = parts.port  # reading it is what checks it
    except ValueError:
        usable = False
    if not usable:
        raise UnusableEnvironmentError(
            f"'proxy' of service '{service}' is no address of a proxy",
            hint="write it as 'http://host:port', and its user as 'proxyUsernameRef' and 'proxyPasswordRef'",
        )
    return f"http://{parts.netloc}"


def tls_context(route: HttpRoute, service: str) -> ssl.SSLContext:
    """Make the TLS context of a route. Raises ``UnusableEnvironmentError`` where one of its files is of no use."""
    import httpx  # noqa: PLC0415  heavy, and of no use before the first call

    context = httpx.create_ssl_context(verify=route.verify_tls)  # heeds SSL_CERT_FILE and SSL_CERT_DIR
    if route.ca_file is not None:
        _check_readable("caFile", route.ca_file, service)
        try:
            context.load_verify_locations(route.ca_file)
        except (ssl.SSLError, OSError) as error:
            raise _of_no_use("caFile", route.ca_file, service, error) from None
    if route.certificate_file is None:
        if route.key_file is not None:
            raise UnusableEnvironmentError(
                f"service '{service}' has 'keyFile' and no 'certificateFile'", hint="name the certificate as well"
            )
        return context
    _check_readable("certificateFile", route.certificate_file, service)
    if route.key_file is not None:
        _check_readable("keyFile", route.key_file, service)
    password = route.key_password.reveal() if route.key_password is not None else ""
    asked: list[bool] = []

    def give_password() -> str:  # without one, OpenSSL would ask on the terminal
        asked.append(True)
        return password

    try:
        context.load_cert_chain(route.certificate_file, route.key_file, give_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        if asked and route.key_password is None:
            raise UnusableEnvironmentError(
                f"the key of service '{service}' has a password and its profile has none", hint="set 'keyPasswordRef'"
            ) from None
        raise _of_no_use("certificateFile", route.certificate_file, service, error, has_password=bool(asked)) from None
    return context


def _check_readable(field: str, path: str, service: str) -> None:
    try:
        with Path(path).open("rb") as file:
            file.read(1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UnusableEnvironmentError(
            f"'{field}' of service '{service}' is '{path}', which cannot be read: {reason}",
            hint="its path is relative to the file of environments",
        ) from None


def _of_no_use(
    field: str, path: str, service: str, error: Exception, *, has_password: bool = False
) -> UnusableEnvironmentError:
    name = getattr(error, "reason", None) or ("BAD_DECRYPT" if has_password else "")  # OpenSSL does not always say so
    reason = _REASONS.get(name) or name.replace("_", " ").lower() or "it holds no certificate and key in PEM"
    return UnusableEnvironmentError(
        f"'{field}' of service '{service}' is '{path}', which cannot be used: {reason}",
        hint="name files in PEM that belong together",
    )
