"""Resolving an environment: what its profiles say with ``{{env.NAME}}`` filled in, and its secrets read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from pytest_orchestra.data.operators import to_text
from pytest_orchestra.data.redaction import is_sensitive_name
from pytest_orchestra.data.templates import compile_template
from pytest_orchestra.errors import SecretNotFoundError, UndefinedVariableError, VariableNotSetError
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.problem import Place

__all__ = ["ResolvedEnvironment", "resolve_environment"]

_ROOT: Final = "env"
_LARGEST_SECRET: Final = 64 * 1024
_REFERENCE_FIELD: Final = re.compile(r"\w+Refs?")
_FREE_FIELDS: Final = frozenset({"headers", "options"})
"""The fields of profiles whose keys are the user's own."""


@dataclass(frozen=True, slots=True)
class ResolvedEnvironment:
    """An environment ready for use: no templates any more, and the secrets by their references.

    ``secrets`` also holds, as ``env:NAME``, the variables that the profiles read as ``{{env.NAME}}`` and whose
    names say that they are credentials, so that they are masked like the others.
    """

    environment: Environment
    secrets: Mapping[str, Secret] = field(default_factory=dict)


def resolve_environment(
    environment: Environment, variables: Mapping[str, str], *, folder: Path | None = None
) -> ResolvedEnvironment:
    """Fill in the templates of an environment over ``env`` and read the secrets that it refers to.

    ``variables`` are the environment variables. References ``env:NAME`` are looked up there, ``file:PATH`` is read from
    that file, relative to ``folder`` (the folder of the environment's own file if absent); one line end at its end is
    no part of the secret.

    Raises ``VariableNotSetError``, ``SecretNotFoundError``, ``TemplateError``.
    """
    place = environment.place
    written = cast("dict[str, JsonValue]", environment.model_dump(mode="json", by_alias=True))
    names = {_ROOT: dict(variables)}
    rendered = {
        key: _render(entry, key, names, environment) if key != "name" else entry for key, entry in written.items()
    }
    resolved = Environment.model_validate(rendered).model_copy(update={"place": place})
    if folder is None:
        folder = Path(place.file).parent if place else Path()
    secrets = {
        reference: _read(reference, where, variables, folder, place)
        for where, reference in _references(rendered, environment.name)
    }
    for name in _credentials(written):
        if variables.get(name):
            secrets.setdefault(f"env:{name}", Secret(variables[name]))
    return ResolvedEnvironment(resolved, secrets)


def _render(value: JsonValue, where: str, names: Mapping[str, object], environment: Environment) -> JsonValue:
    """Render all texts of a value; ``where`` is how a user would name it, ``services.orders.baseUrl``.

    Only variables take other types than text.
    """
    if isinstance(value, Mapping):
        return {key: _render(entry, f"{where}.{key}", names, environment) for key, entry in value.items()}
    if isinstance(value, list):
        return [_render(entry, f"{where}[{index}]", names, environment) for index, entry in enumerate(value)]
    if not isinstance(value, str):
        return value
    try:
        rendered = compile_template(value, environment.place).render(names)
        return rendered if where.startswith("variables.") else to_text(rendered)
    except UndefinedVariableError as error:
        missing = _missing_variable(value, names, environment.place)
        if missing is None:
            raise
        raise VariableNotSetError(
            f"'{where}' of environment '{environment.name}' needs the environment variable '{missing}': it is not set",
            place=error.place,
            hint=f"set {missing}, or give a default: {{{{env.{missing}|default('...')}}}}",
        ) from None


def _missing_variable(text: str, names: Mapping[str, object], place: Place | None) -> str | None:
    known = cast("Mapping[str, str]", names[_ROOT])
    read = (path.split(".") for path in sorted(compile_template(text, place).required_names))
    return next((path[1] for path in read if path[0] == _ROOT and len(path) > 1 and path[1] not in known), None)


def _references(profiles: Mapping[str, Any], name: str) -> Iterator[tuple[str, str]]:
    """Give the references of secrets, each with the place of its field in the file."""
    for group, kinds in profiles.items():
        if group in ("name", "variables"):
            continue
        for alias, profile in kinds.items():
            for where, reference in _references_in(profile, f"{group}.{alias}"):
                yield f"'{where}' of environment '{name}'", reference


def _references_in(profile: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    for key, value in profile.items():
        if value and _REFERENCE_FIELD.fullmatch(key):
            if isinstance(value, Mapping):
                yield from ((f"{where}.{key}.{part}", reference) for part, reference in value.items())
            else:
                yield f"{where}.{key}", value
        elif isinstance(value, Mapping) and key not in _FREE_FIELDS:
            yield from _references_in(value, f"{where}.{key}")


def _read(reference: str, where: str, variables: Mapping[str, str], folder: Path, place: Place | None) -> Secret:
    kind, _, target = reference.partition(":")
    if kind == "env" and target:
        text, hint = variables.get(target), f"set the environment variable {target}"
        reason = "the environment variable is not set"
    elif kind == "file" and target:
        text, reason = _read_file(folder / Path(target).expanduser())
        hint = "write the secret to that file, or refer to another one"
    else:
        text, reason, hint = None, "it is no reference", "write 'env:NAME' or 'file:PATH'"
    if text == "":
        text, reason = None, "it is empty"
    if text is None:
        raise SecretNotFoundError(f"{where} needs the secret '{reference}': {reason}", place=place, hint=hint)
    return Secret(text)


def _read_file(path: Path) -> tuple[str | None, str]:
    """Give the text of a secret's file, or why there is none."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_SECRET + 1)
    except OSError as error:
        return None, f"the file cannot be read: {(error.strerror or 'unknown error').lower()}"
    if len(content) > _LARGEST_SECRET:
        return None, f"the file is larger than {_LARGEST_SECRET} bytes"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None, "the file is not text in UTF-8"
    return text.removesuffix("\n").removesuffix("\r"), ""


def _credentials(written: JsonValue) -> frozenset[str]:
    """Give the variables that are read as ``{{env.NAME}}`` and whose names say that they are credentials."""
    paths = (path.split(".") for path in compile_template(written).names)
    return frozenset(path[1] for path in paths if path[0] == _ROOT and len(path) > 1 and is_sensitive_name(path[1]))
