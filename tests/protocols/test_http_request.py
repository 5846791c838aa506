"""Requests built from operations."""

from __future__ import annotations

import base64
import math

import pytest
from protocol_calls import ORDERS

from pytest_orchestra.errors import StepError, UnusableEnvironmentError
from pytest_orchestra.model.specification import MediaType, Operation, Parameter
from pytest_orchestra.protocols.request import BaseAddress, HttpRequest, build_request

ADDRESS = BaseAddress.read("http://127.0.0.1:8000/api/", "orders")
PLACE, GET, FIND = (ORDERS.operation[name] for name in ("placeOrder", "getOrder", "findOrders"))


def build(operation, data, profile_headers=None, address=ADDRESS):
    """Build a request as the protocol does."""
    return build_request(operation, data, address, profile_headers or {})


def test_request_url_joins_prefix_path_and_styled_query():
    """The base URL's prefix stays, and each parameter is written in its declared style."""
    request = build(
        FIND, {"query": {"ids": ["a,b", 2], "tags": ["x", "y"], "filter": {"status": "NEW"}, "page": 1, "gone": None}}
    )
    assert request.method == "GET"
    assert request.url == ("http://127.0.0.1:8000/api/orders?ids=a%2Cb,2&tags=x%7Cy&filter%5Bstatus%5D=NEW&page=1")
    assert request.content is None


def test_request_parameter_of_a_media_type_is_written_in_it():
    """A parameter that the specification describes by 'content' is one JSON text."""
    parameters = (
        Parameter("filter", "query", media_type="application/json"),
        Parameter("X-Opts", "header", media_type="application/json"),
        Parameter("key", "path", media_type="application/json"),
    )
    operation = Operation("find", "GET", "/find/{key}", parameters=parameters)
    request = build(
        operation, {"path": {"key": [1]}, "query": {"filter": {"a": "b c"}}, "headers": {"X-Opts": {"n": 1}}}
    )
    assert request.url.endswith("/find/%5B1%5D?filter=%7B%22a%22:%22b%20c%22%7D")
    assert request.headers == {"X-Opts": '{"n":1}'}


def test_request_path_value_is_encoded_as_one_segment():
    """A slash in an id does not change the resource."""
    assert build(GET, {"path": {"id": "a/b ü"}}).url == "http://127.0.0.1:8000/api/orders/a%2Fb%20%C3%BC"


@pytest.mark.parametrize(
    ("data", "fact", "hint"),
    [
        ({}, "operation 'getOrder' needs path parameter 'id'", "add 'path: {id: ...}' to the input"),
        ({"path": {"Id": 1}}, "operation 'getOrder' needs path parameter 'id'", "'Id' may be meant for it"),
        (
            {"path": {"id": 1, "order": 2}},
            "operation 'getOrder' has no path parameter 'order'",
            "its path is '/orders/{id}'",
        ),
        (
            {"path": {"id": 1}, "querry": {}},
            "input of operation 'getOrder' has an unknown key 'querry'",
            "did you mean 'query'?",
        ),
        ({"path": [1]}, "input 'path' of operation 'getOrder' is no object", "write 'path: {name: value}'"),
        (
            {"path": {"id": "\ud800"}},
            "the input holds half of a surrogate pair, which is no character",
            "see where its value comes from",
        ),
        ({"path": {"id": 1}, "headers": {"a b": 1}}, "'a b' is no name of a header", "use letters, digits and hyphens"),
        (
            {"path": {"id": 1}, "headers": {"Content-length": 1}},
            "header 'Content-length' is for the client to write",
            "leave it out",
        ),
        (
            {"path": {"id": 1}, "body": 1, "mediaType": 2},
            "input 'mediaType' is no text",
            "write for example 'application/json'",
        ),
    ],
)
def test_request_from_wrong_input_is_refused_with_what_is_wrong(data, fact, hint):
    """A mistake in the step is told in one sentence, with one action."""
    with pytest.raises(StepError) as caught:
        build(GET, data)
    assert (caught.value.fact, caught.value.hint) == (fact, hint)


def test_request_body_is_json_unless_told_otherwise():
    """An object becomes JSON in UTF-8, with its media type."""
    request = build(PLACE, {"body": {"name": "ü", "amount": 1.5, "gift": False}})
    assert request.content == '{"name": "ü", "amount": 1.5, "gift": false}'.encode()
    assert request.headers == {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "media_type", "content"),
    [
        ({"a": "x y&z", "b": [1, 2], "c": None}, "application/x-www-form-urlencoded", b"a=x+y%26z&b=1&b=2"),
        ({"a": {"b": "~*"}}, "application/x-www-form-urlencoded; charset=utf-8", b"a%5Bb%5D=~*"),
        ("raw=1", "application/x-www-form-urlencoded", b"raw=1"),
        ("grün", "text/plain; charset=utf-8", "grün".encode()),
        (12.5, "text/plain", b"12.5"),
        ("<a/>", "application/xml", b"<a/>"),
        ("text", "application/merge-patch+json", b'"text"'),
        ({"base64": base64.b64encode(b"\0\xff").decode()}, "application/octet-stream", b"\0\xff"),
    ],
)
def test_request_body_follows_the_media_type(body, media_type, content):
    """The media type decides how the body is written."""
    request = build(PLACE, {"body": body, "mediaType": media_type})
    assert request.content == content
    assert request.headers["Content-Type"] == media_type


@pytest.mark.parametrize(
    ("declared", "chosen"),
    [
        ([], "application/json"),
        (["text/csv", "application/vnd.shop+json"], "application/vnd.shop+json"),
        (["text/csv", "text/plain"], "text/csv"),
        (["application/*"], "application/json"),
    ],
)
def test_request_media_type_defaults_to_json_where_the_operation_takes_it(declared, chosen):
    """Without 'mediaType', JSON goes first, then what the operation declares first."""
    operation = Operation("o", "POST", "/o", request_bodies=tuple(map(MediaType, declared)))
    assert build(operation, {"body": "x"}).headers == {"Content-Type": chosen}


@pytest.mark.parametrize(
    ("body", "media_type", "fact"),
    [
        ({"a": math.nan}, "application/json", "the body holds NaN or Infinity, which JSON cannot write"),
        (
            {"a": 1},
            "application/xml",
            "a body of media type 'application/xml' cannot be made of this input",
        ),
        ({"base64": "%"}, "image/png", "the body's 'base64' is not valid Base64"),
    ],
)
def test_request_body_that_cannot_be_written_is_refused(body, media_type, fact):
    """What has no form in the media type is an error of ours."""
    with pytest.raises(StepError) as caught:
        build(PLACE, {"body": body, "mediaType": media_type})
    assert caught.value.fact == fact


def test_request_headers_of_the_step_go_before_those_of_the_profile():
    """A step overrides a header of the environment whatever its case, and null takes it away."""
    request = build(
        FIND,
        {"headers": {"x-tenant": "b", "Authorization": None, "X-Range": [1, 2]}, "cookies": {"sid": "1"}},
        {"X-Tenant": "a", "Authorization": "Bearer t", "Cookie": "theme=dark"},
    )
    assert request.headers == {"x-tenant": "b", "Cookie": "theme=dark; sid=1", "X-Range": "1,2"}


def test_request_content_type_of_the_step_stays():
    """A header that the step writes is not written over by the body's media type."""
    request = build(PLACE, {"body": {}, "headers": {"content-type": "application/json; v=2"}})
    assert request.headers == {"content-type": "application/json; v=2"}
    assert "Content-Type" not in build(PLACE, {"body": {}, "headers": {"Content-Type": None}}).headers


def test_request_user_of_the_base_url_becomes_authorization():
    """Credentials in a base URL are sent as a header and stay out of the URL."""
    address = BaseAddress.read("https://us%65r:p%40ss@shop.test/x#y", "orders")
    request = build(FIND, {}, address=address)
    assert request.url == "https://shop.test/x/orders"
    assert request.headers == {"Authorization": f"Basic {base64.b64encode(b'user:p@ss').decode()}"}


@pytest.mark.parametrize("base_url", ["localhost:8000", "ftp://host", "http://", "http://host:port", ""])
def test_base_url_that_is_no_address_is_an_error_of_the_environment(base_url):
    """A base URL without scheme, host or valid port is told before anything is sent."""
    with pytest.raises(UnusableEnvironmentError) as caught:
        BaseAddress.read(base_url, "orders")
    assert str(caught.value) == (
        f"service 'orders' has base URL '{base_url}', which is no address of HTTP\n"
        "hint: write it as 'http://host:port' or 'https://host:port/prefix'"
    )


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://shop/orders/1?a=b", "/orders/1?a=b"),
        ("https://shop:8443", "/"),
        ("http://shop?next=http://x/y", "/?next=http://x/y"),
        ("http://[::1]:80/a:b", "/a:b"),
    ],
)
def test_request_target_is_what_stands_behind_the_authority(url, target):
    """Path and query go to the server, whatever comes before them."""
    assert HttpRequest("GET", url, {}).target == target
