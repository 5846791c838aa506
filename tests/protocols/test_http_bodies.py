"""Bodies of parts, of forms and of files, as they arrive at a real server."""

from __future__ import annotations

import base64
import email.policy
from dataclasses import replace
from email.message import EmailMessage
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_calls import make_call
from protocol_peers import http_reply

from pytest_orchestra.errors import StepError
from pytest_orchestra.model.specification import MediaType, Operation, ProtocolSpec, ResponseSpec
from pytest_orchestra.problem import Place
from pytest_orchestra.protocols.multipart import encode_multipart

PICTURE = bytes(range(256)) * 3

OPERATIONS = (
    Operation("upload", "POST", "/files", request_bodies=(MediaType("multipart/form-data"),)),
    Operation("put", "PUT", "/raw", request_bodies=(MediaType("application/octet-stream"),)),
    Operation("form", "POST", "/form", request_bodies=(MediaType("application/x-www-form-urlencoded"),)),
    Operation("picture", "GET", "/picture", responses=(ResponseSpec("200", media_types=(MediaType("image/png"),)),)),
)
SPECS = {"files": ProtocolSpec("http", "files", version="b" * 64, operations=OPERATIONS)}


def send(http, url, folder, operation, **data):
    """Call an operation, from a sidecar in that folder."""
    call = make_call({"endpointRef": f"files.{operation}", "inputTemplate": data}, {"services": {"files": url}})
    step = call.step.model_copy(update={"place": Place(str(folder / "files.orchestra.yaml"), 3)})
    return http.execute(replace(call, step=step), SPECS)


def parts_of(content_type, body):
    """Read a body of several parts with the standard library: name, filename, media type and content of each."""
    whole = email.message_from_bytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body, policy=email.policy.HTTP
    )
    assert not whole.defects
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get("content-type"),
            part.get_payload(decode=True),
        )
        for part in cast("list[EmailMessage]", whole.get_payload())
    ]


async def test_multipart_body_arrives_part_by_part(http, peers, tmp_path):
    """Fields, repeated fields, objects as JSON, and files with their names and media types; null is left out."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "face.png").write_bytes(PICTURE)
    server = await peers.http()
    reply = await send(
        http,
        server.url,
        tmp_path,
        "upload",
        body={
            "title": "grün\r\n--x",
            "count": 2,
            "tag": ["a", "b"],
            "gone": None,
            "meta": {"kind": "face"},
            "picture": {"file": "data/face.png"},
            "note": {"file": "data/face.png", "filename": 'a"b.txt', "mediaType": "text/x-note"},
            "inline": {"base64": base64.b64encode(b"\0\1").decode()},
        },
    )
    (arrived,) = server.arrived
    assert arrived.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert parts_of(arrived.headers["content-type"], arrived.body) == [
        ("title", None, None, "grün\r\n--x".encode()),
        ("count", None, None, b"2"),
        ("tag", None, None, b"a"),
        ("tag", None, None, b"b"),
        ("meta", None, "application/json", b'{"kind": "face"}'),
        ("picture", "face.png", "image/png", PICTURE),
        ("note", "a%22b.txt", "text/x-note", PICTURE),
        ("inline", "inline", "application/octet-stream", b"\0\1"),
    ]
    assert reply.exchange.request["body"]["picture"] == {"file": "data/face.png"}


@given(
    st.dictionaries(
        st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1),
        st.binary(max_size=40).map(lambda content: {"base64": base64.b64encode(content).decode()}),
        max_size=4,
    )
)
def test_multipart_body_keeps_every_byte_and_is_the_same_when_written_again(fields):
    """No content can end a part, and a request that is sent again is the same request."""
    body, media_type = encode_multipart(fields, "multipart/form-data", {})
    assert encode_multipart(fields, "multipart/form-data", {}) == (body, media_type)
    mark = b"--" + media_type.partition("boundary=")[2].encode()
    chunks = body.split(mark)
    assert chunks[0] == b""
    assert chunks[-1] == b"--\r\n"
    contents = [chunk.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for chunk in chunks[1:-1]]
    assert contents == [base64.b64decode(field["base64"]) for field in fields.values()]


async def test_body_of_a_file_is_sent_as_it_is(http, peers, tmp_path):
    """A file is a whole body as well, under the media type of the operation or of the step."""
    (tmp_path / "blob.bin").write_bytes(PICTURE)
    server = await peers.http()
    await send(http, server.url, tmp_path, "put", body={"file": "blob.bin"})
    await send(http, server.url, tmp_path, "put", body={"file": "blob.bin"}, mediaType="application/octet-stream; v=2")
    assert [arrived.body for arrived in server.arrived] == [PICTURE, PICTURE]
    assert [arrived.headers["content-type"] for arrived in server.arrived] == [
        "application/octet-stream",
        "application/octet-stream; v=2",
    ]


async def test_field_of_a_form_may_be_called_file(http, peers, tmp_path):
    """Where no file can be sent, 'file' is a field like any other."""
    server = await peers.http()
    await send(http, server.url, tmp_path, "form", body={"file": "a b"})
    assert server.arrived[0].body == b"file=a+b"


async def test_file_that_cannot_be_read_is_an_error_of_the_step(http, tmp_path):
    """Nothing is sent, and the message says which file and where it was looked for."""
    with pytest.raises(StepError) as caught:
        await send(http, "http://127.0.0.1:9", tmp_path, "put", body={"file": "gone.bin"})
    assert str(caught.value) == (
        f"{tmp_path}/files.orchestra.yaml:3: file 'gone.bin' of the body cannot be read: no such file or directory\n"
        f"hint: its path is relative to '{tmp_path}'"
    )


async def test_binary_reply_is_base64(http, peers, tmp_path):
    """A body that is no text comes as Base64, every byte of it."""
    server = await peers.http(http_reply(body=PICTURE, Content_Type="image/png"))
    reply = await send(http, server.url, tmp_path, "picture")
    assert base64.b64decode(reply.response["body"]["base64"]) == PICTURE
