"""Masking secrets and shortening what is long."""

from __future__ import annotations

import base64
import json
import re
import shlex
import time
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.data.redaction import Redactor, is_sensitive_name, mask_headers, mask_url, shorten
from pytest_orchestra.model.secret import Secret

AWKWARD = "p@ss/w\"or'd\\ é\n+1"


def _b64(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (AWKWARD, "***"),
        (f"a {AWKWARD} b {AWKWARD}", "a *** b ***"),
        (quote(AWKWARD, safe=""), "***"),
        (quote(AWKWARD), "***"),
        (quote_plus(AWKWARD), "***"),
        (quote(AWKWARD, safe="").lower(), "***"),
        (quote(quote(AWKWARD, safe=""), safe=""), "***"),
        (urlencode({"k": AWKWARD, "x": 1}), "k=***&x=1"),
        (json.dumps(AWKWARD), '"***"'),
        (json.dumps(AWKWARD, ensure_ascii=False), '"***"'),
        (json.dumps(json.dumps({"k": AWKWARD})), '"{\\"k\\": \\"***\\"}"'),
        (json.dumps(AWKWARD).replace("/", "\\/"), '"***"'),
        ("p\\u0040ss\\u002Fw\\u0022or\\u0027d\\u005c \\u00E9\\n\\u002b1", "***"),
        (shlex.quote(AWKWARD), "'***'"),
        (AWKWARD.replace("'", "'\\''"), "***"),
        (repr(AWKWARD), "'***'"),
        (_b64(AWKWARD), "***"),
        (base64.urlsafe_b64encode(AWKWARD.encode()).decode(), "***"),
        (_b64(AWKWARD).rstrip("="), "***"),
        ("p@ss/w", "p@ss/w"),
    ],
)
def test_secret_is_masked_in_every_form(text, masked):
    """Raw, URL-encoded, escaped and in base64, alone or inside: no form gets through."""
    assert Redactor([Secret(AWKWARD)]).mask_text(text) == masked


_PLAIN = st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]))
_SECRETS = st.one_of(
    st.text("abcXYZ0189+/=@:%&\"'\\ \n-_.~é€😀", min_size=4, max_size=20),
    st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=4, max_size=20),
)


def _forms(secret):
    dumped = json.dumps(secret)[1:-1]
    return [
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
        shlex.quote(f"{secret} ")[1:-2],
        dumped,
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(dumped)[1:-1],
        quote(dumped, safe=""),
        _b64(secret),
        base64.urlsafe_b64encode(secret.encode()).decode(),
        _b64(secret).rstrip("="),
    ]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_PLAIN, inner, max_size=3),
    max_leaves=10,
)


def _strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from (key, *_strings(entry))
    elif isinstance(value, list):
        for entry in value:
            yield from _strings(entry)


@given(_JSON, st.lists(_SECRETS, min_size=1, max_size=3), st.data())
def test_no_form_of_a_secret_is_left_in_any_json_value(value, secrets, data):
    """Wherever in a value a secret stands, in whichever form, it is gone."""
    forms = [form for secret in secrets for form in _forms(secret)]
    form, before, after = data.draw(st.sampled_from(forms)), data.draw(_PLAIN), data.draw(_PLAIN)
    hidden = {"v": [value, f"{before}{form}{after}"], f"{before}{form}": form}
    masked = Redactor(map(Secret, secrets)).mask(hidden)
    assert not [text for text in _strings(masked) for form in forms if form in text]


@given(
    st.text("abc019:é €", max_size=10),
    st.text("abcXYZ019+/:é", min_size=8, max_size=20),
    st.text("abc 019", max_size=10),
)
def test_secret_inside_of_something_in_base64_is_masked(before, secret, after):
    """What stands around a secret in base64, as in basic authentication, does not hide it."""
    text = _b64(f"{before}{secret}{after}")
    masked = Redactor([Secret(secret)]).mask_text(text)
    assert "***" in masked
    around = len(_b64(before).rstrip("=")) + len(_b64(after).rstrip("="))
    assert len(masked.rstrip("=")) - 3 <= around + 2  # a character at each side holds bits of both


@given(_JSON)
def test_value_without_secrets_is_given_back_itself(value):
    """Masking costs no copy where there is nothing to mask."""
    assert Redactor([Secret("\x00no such secret\x00")]).mask(value) is value
    assert Redactor([]).mask(value) is value
    assert Redactor([Secret("")]).mask(value) is value


def test_masking_keeps_the_structure():
    """Only strings change; numbers, booleans, null, order and all other text stay."""
    value = {"a": ["my hunter22 is", 22, None, True], "hunter22": {"b": "hunter22"}, "c": ("hunter22",)}
    assert Redactor([Secret("hunter22")]).mask(value) == {
        "a": ["my *** is", 22, None, True],
        "***": {"b": "***"},
        "c": ["***"],
    }
    assert value["c"] == ("hunter22",)


def test_keys_that_become_the_same_are_kept_apart():
    """No entry is lost because two keys are masked."""
    redactor = Redactor([Secret("first-secret"), Secret("second-secret")])
    assert redactor.mask({"first-secret": 1, "second-secret": 2, "***": 3}) == {"***": 1, "*** (2)": 2, "*** (3)": 3}


def test_number_that_equals_a_secret_stays():
    """Numbers are never masked."""
    assert Redactor([Secret("123456")]).mask([123456, "123456", "x123456"]) == [123456, "***", "x***"]


@pytest.mark.parametrize(
    ("text", "masked"),
    [("abc", "***"), ("abcd", "abcd"), ("xabc", "xabc"), ("YWJj", "***"), ("xYWJj", "xYWJj"), ("a%62c", "a%62c")],
)
def test_short_secret_is_masked_as_a_whole_only(text, masked):
    """Three characters are found in every other word."""
    assert Redactor([Secret("abc")]).mask_text(text) == masked


def test_longer_of_two_overlapping_secrets_is_masked_whole():
    """A secret that begins another leaves nothing of it."""
    redactor = Redactor([Secret("hunter"), Secret("hunter-and-gatherer")])
    assert redactor.mask_text("hunter-and-gatherer, hunter") == "***, ***"


def test_secret_with_space_around_or_percent_encoded_is_found_as_it_is_used():
    """Files end in line ends, URLs hold what is encoded already."""
    redactor = Redactor([Secret(" token-one\n"), Secret("p%40ss-word")])
    assert redactor.mask_text("token-one p@ss-word p%40ss-word") == "*** *** ***"


def test_masking_takes_linear_time():
    """No text makes the search slow."""
    redactor = Redactor([Secret("\\\"\\\\/'" * 4), Secret("a" * 30), Secret("%" * 10)])
    began = time.perf_counter()
    for text in ("\\" * 100_000, "a" * 29 + "\\" * 100_000, "%25" * 30_000, '\\"' * 50_000, "ab" * 50_000):
        redactor.mask_text(text)
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize(
    ("name", "value", "masked"),
    [
        ("Authorization", "Bearer abc.def", "Bearer ***"),
        ("authorization", "basic YTpi", "basic ***"),
        ("Authorization", "opaque value", "***"),
        ("AUTHORIZATION", "Digest username=x", "Digest ***"),
        ("Proxy-Authorization", "Basic YTpi", "Basic ***"),
        ("Cookie", "a=b; c=d", "***"),
        ("set-cookie", ["a=b", "c=d"], ["***", "***"]),
        ("X-Api-Key", "k", "***"),
        ("api-key", "k", "***"),
        ("apikey", "k", "***"),
        ("X-Auth-Token", "k", "***"),
        ("X-CSRF-Token", "k", "***"),
        ("X-Client-Secret", "k", "***"),
        ("X-Password", "k", "***"),
        ("X-Amz-Security-Token", "k", "***"),
        ("X-Hub-Signature-256", "k", "***"),
        ("X-Api-Key", 5, "***"),
        ("X-Api-Key", "", ""),
        ("X-Api-Key", None, None),
        ("Content-Type", "application/json", "application/json"),
        ("X-Correlation-ID", "c-1", "c-1"),
        ("Idempotency-Key", "i-1", "i-1"),
        ("Author", "Ada", "Ada"),
        ("WWW-Authenticate", 'Bearer realm="x"', 'Bearer realm="x"'),
    ],
)
def test_header_that_carries_credentials_is_masked(name, value, masked):
    """Credentials go, the scheme of an authorization and all other headers stay."""
    assert mask_headers({name: value, "Accept": "*/*"}) == {name: masked, "Accept": "*/*"}


@pytest.mark.parametrize(
    "name", ["DB_PASSWORD", "ORDERS_API_KEY", "PGPASSWORD", "TOKEN", "access_key", "key", "sig", "SMTP_PASSWD"]
)
def test_name_of_a_credential_is_sensitive(name):
    """Names that people give to credentials are known."""
    assert is_sensitive_name(name)


@pytest.mark.parametrize(
    "name", ["BASE_URL", "KEYBOARD", "partition_key", "routing-key", "monkey", "passenger", "design"]
)
def test_name_of_something_else_is_not_sensitive(name):
    """Ordinary names are left alone."""
    assert not is_sensitive_name(name)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://ada:secret@db:5432/shop?sslmode=require", "postgresql://ada:***@db:5432/shop?sslmode=require"),
        ("amqp://ada:p@ss:w@host/v", "amqp://ada:***@host/v"),
        ("redis://:secret@host", "redis://:***@host"),
        ("https://ada@host/a", "https://ada@host/a"),
        ("https://host:80/a:b@c", "https://host:80/a:b@c"),
        ("https://host/a?token=1&x=2&access_token=3", "https://host/a?token=***&x=2&access_token=***"),
        ("https://host/a?Key=1;password=2", "https://host/a?Key=***;password=***"),
        ("https://host/a?client%5Fsecret=1&q=a%20b", "https://host/a?client%5Fsecret=***&q=a%20b"),
        (
            "https://host/a?X-Amz-Signature=1#access_token=2&state=3",
            "https://host/a?X-Amz-Signature=***#access_token=***&state=3",
        ),
        ("https://host/token=1?page=2", "https://host/token=1?page=2"),
        ("https://host/a?token=&key", "https://host/a?token=&key"),
        ("https://host/a?partition_key=1&monkey=2", "https://host/a?partition_key=1&monkey=2"),
        ("postgresql://host/db?user=ada&password=s%26x", "postgresql://host/db?user=ada&password=***"),
        ("not a url", "not a url"),
        ("", ""),
    ],
)
def test_url_is_shown_without_its_credentials(url, masked):
    """Passwords and credential-like parameters go, all else stays as it is written."""
    assert mask_url(url) == masked


@given(st.text())
def test_any_text_can_be_masked_as_a_url(text):
    """No text makes it fail, and masking twice changes nothing more."""
    assert mask_url(mask_url(text)) == mask_url(text)


def _length(value):
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


@pytest.mark.parametrize(
    ("value", "limit", "short"),
    [
        ("x" * 100, 40, "x" * 20 + "… (+80 characters)"),
        ('"' * 100, 40, '"' * 10 + "… (+90 characters)"),
        (list(range(100)), 40, [0, 1, 2, 3, 4, 5, 6, 7, 8, "… (+91 items)"]),
        ({str(n): n for n in range(100)}, 60, {"0": 0, "1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "…": "(+94 keys)"}),
        ({"a": 1, "b": "y" * 50}, 32, {"a": 1, "…": "(+1 key)"}),
        (
            {"id": 7, "text": "y" * 500, "tags": ["a", "b"], "end": True},
            90,
            {"id": 7, "text": "y" * 24 + "… (+476 characters)", "tags": ["a", "b"], "end": True},
        ),
        ({"k" * 200: 1, "b": 2}, 100, {"k" * 43 + "… (+157 characters)": 1, "b": 2}),
        ([["x" * 50] * 3] * 2, 70, [["… (+3 items)"], ["… (+3 items)"]]),
        ([["x" * 50] * 3] * 2, 130, [["x" * 22 + "… (+28 characters)", "… (+2 items)"]] * 2),
        (10**100, 40, "1" + "0" * 19 + "… (+81 characters)"),
        ([], 32, []),
        ({}, 0, {}),
        (None, 0, None),
    ],
)
def test_long_value_is_cut_to_what_can_be_read(value, limit, short):
    """Strings, lists and objects say how much is left out; what is short stays whole."""
    assert shorten(value, limit) == short


@given(_JSON, st.integers(32, 300))
def test_shortened_value_fits_and_keeps_its_kind(value, limit):
    """The result has at most as many characters as asked for; what fits is not touched."""
    short = shorten(value, limit)
    assert _length(short) <= limit
    if _length(value) <= limit:
        assert short is value
    if isinstance(value, (dict, list, str)):
        assert type(short) is type(value)


def test_shortening_takes_time_by_the_limit_and_not_by_the_value():
    """A huge value costs no more than what is shown of it."""
    huge = {str(n): {"items": list(range(1000)), "text": "x" * 10_000} for n in range(2000)}
    began = time.perf_counter()
    assert _length(shorten(huge, 2000)) <= 2000
    assert time.perf_counter() - began < 10
