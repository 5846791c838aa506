"""Commands that reproduce a request, run by bash."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_calls import SPECS, make_call

from pytest_orchestra.protocols.curl import curl_command
from pytest_orchestra.protocols.shell import quote_word

URL = "http://127.0.0.1:8000/orders"

needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("bash") is None, reason="needs the programs 'curl' and 'bash'"
)


async def run_in_bash(command, folder=None, **variables):
    """Run a command and give what it prints."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env={**os.environ, **variables},
    )
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, err.decode()
    return out


AWKWARD_JSON = {"text": 'it\'s $HOME `id` \\ "x" !! \n\t%s ü {a,b} [1-3] @f', "n": [None, True, 1.5]}


@needs_curl
@pytest.mark.parametrize(
    ("endpoint", "data"),
    [
        ("getOrder", {"path": {"id": "a'b c/ü$x"}}),
        ("findOrders", {"query": {"ids": ["a", "b,c"], "filter": {"x y": "[1-3]{a}"}, "q": "&=#"}}),
        ("placeOrder", {"body": AWKWARD_JSON}),
        ("placeOrder", {"body": "@/etc/passwd", "mediaType": "text/plain"}),
        ("placeOrder", {"body": "", "mediaType": "text/plain"}),
        ("placeOrder", {"body": {"base64": "AAH/AA=="}, "mediaType": "application/octet-stream"}),
        ("placeOrder", {"body": {"base64": "/w=="}, "mediaType": "image/png"}),
        ("placeOrder", {"body": {"a": 1}, "headers": {"Content-Type": None}}),
        ("placeOrder", {"headers": {"X-Empty": "", "X-Quote": 'it\'s "$HOME" !'}, "cookies": {"note": "a b"}}),
        ("submitForm", {"body": {"a": "x y", "b": ["1", "&"]}}),
        ("HEAD /orders/{id}", {"path": {"id": 1}}),
    ],
)
async def test_pasted_command_sends_what_the_step_sent(http, peers, endpoint, data):
    """Run by bash, the command sends the very request: method, URL, headers and body, byte for byte."""
    server = await peers.http()
    call = make_call({"endpointRef": f"orders.{endpoint}", "inputTemplate": data}, {"services": {"orders": server.url}})
    reply = await http.execute(call, SPECS)
    await run_in_bash(reply.exchange.reproduce, COOKIE=server.arrived[0].headers.get("cookie", ""))
    ours, curls = (arrived.without_transport() for arrived in server.arrived)
    assert curls == ours


@needs_curl
async def test_pasted_command_takes_masked_values_from_variables(http, peers):
    """Credentials are not in the command; with the variables that it names set, it sends them."""
    server = await peers.http()
    profile = {"baseUrl": server.url, "headerRefs": {"X-Gate": "env:GATE"}}
    call = make_call(
        {
            "endpointRef": "orders.findOrders",
            "inputTemplate": {
                "query": {"a": "it's", "api_key": "k3y-42", "z": 1},
                "headers": {"Authorization": "Bearer t0p"},
            },
        },
        {"services": {"orders": profile}},
        secrets={"env:GATE": "sesame"},
    )
    command = (await http.execute(call, SPECS)).exchange.reproduce
    assert not [secret for secret in ("k3y-42", "t0p", "sesame") if secret in command]
    await run_in_bash(command, API_KEY="k3y-42", AUTHORIZATION="t0p", X_GATE="sesame")
    ours, curls = (arrived.without_transport() for arrived in server.arrived)
    assert curls == ours
    assert ours[1] == "/orders?a=it%27s&api_key=k3y-42&z=1"


@needs_curl
async def test_pasted_command_reads_a_long_body_from_the_file_that_it_names(http, peers, tmp_path):
    """A body that no command line can hold is left out of it, and the command says from where it comes."""
    server = await peers.http()
    call = make_call(
        {"endpointRef": "orders.placeOrder", "inputTemplate": {"body": "x" * 200_000}},
        {"services": {"orders": server.url}},
    )
    reply = await http.execute(call, SPECS)
    command = reply.exchange.reproduce
    assert command.endswith(" --data-binary @request-body # the 200002 bytes of the body, in a file of that name")
    assert len(str(reply.exchange)) < 10_000
    (tmp_path / "request-body").write_bytes(server.arrived[0].body)
    await run_in_bash(command, folder=tmp_path)
    ours, curls = (arrived.without_transport() for arrived in server.arrived)
    assert curls == ours


@needs_curl
async def test_pasted_command_keeps_dots_in_the_path(peers):
    """The program does not tidy up a path that a specification has with dots."""
    server = await peers.http()
    await run_in_bash(curl_command("GET", f"{server.url}/a/../b/[1-2]/%2E%2E/c", {}, None))
    assert [arrived.target for arrived in server.arrived] == ["/a/../b/[1-2]/%2E%2E/c"]


def test_command_names_the_method_only_where_curl_would_take_another():
    """The command stays as short as it can be."""
    assert curl_command("GET", URL, {}, None) == f"curl --include {URL}"
    assert curl_command("HEAD", URL, {}, None) == f"curl --head {URL}"
    assert curl_command("DELETE", URL, {}, None) == f"curl --include --request DELETE {URL}"
    assert curl_command("POST", URL, {"Content-Type": "a/b"}, b"x") == (
        f"curl --include {URL} --header 'Content-Type: a/b' --data-raw x"
    )
    assert curl_command("POST", URL, {}, None, verify_tls=False) == (f"curl --include --request POST --insecure {URL}")


def test_variable_of_a_masked_header_is_a_name_of_the_shell():
    """Whatever a header is called, its variable can be set."""
    command = curl_command("GET", URL, {"2nd.Key": "s"}, None, masked={"2nd.Key": "***"})
    assert command.endswith(' --header "2nd.Key: $_2ND_KEY"')


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_quoted_word_is_one_word_that_reads_as_the_text(text):
    """Any text stays one word, and in double quotes nothing is left that is special to bash."""
    word = quote_word(text)
    assert shlex.split(word) == [text]
    assert not word.startswith('"') or not set(word[1:-1]) & set('"$`\\!')


@needs_curl
async def test_quoted_word_comes_back_from_bash():
    """The shell reads a quoted word as the text that it was."""
    texts = ["", "a b", "it's", "it's $x", "!!", "`x`", '"', "\\", "a\nb", "ü", "-n", "~", "*", "{a,b}", "'\"'$!"]
    out = await run_in_bash("printf '%s\\0' " + " ".join(map(quote_word, texts)))
    assert out.decode().split("\0")[:-1] == texts
