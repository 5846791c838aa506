"""A request as a ``curl`` command that a person pastes into bash."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from pytest_orchestra.model.secret import MASK
from pytest_orchestra.protocols.shell import quote_word

__all__ = ["curl_command"]

_MASKED_PARAMETER = re.compile(rf"(?<=[?&])([^=&;?#]+)={re.escape(MASK)}(?=&|$)")
_GLOB = re.compile(r"[\[\]{}]")
_DOTS = re.compile(r"/(\.|%2e){1,2}(/|$|\?)", re.IGNORECASE)
_LONGEST_BODY = 32_768  # a command's arguments have a limit (128 KiB each on Linux), and people a patience


def curl_command(
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes | None,
    *,
    masked: Mapping[str, str] | None = None,
    verify_tls: bool = True,
    options: Sequence[str] = (),
) -> str:
    """Write the command that sends this request.

    ``masked`` has the headers that must not show, with what is to be seen of them (``Bearer ***``); parameters in
    ``url`` may be masked as well. In place of each mask stands a shell variable: ``$AUTHORIZATION`` for the header
    ``Authorization``, ``$API_KEY`` for the parameter ``api_key``. A body of more than 32 KiB is read from a file that
    the command names. ``options`` are more words for curl.
    """
    words = ["curl", "--include"]
    if method == "HEAD":
        words = ["curl", "--head"]
    elif method != ("GET" if content is None else "POST"):
        words += ["--request", quote_word(method)]
    if not verify_tls:
        words.append("--insecure")
    words += map(quote_word, options)
    if _GLOB.search(url):
        words.append("--globoff")
    if _DOTS.search(url):
        words.append("--path-as-is")
    words.append(_url(url))
    for name, value in headers.items():
        words += ["--header", _header(name, value, (masked or {}).get(name))]
    if content is None:
        return " ".join(words)
    if not any(name.lower() == "content-type" for name in headers):
        words += ["--header", "'Content-Type:'"]  # curl would otherwise call it a form
    return " ".join([*words, *_data(content)])


def _url(url: str) -> str:
    words, written = "", 0
    for found in _MASKED_PARAMETER.finditer(url):
        words += quote_word(url[written : found.end(1) + 1]) + f'"${_variable(unquote(found[1]))}"'
        written = found.end()
    rest = url[written:]
    return words + quote_word(rest) if rest else words


def _header(name: str, value: str, seen: str | None) -> str:
    if seen is not None:
        return f'"{name}: {seen.replace(MASK, f"${_variable(name)}")}"'
    # with a colon and nothing behind it, curl would leave the header out
    return quote_word(f"{name}: {value}" if value else f"{name};")


def _variable(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]|^(?=[0-9])", "_", name).upper()


def _data(content: bytes) -> list[str]:
    if len(content) > _LONGEST_BODY:
        return ["--data-binary", "@request-body", f"# the {len(content)} bytes of the body, in a file of that name"]
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # no argument can hold these bytes
        encoded = base64.b64encode(content).decode()
        return ["--data-binary", f"@<(base64 --decode <<< {encoded})"]
    return ["--data-raw", quote_word(text)]
