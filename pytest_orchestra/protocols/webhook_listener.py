"""The session's own listener: it takes what systems under test send by themselves, and keeps it for those who wait."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from pytest_orchestra.errors import SettingsError
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.protocols.journal import Journal
from pytest_orchestra.protocols.message_codec import decode_value
from pytest_orchestra.protocols.message_matching import Message

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["WebhookListener", "path_of"]

_LOOPBACK: Final = "127.0.0.1"
_LARGEST: Final = 64 * 1024 * 1024
_FORM: Final = "application/x-www-form-urlencoded"
_OWN_NAME: Final = "correlationId"


def path_of(written: str) -> str:
    """Give the path that is meant, as requests have it: with a slash before it and none behind it."""
    return f"/{written.partition('?')[0].strip('/')}"


class WebhookListener:
    """Listens on loopback, on one event loop, and answers every request with status 204.

    The correlation id of a request is that of the correlation header, else of the query parameter ``correlationId``,
    else a segment of the path that is the id of a run that waits.
    """

    def __init__(self) -> None:
        self.journal = Journal()
        self._headers: dict[str, None] = {}
        self._ids: Counter[str] = Counter()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def is_listening(self) -> bool:
        """Whether it listens."""
        return self._runner is not None

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        return f"http://{_LOOPBACK}:{self._port}"

    async def start(self, port: int) -> None:
        """Listen at a port, any that is free if it is 0. Raises ``SettingsError`` where it is taken."""
        from aiohttp import web  # noqa: PLC0415  heavy: only sessions with webhooks need it

        application = web.Application(client_max_size=_LARGEST)
        application.router.add_route("*", "/{path:.*}", self._take)
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, _LOOPBACK, port).start()
        except OSError as error:
            await runner.cleanup()
            reason = (error.strerror or str(error)).lower()
            raise SettingsError(
                f"the listener for webhooks cannot use port {port}: {reason}",
                hint="free the port, or choose another with --orchestra-webhook-port",
            ) from None
        self._runner, self._port = runner, runner.addresses[0][1]

    async def close(self) -> None:
        """Listen no more."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        self.journal.wake()

    def expect(self, correlation_id: str, header: str) -> None:
        """Know a correlation id and the header in which such ids come."""
        self._headers[header.lower()] = None
        self._ids[correlation_id] += 1

    def forget(self, correlation_id: str) -> None:
        """Know a correlation id no more; one call for each of :meth:`expect`."""
        self._ids[correlation_id] -= 1
        if self._ids[correlation_id] <= 0:
            del self._ids[correlation_id]

    async def _take(self, request: web.Request) -> web.Response:
        from aiohttp import web  # noqa: PLC0415  as above

        content = await request.read()
        headers = {name.lower(): text for name, text in request.headers.items()}
        query = dict(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True))
        path = path_of(request.path)
        facts: JsonObject = {
            "method": request.method,
            "path": path,
            "query": dict[str, JsonValue](query),
            "contentType": headers.get("content-type", "").partition(";")[0].strip().lower() or None,
        }
        value: JsonValue = decode_value(content) if content else None
        if facts["contentType"] == _FORM:
            value = dict[str, JsonValue](parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True))
        message = Message(
            address=path,
            key=request.method,
            value=value,
            headers=headers,
            correlation_id=self._correlation_id(headers, query, path),
            arrived_at=datetime.now(UTC),
            facts=facts,
        )
        self.journal.add(message)
        return web.Response(status=204)

    def _correlation_id(self, headers: dict[str, str], query: dict[str, str], path: str) -> str | None:
        named = next((headers[name] for name in self._headers if name in headers), None)
        if named is None:
            named = query.get(_OWN_NAME)
        if named is None:
            named = next((part for part in path.split("/") if part in self._ids), None)
        return named
