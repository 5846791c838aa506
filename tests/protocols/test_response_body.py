"""Bodies of replies as rules see them."""

from __future__ import annotations

import pytest

from pytest_orchestra.protocols.body import Body, read_body
from pytest_orchestra.protocols.media_type import media_type_matches


@pytest.mark.parametrize(
    ("content", "media_type", "body"),
    [
        (b'{"a": 1}', "application/json", Body({"a": 1})),
        (b'{"a": 1}', "application/problem+JSON; charset=utf-8", Body({"a": 1})),
        (b'\xef\xbb\xbf"\xc3\xbc"', "application/json", Body("ü")),
        ('["ü"]'.encode("utf-16"), "application/json", Body(["ü"])),
        (b"null", "application/json", Body(None)),
        (b"", "application/json", Body(None, "it is empty")),
        (b"", "text/plain", Body(None)),
        (b"{", "application/json", Body("{", "expecting property name enclosed in double quotes at line 1, column 2")),
        (b"[NaN]", "application/json", Body("[NaN]", "'NaN' is no JSON value")),
        (b'"\xff"', "application/json", Body('"�"', "it is not valid UTF-8")),
        (b"1" * 5000, "application/json", Body("1" * 5000, "one of its numbers has too many digits")),
        (b"[" * 100_000, "application/json", Body("[" * 100_000, "it nests too deep to be read")),
        ("grün".encode("latin-1"), "text/plain; charset=ISO-8859-1", Body("grün")),
        (b"gr\xfcn", "text/plain", Body("gr�n")),
        (b"a", "text/plain; charset=no-such", Body("a")),
        (b"<a/>", "application/atom+xml", Body("<a/>")),
        (b"text", None, Body("text")),
        (b"\xff", None, Body({"base64": "/w=="})),
        (b"%PDF", "application/pdf", Body({"base64": "JVBERg=="})),
    ],
)
def test_body_is_read_by_what_its_media_type_says(content, media_type, body):
    """JSON is parsed, text decoded, anything else kept in Base64; JSON that is none keeps its text and says why."""
    assert read_body(content, media_type) == body


@pytest.mark.parametrize(
    ("media_type", "declared", "fits"),
    [
        ("application/json; charset=utf-8", "application/json", True),
        ("Application/JSON", "application/json;version=1", True),
        ("application/problem+json", "application/json", False),
        ("text/plain", "text/*", True),
        ("texture/plain", "text/*", False),
        ("image/png", "*/*", True),
    ],
)
def test_media_type_falls_under_a_declared_range(media_type, declared, fits):
    """Ranges hold, parameters do not count, and a suffix is another type."""
    assert media_type_matches(media_type, declared) is fits
