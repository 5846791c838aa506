"""The HTTP calls that vendors' extensions name: Camunda 7 and 8, Flowable and Activiti, and plain URLs.

Sources: Camunda 7 "Connectors" with its ``http-connector``; Camunda 8 "REST connector" (``io.camunda:http-json:1``);
Flowable "Http Task".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pytest_orchestra.generation.binding.extensions import children, local_name, vendor_attribute, walk
from pytest_orchestra.generation.binding.model_call import METHODS, BindingRule, ModelCall
from pytest_orchestra.generation.binding.parts import CallParts
from pytest_orchestra.generation.binding.vendor_text import (
    Translation,
    translate_address,
    translate_feel,
    translate_json,
    translate_juel,
)
from pytest_orchestra.model.process import Extension, FlowNode

__all__ = ["read_connector", "read_literal_url", "take_header_lines"]

_CAMUNDA: Final = ("http://camunda.org/schema/1.0/bpmn", "http://activiti.org/bpmn")
_ZEEBE: Final = ("http://camunda.org/schema/zeebe/1.0",)
_FLOWABLE: Final = ("http://flowable.org/bpmn", "http://activiti.org/bpmn")
_ZEEBE_JOB: Final = "io.camunda:http-json:1"
_URL: Final = re.compile(r"https?://[^\s\"'<>]+")
_PICTURES: Final = (".png", ".svg", ".gif", ".jpg", ".ico")


def read_connector(node: FlowNode) -> ModelCall | None:
    """Give the call that an HTTP connector of Camunda or an HTTP task of Flowable makes at a node."""
    for reader in (_read_camunda, _read_zeebe, _read_flowable) if node.extensions else ():
        call = reader(node)
        if call is not None:
            return call
    return None


def read_literal_url(node: FlowNode) -> ModelCall | None:
    """Give a call of which only the URL, and perhaps a method beside it, is written somewhere in the element."""
    texts = [node.implementation or ""]
    for extension in walk(node.extensions):
        if "icon" not in local_name(extension).lower():
            texts += [extension.text, *(value for _, value in extension.attributes)]
    stripped = [text.strip() for text in texts]
    urls = list(dict.fromkeys(text for text in stripped if _is_url(text)))
    if len(urls) != 1:
        return None
    parts = CallParts(BindingRule.LITERAL_URL)
    methods = {text.upper() for text in stripped if text.upper() in METHODS}
    if len(methods) == 1:
        parts.method(methods.pop())
    parts.url(urls[0], translate_address(urls[0]))
    return parts.call()


def take_header_lines(parts: CallParts, lines: Iterable[str], sign: str) -> None:
    """Take headers that are written as a text, ``Name: value`` in each line."""
    for line in lines:
        name, found, value = line.partition(sign)
        if found:
            parts.header(name, translate_juel(value.strip()))


def _read_camunda(node: FlowNode) -> ModelCall | None:
    for connector in children(node.extensions, "connector", _CAMUNDA):
        ids = [each.text.strip() for each in children(connector.children, "connectorId", _CAMUNDA)]
        if "http-connector" not in ids:
            continue
        inputs = {
            each.attribute("name") or "": each
            for group in children(connector.children, "inputOutput", _CAMUNDA)
            for each in children(group.children, "inputParameter", _CAMUNDA)
        }
        parts = CallParts(BindingRule.CAMUNDA_CONNECTOR)
        for name, text in _texts(inputs, parts):
            if name == "method":
                parts.method(text)
            elif name == "url":
                parts.url(text, translate_address(text.strip()))
            elif name == "payload" and text.strip():
                parts.body(translate_json(text))
        for entry in _headers(inputs):
            parts.header(entry.attribute("key") or "", translate_juel(entry.text))
        return parts.call()
    return None


def _texts(inputs: Mapping[str, Extension], parts: CallParts) -> Iterator[tuple[str, str]]:
    """Give the texts of parameters; one that a script or a list makes is not carried over."""
    for name in ("method", "url", "payload"):
        parameter = inputs.get(name)
        if parameter is not None and parameter.children:
            parts.untranslatable(name, local_name(parameter.children[0]))
        elif parameter is not None:
            yield name, parameter.text


def _headers(inputs: Mapping[str, Extension]) -> Iterator[Extension]:
    for group in children(inputs["headers"].children, "map", _CAMUNDA) if "headers" in inputs else ():
        yield from children(group.children, "entry", _CAMUNDA)


def _read_zeebe(node: FlowNode) -> ModelCall | None:
    job = next(children(node.extensions, "taskDefinition", _ZEEBE), None)
    if job is None or (job.attribute("type") or "").strip() != _ZEEBE_JOB:
        return None
    parts = CallParts(BindingRule.ZEEBE_CONNECTOR)
    inputs = {
        each.attribute("target") or "": each.attribute("source") or ""
        for mapping in children(node.extensions, "ioMapping", _ZEEBE)
        for each in children(mapping.children, "input", _ZEEBE)
    }
    parts.method(inputs.get("method"), default="GET")
    if "url" in inputs:
        parts.url(inputs["url"], translate_feel(inputs["url"]))
    for group, take in (("headers", parts.header), ("queryParameters", parts.query)):
        for name, translation in _members(inputs, group, parts):
            take(name, translation)
    if inputs.get("body", "").strip():
        text = inputs["body"]
        parts.body(translate_feel(text) if text.strip().startswith("=") else translate_json(text))
    for target, source in inputs.items():
        if target.startswith("body."):
            parts.member(target.removeprefix("body."), translate_feel(source))
    return parts.call()


def _members(inputs: Mapping[str, str], group: str, parts: CallParts) -> Iterator[tuple[str, Translation]]:
    """Give the members of an object that is mapped as a whole, or member by member."""
    for target, source in inputs.items():
        if target.startswith(f"{group}."):
            yield target.removeprefix(f"{group}."), translate_feel(source)
    whole = inputs.get(group, "").strip()
    if not whole:
        return
    value = translate_feel(whole).value
    if isinstance(value, dict):
        for name, member in value.items():
            yield name, Translation(member)
    else:
        parts.untranslatable(group, whole)


def _read_flowable(node: FlowNode) -> ModelCall | None:
    if vendor_attribute(node.extensions, "type", _FLOWABLE) != "http":
        return None
    fields: dict[str, str] = {}
    for each in children(node.extensions, "field", _FLOWABLE):
        inner = next((c.text for c in each.children if local_name(c) in ("string", "expression")), None)
        text = inner if inner is not None else each.attribute("stringValue") or each.attribute("expression") or ""
        fields[each.attribute("name") or ""] = text.strip()
    parts = CallParts(BindingRule.FLOWABLE_HTTP)
    parts.method(fields.get("requestMethod"))
    if fields.get("requestUrl"):
        parts.url(fields["requestUrl"], translate_address(fields["requestUrl"]))
    take_header_lines(parts, fields.get("requestHeaders", "").splitlines(), ":")
    if fields.get("requestBody"):
        parts.body(translate_json(fields["requestBody"]))
    return parts.call()


def _is_url(text: str) -> bool:
    return _URL.fullmatch(text) is not None and not text.lower().endswith(_PICTURES)
