"""The HTTP calls of jBPM's and Kogito's ``Rest`` work items, whose parameters are data inputs of the task.

Source: jBPM "REST" work item handler, Kogito ``RestWorkItemHandler``: inputs that the handler does not need itself are
parameters of the path where the URL names them, else members of the body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from pytest_orchestra.generation.binding.connectors import take_header_lines
from pytest_orchestra.generation.binding.extensions import vendor_attribute
from pytest_orchestra.generation.binding.model_call import BindingRule, ModelCall
from pytest_orchestra.generation.binding.parts import CallParts
from pytest_orchestra.generation.binding.template_text import read_data
from pytest_orchestra.generation.binding.vendor_text import Translation, translate_json, translate_juel
from pytest_orchestra.model.process import FlowNode, Process

__all__ = ["WorkItems"]

_DROOLS: Final = ("http://www.jboss.org/drools",)
_PARAMETER: Final = re.compile(r"[#$]?\{\s*([^{}]+?)\s*\}")
_NAMES: Final = """
accesstoken acceptcharset acceptheader authdecorator authtype authurl bodybuilder comment connecttimeout content
contentdata contenttype contenttypecharset cookie cookiepath description handleresponseerrors headers host
httpresponsecodes method nodename paramsdecorator password pathparamresolver port priority protocol readtimeout
requesttimeout responsecodes resultclass resulthandler skippable taskname url username"""
_OWN: Final = frozenset(_NAMES.split())
_WITH_BODY: Final = ("POST", "PUT", "PATCH")


class _Input(NamedTuple):
    """What a data input is filled with: a constant text, or the value of a variable."""

    text: str | None
    variable: str

    def translated(self) -> Translation:
        return Translation(read_data((self.variable,))) if self.text is None else translate_juel(self.text)

    def written(self) -> str:
        return f"#{{{self.variable}}}" if self.text is None else self.text


class WorkItems:
    """The work items of one process."""

    def __init__(self, process: Process) -> None:
        names = {
            (element.scope, element.id): element.name or element.id
            for element in process.data
            if element.kind == "dataInput"
        }
        self._inputs: dict[str, dict[str, _Input]] = {}
        for association in process.associations:
            name = names.get((association.scope, association.target or ""))
            text = next((a.source.text.strip() for a in association.assignments if a.source is not None), None)
            variable = association.source or next(iter(association.sources), "")
            if name is not None and association.scope is not None and (text is not None or variable):
                self._inputs.setdefault(association.scope, {}).setdefault(name, _Input(text, variable))

    def read(self, node: FlowNode) -> ModelCall | None:
        """Give the call of a task that is a ``Rest`` work item."""
        if vendor_attribute(node.extensions, "taskName", _DROOLS) != "Rest":
            return None
        inputs = self._inputs.get(node.id, {})
        own = {name.casefold(): each.written().strip() for name, each in inputs.items() if name.casefold() in _OWN}
        content = {name: each for name, each in inputs.items() if name.casefold() not in _OWN}
        parts = CallParts(BindingRule.KOGITO_REST)
        parts.method(own.get("method"), default="GET")
        url = own.get("url", "")
        for name in dict.fromkeys(match[1] for match in _PARAMETER.finditer(url)):
            given = content.pop(name, None)
            parts.path(name, given.translated() if given else translate_juel(f"${{{name}}}"))
        parts.url(url, Translation(_address(own, url)))
        take_header_lines(parts, own.get("headers", "").split(";"), "=")
        body = own.get("contentdata") or own.get("content")
        if body:
            parts.body(translate_json(body))
        elif own.get("method", "").upper() in _WITH_BODY:
            for name, each in content.items():
                parts.member(name, each.translated())
        return parts.call()


def _address(own: Mapping[str, str], url: str) -> str:
    """Give the URL with expressions as parameters, and with the host where that is an input of its own."""
    address = _PARAMETER.sub(lambda match: f"{{{match[1]}}}", url)
    host = own.get("host", "")
    if "://" in address or not address.startswith("/") or not host or "{" in host:
        return address
    return f"{own.get('protocol') or 'http'}://{host}{address}"
