"""The templates and rules of one step definition, compiled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pytest_orchestra.data.expressions import Expression, compile_expression
from pytest_orchestra.data.templates import Template, compile_template
from pytest_orchestra.model.definition import Rule, StepDefinition, StepKind
from pytest_orchestra.model.json import JsonValue

__all__ = ["StepTemplates"]

_ADDRESS: Final = {
    "clusterAlias": "cluster_alias",
    "topic": "topic",
    "brokerAlias": "broker_alias",
    "queueName": "queue_name",
    "exchange": "exchange",
    "routingKey": "routing_key",
    "webhook": "webhook",
}
"""The fields that say where messages go or come from."""


@dataclass(frozen=True)
class StepTemplates:
    """What a step sends (``input``, ``headers``, ``parameters``, ``message``), where to (``address``), what it waits
    for, demands and exports.
    """

    input: Template
    headers: Template
    parameters: Template
    address: Template
    message: Template
    until: Expression | None
    fail_when: Expression | None
    rules: tuple[tuple[Rule, Expression], ...]
    exports: tuple[tuple[str, Template], ...]

    @classmethod
    def of(cls, step: StepDefinition, default_until: str | None = None) -> StepTemplates:
        """Compile them. Raises ``TemplateSyntaxError``.

        ``default_until`` is what an assertion waits for that says nothing of it.
        """
        place = step.place
        is_silent = step.kind is StepKind.ASSERTION and step.until is None and not step.business_rules
        until = default_until if is_silent else step.until

        def condition(text: str | None) -> Expression | None:
            return None if text is None else compile_expression(text, place)

        def value(text: str) -> Template:
            return compile_template(text if "{{" in text else f"{{{{ {text} }}}}", place)

        message: dict[str, JsonValue] = {}
        if step.key_expression is not None:
            message["key"] = step.key_expression if "{{" in step.key_expression else f"{{{{ {step.key_expression} }}}}"
        if step.value_template is not None:
            message["value"] = step.value_template
        named = {name: getattr(step, field) for name, field in _ADDRESS.items()}
        address: dict[str, JsonValue] = {name: text for name, text in named.items() if text is not None}

        return cls(
            input=compile_template(step.input_template, place),
            headers=compile_template(step.headers, place),
            parameters=compile_template(step.parameters, place),
            address=compile_template(address, place),
            message=compile_template(message, place),
            until=condition(until),
            fail_when=condition(step.fail_when),
            rules=tuple((rule, compile_expression(rule.rule, place)) for rule in step.business_rules),
            exports=tuple((name, value(text)) for name, text in step.export_as.items()),
        )

    @property
    def _sent(self) -> tuple[Template, ...]:
        return (self.input, self.headers, self.parameters, self.address, self.message)

    @cached_property
    def names_before_reply(self) -> frozenset[str]:
        """The dotted paths without which the step cannot be carried out, whatever the reply."""
        conditions = [condition.required_names for condition in (self.until, self.fail_when) if condition is not None]
        sent = [template.required_names for template in self._sent]
        return frozenset[str]().union(*sent, *conditions)

    @cached_property
    def names(self) -> frozenset[str]:
        """All dotted paths that must be there, those of rules and exports included."""
        judged = [expression.required_names for _, expression in self.rules]
        exported = [template.required_names for _, template in self.exports]
        return self.names_before_reply.union(*judged, *exported)

    @cached_property
    def paths(self) -> frozenset[str]:
        """All dotted paths that are read, also those that need not be there."""
        read = [part.names for part in self._sent]
        conditions = [condition.names for condition in (self.until, self.fail_when) if condition is not None]
        judged = [expression.names for _, expression in self.rules]
        exported = [template.names for _, template in self.exports]
        return frozenset[str]().union(*read, *conditions, *judged, *exported)

    @cached_property
    def steps_read(self) -> frozenset[str]:
        """The aliases of the steps without whose results the step cannot be carried out."""
        return frozenset(path.split(".")[1] for path in self.names_before_reply if path.startswith(("step.", "steps.")))
