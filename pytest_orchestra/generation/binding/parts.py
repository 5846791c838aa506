"""Putting a model's call together: translated parts, and the names of those that could not be translated."""

from __future__ import annotations

from typing import Final

from pytest_orchestra.generation.binding.model_call import METHODS, BindingRule, ModelCall
from pytest_orchestra.generation.binding.vendor_text import Translation
from pytest_orchestra.model.json import JsonValue

__all__ = ["CallParts"]

_CREDENTIALS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "apikey"})
_OWN: Final = frozenset({"content-length", "host", "connection", "accept-encoding"})


class CallParts:
    """Collects the parts of one call; ``call`` gives it."""

    def __init__(self, rule: BindingRule) -> None:
        self._rule = rule
        self._failed: list[tuple[str, str]] = []
        self._headers: dict[str, JsonValue] = {}
        self._query: dict[str, JsonValue] = {}
        self._path: dict[str, JsonValue] = {}
        self._method: str | None = None
        self._body: JsonValue = None
        self._url: str | None = None
        self._shown = ""

    def method(self, text: str | None, default: str | None = None) -> None:
        """Take the method, as it is written."""
        name = (text or default or "").strip().removeprefix("=").strip().strip('"').upper()
        if name in METHODS:
            self._method = name
        elif name:
            self._failed.append(("method", (text or "").strip()))

    def url(self, text: str, translation: Translation) -> None:
        """Take the URL, as it is written and as it is translated."""
        self._shown = text.strip()
        value = self._taken("url", translation)
        if isinstance(value, str) and value.strip():
            self._url = value.strip()

    def header(self, name: str, translation: Translation) -> None:
        """Take a header. Credentials are left to the environment, and what is sent anyway to whoever sends it."""
        folded = name.strip().lower()
        if folded in _CREDENTIALS:
            self._failed.append((f"header {name.strip()}", ""))
        elif folded and folded not in _OWN:
            value = self._taken(f"header {name.strip()}", translation)
            if value is not None:
                self._headers[name.strip()] = value

    def query(self, name: str, translation: Translation) -> None:
        """Take a parameter of the query."""
        value = self._taken(f"query {name}", translation)
        if value is not None:
            self._query[name] = value

    def path(self, name: str, translation: Translation) -> None:
        """Take the value of a parameter of the path."""
        value = self._taken(f"path {name}", translation)
        if value is not None:
            self._path[name] = value

    def body(self, translation: Translation) -> None:
        """Take the body."""
        self._body = self._taken("body", translation)

    def member(self, name: str, translation: Translation) -> None:
        """Take one member of a body that is an object."""
        value = self._taken(f"body {name}", translation)
        if value is not None:
            known = self._body if isinstance(self._body, dict) else {}
            self._body = {**known, name: value}

    def untranslatable(self, part: str, text: str) -> None:
        """Note a part that is not carried over."""
        self._failed.append((part, text))

    def call(self, *, suffix_of: str | None = None, statuses: tuple[int, ...] = ()) -> ModelCall:
        """Give the call."""
        return ModelCall(
            self._rule,
            method=self._method,
            url=self._url,
            shown=self._shown,
            suffix_of=suffix_of,
            path=self._path,
            query=self._query,
            headers=self._headers,
            body=self._body,
            statuses=statuses,
            untranslated=tuple(dict.fromkeys(self._failed)),
        )

    def _taken(self, part: str, translation: Translation) -> JsonValue:
        self._failed += [(part, failed.strip()) for failed in translation.untranslatable]
        return translation.value
