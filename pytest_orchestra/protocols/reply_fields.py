"""Fields of replies that a step's conditions, rules and exports read, though its specification has none of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final

from jinja2 import nodes

from pytest_orchestra.data.evaluation import key_of
from pytest_orchestra.data.expressions import parse
from pytest_orchestra.engine.judgement import status_matches
from pytest_orchestra.errors import TemplateSyntaxError
from pytest_orchestra.model.definition import ChannelType, StepDefinition
from pytest_orchestra.model.specification import MediaType, Operation, ProtocolSpec, ResponseSpec
from pytest_orchestra.protocols.media_type import essence_of, is_json
from pytest_orchestra.protocols.schema_fields import SchemaFields
from pytest_orchestra.protocols.suggestion import suggest

__all__ = ["expressions_of", "find_later_faults", "find_reply_field_faults", "paths_read"]

Path = tuple[str | int, ...]

_TEMPLATE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_GUARDING_FILTERS: Final = ("default", "d")
_GUARDING_TESTS: Final = ("defined", "undefined")
_RESPONSE: Final = ("status", "headers", "body", "cookies", "elapsedMs", "history")
_BODILESS: Final = ("204", "205", "304")
_DEFAULT: Final = "DEFAULT"
_FIELDS_SHOWN: Final = 10


def find_reply_field_faults(
    operation: Operation, spec: ProtocolSpec, step: StepDefinition
) -> Iterator[tuple[str, str]]:
    """Say which fields are expected of the reply that no schema of it has, each with a hint.

    ``failWhen`` is about replies of any status, all else about those that are expected. What an expression guards
    itself (``default``, ``is defined``, ``'name' in body``) is left alone.
    """
    failing = [step.fail_when or ""]
    judging = [text for text in expressions_of(step) if text not in failing]
    expected = _expected(operation, step)
    told: set[str] = set()
    for texts, responses in ((judging, expected), (failing, operation.responses)):
        uris = _body_schemas(responses)
        for text in filter(None, texts):
            for path in paths_read(text):
                for fact, hint in _path_faults(path, uris, operation, spec):
                    if fact not in told:
                        told.add(fact)
                        yield fact, hint


def find_later_faults(
    step: StepDefinition, path: Sequence[str], specs: Mapping[str, ProtocolSpec]
) -> Iterator[tuple[str, str]]:
    """Say what no reply of a step of HTTP has that a later step reads; ``path`` begins with ``response``."""
    ref = step.endpoint_ref
    spec = specs.get(ref.service_name) if ref is not None and step.channel_type == ChannelType.HTTP_REST else None
    if ref is None or spec is None or not step.check_contract:
        return
    operation = spec.operation.get(ref.endpoint_name)
    if operation is not None:
        yield from _path_faults(tuple(path), _body_schemas(_expected(operation, step)), operation, spec)


def _expected(operation: Operation, step: StepDefinition) -> list[ResponseSpec]:
    """Give the replies that the step expects; what is said of all others counts where nothing is said of these."""
    expected = [one for one in operation.responses if _is_expected(one, step)]
    return [one for one in expected if one.status.upper() != _DEFAULT] or expected


def _path_faults(
    path: Path, uris: Sequence[str] | None, operation: Operation, spec: ProtocolSpec
) -> Iterator[tuple[str, str]]:
    rest = path[1:] if path[0] == "response" else path
    if rest and path[0] == "response" and rest[0] not in _RESPONSE:
        yield f"a reply has no '{rest[0]}'", suggest(str(rest[0]), _RESPONSE, f"it has {', '.join(_RESPONSE)}")
        return
    if not uris or len(rest) < 2 or rest[0] != "body":  # noqa: PLR2004  the body and something in it
        return
    missing = SchemaFields(spec.documents).find_missing(uris, rest[1:])
    if missing is None:
        return
    shown = _written(rest[: missing.depth + 2])
    name = str(rest[missing.depth + 1])
    some = ", ".join(missing.known[:_FIELDS_SHOWN]) or "none"
    yield (
        f"'{shown}' is no field of the reply of '{spec.service_name}.{operation.name}'",
        suggest(name, missing.known, f"its fields: {some}"),
    )


def expressions_of(step: StepDefinition) -> list[str]:
    """Give the expressions over a reply: conditions, rules, and what stands in exports."""
    texts = [step.until, *(rule.rule for rule in step.business_rules), step.fail_when]
    for text in step.export_as.values():
        texts += _TEMPLATE.findall(text) if "{{" in text else [text]
    return [text for text in texts if text]


@lru_cache(maxsize=4096)
def paths_read(text: str) -> tuple[Path, ...]:
    """Give the paths that an expression reads and does not guard, with the numbers of items; none if it is broken."""
    try:
        tree = parse(text)
    except TemplateSyntaxError:
        return ()
    every: list[nodes.Node] = [tree, *tree.find_all(nodes.Node)]
    within = {id(node.node) for node in every if isinstance(node, (nodes.Getattr, nodes.Getitem))}
    called = {id(node.node) for node in every if isinstance(node, nodes.Call)}
    guarded = {path for node in every if _is_guard(node) for path in _whole_paths(node, within, called)}
    asked_for = {
        node.expr.value
        for node in every
        if isinstance(node, nodes.Compare) and isinstance(node.expr, nodes.Const) and isinstance(node.expr.value, str)
    }
    return tuple(
        path
        for path in dict.fromkeys(_whole_paths(tree, within, called))
        if path and asked_for.isdisjoint(path) and not any(path[: len(guard)] == guard for guard in guarded if guard)
    )


def _is_guard(node: nodes.Node) -> bool:
    return (isinstance(node, nodes.Filter) and node.name in _GUARDING_FILTERS) or (
        isinstance(node, nodes.Test) and node.name in _GUARDING_TESTS
    )


def _whole_paths(tree: nodes.Node, within: AbstractSet[int], called: AbstractSet[int]) -> Iterator[Path]:
    """Give the paths that are read in a tree, each at its full length; the name of a method is no key."""
    for node in (tree, *tree.find_all(nodes.Node)):
        if id(node) in called and isinstance(node, nodes.Getattr):
            yield _path_of(node.node)
        elif id(node) not in within:
            yield _path_of(node)


def _path_of(node: nodes.Node | None) -> Path:
    """Give the path that a chain reads, as far as its keys are written down."""
    keys: list[str | int | None] = []
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        keys.append(_key(node))
        node = node.node
    if not isinstance(node, nodes.Name):
        return ()
    path: list[str | int] = [node.name]
    for key in reversed(keys):
        if key is None:
            break
        path.append(key)
    return tuple(path)


def _key(node: nodes.Getattr | nodes.Getitem) -> str | int | None:
    at = node.arg if isinstance(node, nodes.Getitem) else None
    if isinstance(at, nodes.Neg) and isinstance(at.node, nodes.Const) and type(at.node.value) is int:
        return -at.node.value
    return key_of(node)


def _is_expected(response: ResponseSpec, step: StepDefinition) -> bool:
    key = response.status.upper()
    if key == _DEFAULT:
        return True
    if key.endswith("XX"):
        wanted = step.expected_status_code
        several = wanted if isinstance(wanted, list) else ["2XX" if wanted is None else wanted]
        return any(str(each)[0] == key[0] for each in several)
    return key.isdecimal() and status_matches(int(key), step.expected_status_code)


def _body_schemas(responses: Sequence[ResponseSpec]) -> list[str] | None:
    """Give the schemas that bodies may have; None where a body may be anything."""
    uris: list[str] = []
    for response in responses:
        if response.status in _BODILESS:
            continue
        if not response.media_types:
            return None
        for media_type in response.media_types:
            if not _may_be_json(media_type):
                continue
            if media_type.schema is None:
                return None
            uris.append(media_type.schema.uri)
    return uris


def _may_be_json(media_type: MediaType) -> bool:
    return is_json(media_type.media_type) or essence_of(media_type.media_type) in ("*/*", "application/*")


def _written(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
