"""Custom steps and assertions: where a sidecar uses them, the steps and rules that they are made of take their place.

All that follows, plans, checks, reports, sees plain steps only.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jinja2 import nodes

from pytest_orchestra.data.rewriting import Replace, expression_of, path_node, rewrite_expression, rewrite_template
from pytest_orchestra.errors import TemplateSyntaxError
from pytest_orchestra.model.definition import (
    Bindings,
    CustomAssertion,
    CustomStep,
    InputDefinition,
    Rule,
    StepDefinition,
    StepLibrary,
)
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["expand_custom_steps"]

_TEMPLATES: Final = (
    *("input_template", "headers", "parameters", "value_template", "arguments"),
    *("cluster_alias", "topic", "broker_alias", "queue_name", "exchange", "routing_key", "webhook"),
)
"""The fields of a step that are templates."""

_EXPRESSIONS: Final = ("until", "fail_when", "correlation_id_expr")
_EITHER: Final = "key_expression"
"""The field that is an expression, unless braces make it a template."""


def expand_custom_steps(bindings: Bindings, libraries: Sequence[StepLibrary]) -> tuple[Bindings, tuple[Problem, ...]]:
    """Give the sidecar with plain steps and rules only, and what is wrong with how it uses custom ones.

    ``libraries`` are the files that it includes. What cannot be expanded is left out.
    """
    if not (bindings.include or bindings.custom_steps or bindings.custom_assertions or _uses_any(bindings)):
        return bindings, ()
    expansion = _Expansion(bindings.place or Place(""))
    expansion.learn(bindings.custom_steps, bindings.custom_assertions)
    for library in libraries:
        expansion.learn(library.custom_steps, library.custom_assertions, library.place)
    elements = {name: expansion.steps(steps, name) for name, steps in bindings.bindings.items()}
    scenarios = [
        each.model_copy(update={"clean_up": expansion.steps(each.clean_up, each.key)}) for each in bindings.scenarios
    ]
    expanded = bindings.model_copy(
        update={
            "bindings": {name: [expansion.with_outputs(step) for step in steps] for name, steps in elements.items()},
            "clean_up": [expansion.with_outputs(step) for step in expansion.steps(bindings.clean_up, "finally")],
            "scenarios": [
                each.model_copy(update={"clean_up": [expansion.with_outputs(step) for step in each.clean_up]})
                for each in scenarios
            ],
        }
    )
    return expanded, tuple(dict.fromkeys(expansion.problems))


def _uses_any(bindings: Bindings) -> bool:
    def uses(steps: Iterable[StepDefinition]) -> bool:
        return any(step.use or uses(step.clean_up) or any(rule.use for rule in step.business_rules) for step in steps)

    lists = (*bindings.bindings.values(), bindings.clean_up, *(each.clean_up for each in bindings.scenarios))
    return any(map(uses, lists))


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the names inside of a custom step mean: its inputs, and its own steps by their aliases."""

    inputs: Mapping[str, nodes.Expr]
    aliases: Mapping[str, str]

    def __call__(self, path: tuple[str, ...]) -> nodes.Expr | None:
        match path:
            case ("input", name):
                return self.inputs.get(name)
            case (("step" | "steps") as root, alias) if alias in self.aliases:
                return path_node(root, self.aliases[alias])
        return None


@dataclass
class _Expansion:
    """One sidecar's expansion, with what has been found on the way."""

    home: Place
    problems: list[Problem] = field(default_factory=list)
    _steps: dict[str, CustomStep] = field(default_factory=dict)
    _assertions: dict[str, CustomAssertion] = field(default_factory=dict)
    _outputs: dict[tuple[str, str], nodes.Expr] = field(default_factory=dict)
    _under_way: list[str] = field(default_factory=list)
    _at: Place | None = None

    def learn(
        self,
        steps: Mapping[str, CustomStep],
        assertions: Mapping[str, CustomAssertion],
        place: Place | None = None,
    ) -> None:
        """Add custom steps and assertions; a name that is known already is a problem."""
        repeated = [f"step '{name}'" for name in steps if name in self._steps]
        repeated += [f"assertion '{name}'" for name in assertions if name in self._assertions]
        for each in repeated:
            self._tell(place, f"custom {each} is defined more than once", "give one of them another name")
        self._steps = {**steps, **self._steps}
        self._assertions = {**assertions, **self._assertions}

    def steps(self, steps: Sequence[StepDefinition], owner: str) -> list[StepDefinition]:
        """Give plain steps for those of an element (or of what else is called ``owner``)."""
        return [plain for step in steps for plain in self._plain(step, owner)]

    def with_outputs(self, step: StepDefinition) -> StepDefinition:
        """Give the step with what the outputs of custom steps stand for."""
        self._at = step.place
        return self._rewritten(step, self._output) if self._outputs else step

    def _output(self, path: tuple[str, ...]) -> nodes.Expr | None:
        match path:
            case ("step" | "steps", alias, "outputs", name):
                found = self._outputs.get((alias, name))
                owned = [output for owner, output in self._outputs if owner == alias]
                if found is None and owned:
                    self._tell(None, f"step '{alias}' has no output '{name}'", _nearest(name, owned))
                return found
        return None

    def _plain(self, step: StepDefinition, owner: str) -> Iterator[StepDefinition]:
        step = step.model_copy(
            update={"clean_up": self.steps(step.clean_up, owner), "business_rules": self._rules(step)}
        )
        if step.use is None:
            yield step
            return
        custom = self._steps.get(step.use)
        if custom is None:
            hint = _nearest(step.use, self._steps) or "define it in 'customSteps', or include the file that does"
            self._tell(step.place, f"unknown custom step '{step.use}'", hint)
        elif step.use in self._under_way:
            way = " uses ".join(f"'{name}'" for name in (*self._under_way, step.use))
            self._tell(step.place, f"custom steps use each other in a circle: {way}", "break the circle")
        else:
            self._under_way.append(step.use)
            yield from self._expand(step, custom, owner)
            self._under_way.pop()

    def _expand(self, step: StepDefinition, custom: CustomStep, owner: str) -> Iterator[StepDefinition]:
        assert step.use is not None
        alias = step.alias or step.use
        inputs = self._inputs(step.arguments, custom.inputs, f"custom step '{step.use}'", step.place)
        named = [
            inner if inner.alias else inner.model_copy(update={"alias": f"step_{n}"})
            for n, inner in enumerate(custom.steps, 1)
        ]
        for inner in named:
            if inner.outcome is not None:
                fact = f"a step of custom step '{step.use}' has an 'outcome'"
                self._tell(inner.place or step.place, fact, "give it to the step that uses the custom one")
        scope = _Scope(inputs, {own: f"{alias}_{own}" for own in _aliases(named)})
        made = [self._rewritten(inner, self._known(scope, custom.inputs, step.use), scope.aliases) for inner in named]
        expanded = self.steps([inner.model_copy(update={"outcome": step.outcome}) for inner in made], owner)
        if expanded and step.clean_up:
            last = expanded[-1]
            expanded[-1] = last.model_copy(update={"clean_up": [*last.clean_up, *step.clean_up]})
        for name, text in custom.outputs.items():
            with self._collecting(step.place):
                rewritten = rewrite_expression(text, self._known(scope, custom.inputs, step.use), step.place)
                whole = rewrite_expression(rewritten, self._output, step.place)
                self._outputs[alias, name] = expression_of(f"{{{{ {whole} }}}}")
        yield from expanded

    def _rules(self, step: StepDefinition) -> list[Rule]:
        return [plain for rule in step.business_rules for plain in self._plain_rules(rule, step.place)]

    def _plain_rules(self, rule: Rule, place: Place | None) -> Iterator[Rule]:
        if rule.use is None:
            yield rule
            return
        custom = self._assertions.get(rule.use)
        if custom is None:
            hint = (
                _nearest(rule.use, self._assertions) or "define it in 'customAssertions', or include the file that does"
            )
            self._tell(place, f"unknown custom assertion '{rule.use}'", hint)
            return
        inputs = self._inputs(rule.arguments, custom.inputs, f"custom assertion '{rule.use}'", place)
        replace = self._known(_Scope(inputs, {}), custom.inputs, rule.use)
        for each in custom.rules:
            if each.use is not None:
                self._tell(place, f"custom assertion '{rule.use}' uses another one", "write its rules out")
                continue
            with self._collecting(place):
                text = rewrite_expression(each.rule, replace, place)
                yield Rule(rule=text, name=rule.name or each.name)

    def _inputs(
        self, given: Mapping[str, JsonValue], known: Mapping[str, InputDefinition], owner: str, place: Place | None
    ) -> dict[str, nodes.Expr]:
        """Give the expressions of all inputs; what is missing or unknown is a problem."""
        for name in given:
            if name not in known:
                self._tell(place, f"{owner} has no input '{name}'", _nearest(name, known))
        found: dict[str, nodes.Expr] = {}
        for name, definition in known.items():
            if name not in given and definition.required:
                self._tell(place, f"{owner} needs input '{name}'", f"give it: 'with: {{{name}: ...}}'")
            with self._collecting(place):
                found[name] = expression_of(given.get(name, definition.default), place)
        return found

    def _known(self, scope: _Scope, inputs: Mapping[str, InputDefinition], owner: str) -> Replace:
        """Give the scope as what is asked for paths, which tells of inputs that nobody declared."""

        def replace(path: tuple[str, ...]) -> nodes.Expr | None:
            match path:
                case ("input", name) if name not in inputs:
                    fact = f"'{owner}' reads an input '{name}' that it does not declare"
                    self._tell(None, fact, _nearest(name, inputs))
            return scope(path)

        return replace

    def _rewritten(
        self, step: StepDefinition, replace: Replace, aliases: Mapping[str, str] | None = None
    ) -> StepDefinition:
        aliases, place = aliases or {}, step.place
        changes: dict[str, Any] = {}
        with self._collecting(place):
            for name in _TEMPLATES:
                changes[name] = rewrite_template(getattr(step, name), replace, place)
            for name in _EXPRESSIONS:
                text = getattr(step, name)
                changes[name] = text and rewrite_expression(text, replace, place)
            changes[_EITHER] = step.key_expression and _rewrite_either(step.key_expression, replace, place)
            changes["export_as"] = {
                name: _rewrite_either(text, replace, place) for name, text in step.export_as.items()
            }
            changes["business_rules"] = [
                rule.model_copy(
                    update={
                        "rule": rule.rule and rewrite_expression(rule.rule, replace, place),
                        "arguments": rewrite_template(rule.arguments, replace, place),
                    }
                )
                for rule in step.business_rules
            ]
        changes["alias"] = aliases.get(step.alias or "", step.alias)
        changes["caused_by"] = aliases.get(step.caused_by or "", step.caused_by)
        changes["tracked_steps"] = [aliases.get(alias, alias) for alias in step.tracked_steps]
        changes["clean_up"] = [self._rewritten(inner, replace, aliases) for inner in step.clean_up]
        return step.model_copy(update=changes)

    def _collecting(self, place: Place | None) -> _Collecting:
        return _Collecting(lambda error: self._tell(error.place or place, error.fact, error.hint))

    def _tell(self, place: Place | None, fact: str, hint: str | None) -> None:
        self.problems.append(Problem(Severity.ERROR, place or self._at or self.home, fact, hint))


@dataclass(frozen=True, slots=True)
class _Collecting:
    """Turns an expression that cannot be read into a problem."""

    tell: Callable[[TemplateSyntaxError], None]

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, TemplateSyntaxError):
            self.tell(error)
            return True
        return False


def _aliases(steps: Iterable[StepDefinition]) -> Iterator[str]:
    for step in steps:
        if step.alias:
            yield step.alias
        yield from _aliases(step.clean_up)


def _rewrite_either(text: str, replace: Replace, place: Place | None) -> str:
    if "{{" in text:
        return str(rewrite_template(text, replace, place))
    return rewrite_expression(text, replace, place)


def _nearest(name: str, known: Iterable[str]) -> str | None:
    names = list(known)
    found = difflib.get_close_matches(name, names, 1)
    if found:
        return f"did you mean '{found[0]}'?"
    return f"known: {', '.join(names)}" if names else None
