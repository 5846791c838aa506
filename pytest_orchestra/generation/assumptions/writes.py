"""Which variables a node writes, so that what was known of them before holds no longer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pytest_orchestra.model.process import Association, Extension, FlowNode, NodeKind, Process

__all__ = ["Writes", "list_writes"]

_ASSIGNED: Final = re.compile(
    r"(?<![\w.$\"'])(?P<name>[^\W\d]\w*)(?:\s*(?:\.\s*\w+|\[[^\]]*\]))*\s*(?:[-+*/%|&]?=(?![=~])|\+\+|--)"
)
_SET: Final = re.compile(
    r"\b(?:set(?:Process)?Variable(?:Local)?|put|set|setTransientVariable)\s*\(\s*[\"'](?P<name>[^\"']+)[\"']"
)
_SETS_MANY: Final = re.compile(
    r"\bset(?:Transient)?Variables\s*\(|\bputAll\s*\(|\bexec(?:file)?\s*\("
    r"|\b(?:execution|kcontext|delegateExecution|task)\s*[,)]"  # handed over to code elsewhere
)
_INCREMENTED: Final = re.compile(r"(?:\+\+|--)\s*(?P<name>[^\W\d]\w*)")

_NAMING_ATTRIBUTES: Final = frozenset(
    (
        *("resultVariable", "resultVariableName", "responseVariableName", "outputVariable", "outputVariableName"),
        *("errorCodeVariable", "errorMessageVariable", "escalationCodeVariable", "variableName", "elementVariable"),
        *("elementIndexVariable", "countVariable", "outputCollection", "itemVariable", "idVariableName"),
    )
)
_NAMED_ELEMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "outputParameter": ("name",),
    "output": ("target",),
    "out": ("target",),
    "formField": ("id",),
    "formProperty": ("variable", "id"),
    "eventOutParameter": ("target",),
}
"""Extension elements that say what is written, with the attributes that have the name, the first that is there."""
_UNSEEN_ATTRIBUTES: Final = frozenset(
    {"class", "delegateExpression", "topic", "formKey", "formRef", "formId", "ruleFlowGroup", "resource", "caseRef"}
)
_SCRIPTS: Final = frozenset({"script", "preScript", "postScript", "onEntry-script", "onExit-script"})
_LISTENERS: Final = frozenset({"executionListener", "taskListener"})


@dataclass(frozen=True, slots=True)
class Writes:
    """The names of the variables that a node writes.

    ``unseen`` says that it may write others too: it runs code that the model does not show, or a message brings what it
    likes. ``answers`` says so of texts and truth values alone: people do not say in the model what they decide.
    """

    names: frozenset[str] = frozenset()
    unseen: bool = False
    answers: bool = False

    def __bool__(self) -> bool:
        return bool(self.names) or self.unseen or self.answers


def list_writes(process: Process) -> dict[str, Writes]:
    """Give what the nodes of a process write, by their ids; nodes that write nothing are left out."""
    outputs: dict[str, list[Association]] = {}
    for association in process.associations:
        if association.kind == "dataOutputAssociation" and association.scope is not None:
            outputs.setdefault(association.scope, []).append(association)
    data = {element.id: (element.name, element.ref or "") for element in process.data}
    found: dict[str, Writes] = {}
    for node in process.nodes:
        names = {name for name in _names(node) if name}
        for association in outputs.get(node.id, ()):
            names |= set(_targets(association, data))
        is_silent = not names and not outputs.get(node.id)
        unseen = _is_unseen(node) or (is_silent and node.kind is NodeKind.BUSINESS_RULE_TASK)
        answers = is_silent and node.kind is NodeKind.USER_TASK
        writes = Writes(frozenset(_root(name) for name in names), unseen, answers)
        if writes:
            found[node.id] = writes
    return found


def _root(name: str) -> str:
    return re.split(r"[.\[]", name.strip(), maxsplit=1)[0]


def _targets(association: Association, data: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    targets = [association.target or "", *(one.target.text for one in association.assignments if one.target)]
    for target in targets:
        yield target
        waiting, seen = [target], {target}
        while waiting:  # a reference stands for its object
            name, ref = data.get(waiting.pop(), ("", ""))
            yield name
            if ref and ref not in seen:
                seen.add(ref)
                yield ref
                waiting.append(ref)


def _names(node: FlowNode) -> Iterator[str]:
    if node.script:
        yield from _written_by(node.script)
    loop = node.loop
    if loop is not None:
        yield from (loop.input_item or "", loop.output_collection or "", loop.output_item or "")
        yield from _extended(loop.extensions)
    for event in node.events:
        yield from _extended(event.extensions)
    yield from _extended(node.extensions)


def _extended(extensions: Iterable[Extension]) -> Iterator[str]:
    for extension in _every(extensions):
        local = _local(extension.name)
        if extension.is_attribute:
            if local in _NAMING_ATTRIBUTES:
                yield extension.text
            continue
        attributes = {_local(name): value for name, value in extension.attributes}
        yield from (value for name, value in attributes.items() if name in _NAMING_ATTRIBUTES)
        named = next((attributes[name] for name in _NAMED_ELEMENTS.get(local, ()) if attributes.get(name)), None)
        if named is not None:
            yield named
        if local in _SCRIPTS:
            yield from _written_by(extension.text)
        if local == "field" and attributes.get("name") in _NAMING_ATTRIBUTES:
            yield attributes.get("stringValue") or extension.text
            yield from (child.text for child in extension.children)


def _every(extensions: Iterable[Extension]) -> Iterator[Extension]:
    waiting = list(extensions)
    while waiting:
        extension = waiting.pop()
        yield extension
        waiting.extend(extension.children)


def _local(name: str) -> str:
    return name.rpartition("}")[2].rpartition(":")[2]


def _written_by(script: str) -> Iterator[str]:
    for pattern in (_ASSIGNED, _SET, _INCREMENTED):
        for match in pattern.finditer(script):
            yield match["name"]
    for match in re.finditer(r"\bexecution\s*\.\s*(\w+)\s*=(?!=)", script):
        yield match[1]


def _is_unseen(node: FlowNode) -> bool:
    if node.script and _SETS_MANY.search(node.script):
        return True
    if node.kind is NodeKind.RECEIVE_TASK or (
        node.kind is NodeKind.INTERMEDIATE_CATCH_EVENT
        and any(event.kind.value == "messageEventDefinition" for event in node.events)
    ):
        return True
    attributes = {_local(one.name): one.text for one in node.extensions if one.is_attribute}
    if attributes.keys() & _UNSEEN_ATTRIBUTES:
        return True
    has_result = bool(attributes.keys() & _NAMING_ATTRIBUTES)
    if attributes.get("type") == "external" or ("expression" in attributes and not has_result):
        return True
    return _has_unseen_elements([one for one in node.extensions if not one.is_attribute])


def _has_unseen_elements(extensions: Iterable[Extension]) -> bool:
    every = list(_every(extensions))
    locals_ = {_local(one.name) for one in every}
    if locals_ & {"formDefinition"}:
        return True
    if "taskDefinition" in locals_ and "output" not in locals_:
        return True
    for one in every:
        local = _local(one.name)
        attributes = {_local(name): value for name, value in one.attributes}
        if local in _LISTENERS and attributes.keys() & {"class", "delegateExpression", "expression", "type"}:
            return True
        if local == "out" and attributes.get("variables") == "all":
            return True
        if local == "calledElement" and attributes.get("propagateAllChildVariables", "true") != "false":
            return True
    return False
