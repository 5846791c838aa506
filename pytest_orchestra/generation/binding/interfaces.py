"""The operations that elements name by ``operationRef`` (BPMN 2.0.2, 8.4.3), with the OpenAPI extension on them.

The extension ``https://openapis.org/omg/extension/1.0`` has ``server`` on the interface, ``method`` and ``path`` on the
operation, and ``parameter name in`` in its messages; what fills a parameter is a context entry of the same name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pytest_orchestra.generation.binding.extensions import children, local_name, vendor_attribute, walk
from pytest_orchestra.generation.binding.model_call import BindingRule, ModelCall
from pytest_orchestra.generation.binding.parts import CallParts
from pytest_orchestra.generation.binding.vendor_text import Translation, translate_feel
from pytest_orchestra.model.process import (
    Extension,
    FlowNode,
    Interface,
    InterfaceOperation,
    NodeKind,
    ProcessDocument,
)

__all__ = ["InterfaceOperations"]

_OPENAPI: Final = ("https://openapis.org/omg/extension/1.0",)
_UNSAID: Final = ("", "##unspecified", "##webservice")
_RECEIVING: Final = frozenset(
    {NodeKind.RECEIVE_TASK, NodeKind.START_EVENT, NodeKind.INTERMEDIATE_CATCH_EVENT, NodeKind.BOUNDARY_EVENT}
)


class InterfaceOperations:
    """The interface operations of one file by their ids."""

    def __init__(self, document: ProcessDocument | None) -> None:
        self._operations: dict[str, tuple[Interface, InterfaceOperation]] = {}
        self._parameters: dict[str, tuple[Extension, ...]] = {}
        for interface in document.interfaces if document is not None else ():
            for operation in interface.operations:
                self._operations.setdefault(operation.id, (interface, operation))
        for element in document.elements if document is not None and self._operations else ():
            if element.kind == "message":
                self._parameters[element.id] = tuple(children(element.extensions, "parameter", _OPENAPI))

    def read(self, node: FlowNode) -> ModelCall | None:
        """Give the call that a node, or its message, names by ``operationRef``; what only receives makes no call."""
        if node.kind in _RECEIVING:
            return None
        refs = [node.operation_ref, *(event.operation_ref for event in node.events)]
        found = next((each for ref in refs if ref and (each := self._find(ref)) is not None), None)
        return None if found is None else self._call(node, *found)

    def _find(self, ref: str) -> tuple[Interface, InterfaceOperation] | None:
        return self._operations.get(ref) or self._operations.get(ref.rpartition(":")[2])

    def _call(self, node: FlowNode, interface: Interface, operation: InterfaceOperation) -> ModelCall:
        path = vendor_attribute(operation.extensions, "path", _OPENAPI)
        if path is None:
            return _named(interface, operation)
        parts = CallParts(BindingRule.OPERATION_REF)
        parts.method(vendor_attribute(operation.extensions, "method", _OPENAPI))
        server = (vendor_attribute(interface.extensions, "server", _OPENAPI) or "").rstrip("/")
        url = f"{server}/{path.lstrip('/')}"
        parts.url(url, Translation(url))
        values = dict(_values(node.extensions))
        for parameter in self._parameters.get(operation.in_message or "", ()):
            name, location = parameter.attribute("name") or "", parameter.attribute("in")
            constant = parameter.attribute("defaultValue")
            given = values.get(name) or (Translation(constant) if constant is not None else None)
            if given is None:
                continue
            take = {"path": parts.path, "query": parts.query, "header": parts.header, "body": parts.member}
            take.get(location or "", parts.member)(name, given)
        return parts.call()


def _named(interface: Interface, operation: InterfaceOperation) -> ModelCall:
    """Give a call of which the model knows only the operation's name: its implementation's, else its own."""
    implementation = (operation.implementation or "").strip()
    name = operation.name if implementation.casefold() in _UNSAID else implementation
    return ModelCall(
        BindingRule.OPERATION_REF,
        url=name if name.startswith(("http://", "https://")) else None,
        shown=name,
        operation=name,
        service=interface.name or None,
    )


def _values(extensions: Iterable[Extension]) -> Iterator[tuple[str, Translation]]:
    """Give what the entries of FEEL contexts in an element's extensions assign, by name."""
    for entry in walk(extensions):
        if local_name(entry) != "contextEntry":
            continue
        variable = next((each for each in entry.children if local_name(each) == "variable"), None)
        literal = next((each for each in entry.children if local_name(each) == "literalExpression"), None)
        text = next((each.text for each in literal.children if local_name(each) == "text"), "") if literal else ""
        if variable is not None and literal is not None and text.strip():
            is_feel = "feel" in (literal.attribute("expressionLanguage") or "feel").lower()
            name = variable.attribute("name") or ""
            yield name, translate_feel(f"={text}") if is_feel else Translation(None, (_shortened(text),))


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    limit = 60
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
