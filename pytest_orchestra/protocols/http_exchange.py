"""A call as people see it: what was sent, what came, and the command that says it again; no secret in any of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import quote

from pytest_orchestra.data.redaction import mask_headers, mask_url, shorten
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import Exchange
from pytest_orchestra.model.secret import MASK
from pytest_orchestra.protocols.curl import curl_command
from pytest_orchestra.protocols.http_route import HttpRoute
from pytest_orchestra.protocols.request import HttpRequest

__all__ = ["Disclosure", "describe_call"]

_SHOWN_LIMIT = 4_000


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What may not be shown of a call: headers by name, with the value that is secret, and parameters of its URL."""

    route: HttpRoute
    secret_headers: Mapping[str, str] = field(default_factory=dict)
    secret_parameters: Sequence[str] = ()
    follows_redirects: bool = False

    def masked_url(self, url: str) -> str:
        """Give a URL without what may not be shown of it."""
        masked = mask_url(url)
        for name in self.secret_parameters:
            masked = re.sub(rf"(?<=[?&]){re.escape(quote(name, safe=':@/?'))}=[^&#]*", f"{name}={MASK}", masked)
        return masked


def describe_call(
    request: HttpRequest, disclosure: Disclosure, response: JsonObject | None = None, content: bytes | None = None
) -> Exchange:
    """Describe a request and, if there is one, its response, whose body came as ``content``."""
    shown = mask_headers(request.headers)
    # what an environment takes from a secret is masked under any name, unless the step says something else there
    shown |= {name: MASK for name, value in disclosure.secret_headers.items() if shown.get(name) == value}
    url = disclosure.masked_url(request.url)
    sent: JsonObject = {
        "method": request.method,
        "url": url,
        "headers": shown,
        "body": _shown(request.body, request.content),
    }
    options = disclosure.route.curl_options()
    if disclosure.follows_redirects:
        options = ["--location", *options]
    command = curl_command(
        request.method,
        url,
        request.headers,
        request.content,
        masked={name: str(value) for name, value in shown.items() if value != request.headers[name]},
        verify_tls=disclosure.route.verify_tls,
        options=options,
    )
    if response is None:
        return Exchange(sent, None, command)
    came: dict[str, JsonValue] = {
        "status": response["status"],
        "headers": mask_headers(cast("Mapping[str, str]", response["headers"])),
        "body": _shown(response["body"], content),
    }
    if response.get("history"):
        hops = cast("Sequence[Mapping[str, JsonValue]]", response["history"])
        came["history"] = [{**hop, "url": disclosure.masked_url(str(hop["url"]))} for hop in hops]
    return Exchange(sent, came, command)


def _shown(value: JsonValue, content: bytes | None) -> JsonValue:
    """Shorten a body, whose ``content`` is what was sent or came: where that is short, there is nothing to do."""
    return value if content is None or len(content) <= _SHOWN_LIMIT else shorten(value, _SHOWN_LIMIT)
