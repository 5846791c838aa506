"""An example of every field that users write, for the hints of what is wrong with it."""

from __future__ import annotations

import types
from enum import Enum
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel

__all__ = ["WRITTEN_EXAMPLES", "example_of", "file_example"]

_STEP: Final = "{endpointRef: orders.placeOrder}"
_CLEAN_UP: Final = "[{endpointRef: orders.cancelOrder}]"
_OAUTH2: Final = '{tokenUrl: "http://127.0.0.1:9000/token", clientId: tester, clientSecretRef: "env:CLIENT_SECRET"}'
_MESSAGE: Final = "{topic: payments, value: {state: PAID}}"
_DATA_SET: Final = "{name: small-order, data: {amount: 250}}"

WRITTEN_EXAMPLES: Final = {
    "Bindings.process": "order",
    "Bindings.processes": "[shared/*.bpmn]",
    "Bindings.calls": "{Ship order: inline}",
    "Bindings.specs": "{orders: orders.openapi.yaml}",
    "Bindings.coverage": "[edge]",
    "Bindings.thresholds": "{edge: 100}",
    "Bindings.loops": "{Ask again: 2}",
    "Bindings.bindings": f"{{Place order: {_STEP}}}",
    "Bindings.include": "[steps/shop.yaml]",
    "Bindings.customSteps": f"{{place: {{steps: [{_STEP}]}}}}",
    "Bindings.customAssertions": "{is_paid: {rules: [response.body.paid]}}",
    "Bindings.simulations": "{payments: {lagMs: 200}}",
    "Bindings.decisions": '{Large?: {"yes": data.amount > 100, "no": data.amount <= 100}}',
    "Bindings.sharedResources": "{stock: [Reserve stock, Count stock]}",
    "Bindings.dataSets": "[data/*.yaml]",
    "Bindings.scenarios": "[{key: large-order, dataSets: [vip]}]",
    "Bindings.tags": "[smoke]",
    "Bindings.locks": '["customer:{{data.customer}}"]',
    "Bindings.finally": _CLEAN_UP,
    "Bindings.fixtures": "[customer]",
    "Bindings.retry": "{attempts: 3, delayMs: 200}",
    "Bindings.retries": "1",
    "Bindings.mode": "RUN_ALL_STEPS",
    "Bindings.scenarioTimeoutMs": "60000",
    "ScenarioDefinition.key": "large-order",
    "ScenarioDefinition.name": "A large order is approved",
    "ScenarioDefinition.decisions": '{Large?: "yes"}',
    "ScenarioDefinition.dataSets": "[vip]",
    "ScenarioDefinition.tags": "[smoke]",
    "ScenarioDefinition.dependsOn": "[small-order]",
    "ScenarioDefinition.locks": '["customer:{{data.customer}}"]',
    "ScenarioDefinition.finally": _CLEAN_UP,
    "ScenarioDefinition.retries": "1",
    "ScenarioDefinition.scenarioTimeoutMs": "60000",
    "Dependency.scenario": "small-order",
    "StepDefinition.alias": "place",
    "StepDefinition.use": "place",
    "StepDefinition.with": '{order: "{{step.place.response.body.id}}"}',
    "StepDefinition.outcome": "normal",
    "StepDefinition.endpointRef": "orders.placeOrder",
    "StepDefinition.inputTemplate": '{body: {amount: "{{data.amount}}"}}',
    "StepDefinition.headers": '{X-Client: "{{data.client}}"}',
    "StepDefinition.topic": "orders",
    "StepDefinition.queueName": "orders",
    "StepDefinition.webhook": "/orders/paid",
    "StepDefinition.valueTemplate": '{id: "{{step.place.response.body.id}}"}',
    "StepDefinition.sql": "select state from orders where id = :id",
    "StepDefinition.parameters": '{id: "{{step.place.response.body.id}}"}',
    "StepDefinition.expectedStatusCode": "202",
    "StepDefinition.businessRules": "[response.body.total == data.total]",
    "StepDefinition.schemaRefs": '["orders#/components/schemas/Order"]',
    "StepDefinition.until": "response.body.state == 'PAID'",
    "StepDefinition.failWhen": "response.body.state == 'REJECTED'",
    "StepDefinition.timeoutMs": "10000",
    "StepDefinition.pollIntervalMs": "100",
    "StepDefinition.backoff": "{factor: 2, maxIntervalMs: 2000}",
    "StepDefinition.stableForMs": "2000",
    "StepDefinition.causedBy": "place",
    "StepDefinition.exportAs": "{order_id: response.body.id}",
    "StepDefinition.trackedSteps": "[place, pay]",
    "StepDefinition.retry": "{attempts: 3, delayMs: 200}",
    "StepDefinition.finally": _CLEAN_UP,
    "Rule.rule": "response.body.total == data.total",
    "Rule.use": "is_paid",
    "Rule.with": '{expected: "{{data.total}}"}',
    "EndpointRef.serviceName": "orders",
    "EndpointRef.endpointName": "placeOrder",
    "Retry.backoff": "{factor: 2, maxIntervalMs: 2000}",
    "Retry.on": "[TIMEOUT]",
    "CustomStep.inputs": "{order: {}}",
    "CustomStep.steps": f"[{_STEP}]",
    "CustomStep.outputs": "{id: step.place.response.body.id}",
    "CustomAssertion.inputs": "{expected: {}}",
    "CustomAssertion.rules": "[response.body.total == input.expected]",
    "StepLibrary.include": "[more-steps.yaml]",
    "StepLibrary.customSteps": f"{{place: {{steps: [{_STEP}]}}}}",
    "StepLibrary.customAssertions": "{is_paid: {rules: [response.body.paid]}}",
    "DataFile.dataSets": f"[{_DATA_SET}]",
    "DataSetDefinition.name": "small-order",
    "DataSetDefinition.data": "{amount: 250}",
    "DataSetDefinition.tags": "[smoke]",
    "Simulation.operations": "{placeOrder: {status: 202, body: {id: o1}}}",
    "Simulation.onMessage": "{topic: orders, publish: {topic: payments, value: {state: PAID}}}",
    "ReplyRule.status": "202",
    "ReplyRule.publish": _MESSAGE,
    "MessageRule.publish": _MESSAGE,
    "Environment.services": '{orders: "http://127.0.0.1:8001"}',
    "Environment.dbProfiles": '{shop: "postgresql://tester@127.0.0.1:5432/shop"}',
    "Environment.kafkaProfiles": '{main: "127.0.0.1:9092"}',
    "Environment.queueProfiles": '{main: "amqp://127.0.0.1:5672/"}',
    "Environment.connections": '{mail: "smtp://127.0.0.1:2525"}',
    "Environment.variables": "{approver: Joan}",
    "ServiceProfile.baseUrl": '"http://127.0.0.1:8001"',
    "ServiceProfile.headers": "{X-Client: pytest-orchestra}",
    "ServiceProfile.headerRefs": '{X-Api-Key: "env:API_KEY"}',
    "ServiceProfile.auth": '{bearer: "env:TOKEN"}',
    "ServiceProfile.maxConcurrency": "4",
    "ServiceProfile.simulatedPort": "8001",
    "ServiceProfile.proxy": '"http://127.0.0.1:3128"',
    "ServiceAuth.basic": '{username: tester, passwordRef: "env:PASSWORD"}',
    "ServiceAuth.oauth2": _OAUTH2,
    "ServiceAuth.apiKeyRefs": '{ApiKey: "env:API_KEY"}',
    "OAuth2Auth.scopes": "[orders.read]",
    "OAuth2Auth.parameters": "{audience: orders}",
    "DbConnectionProfile.url": '"postgresql://tester@127.0.0.1:5432/shop"',
    "SchemaRegistryProfile.url": '"http://127.0.0.1:8081"',
    "KafkaClusterProfile.bootstrapServers": '"127.0.0.1:9092"',
    "KafkaClusterProfile.schemaRegistry": '"http://127.0.0.1:8081"',
    "QueueBrokerProfile.endpoint": '"amqp://127.0.0.1:5672/"',
    "QueueBrokerProfile.exchanges": "{orders: topic}",
    "ConnectionProfile.url": '"smtp://127.0.0.1:2525"',
}
"""What people would write there, by model and field; what is missing here is made from its type."""

_FILES: Final = {
    "Bindings": f"bindings: {{Place order: {_STEP}}}",
    "StepLibrary": f"customSteps: {{place: {{steps: [{_STEP}]}}}}",
    "DataFile": f"dataSets: [{_DATA_SET}]",
    "Environment": 'local: {services: {orders: "http://127.0.0.1:8001"}}',
}

_DEEPEST: Final = 3


def example_of(model: type[BaseModel], name: str) -> str:
    """Give a field with a good value as YAML, ``retries: 1``; ``name`` is its alias or its name."""
    for field_name, field in model.model_fields.items():
        alias = field.alias or field_name
        if name in (field_name, alias):
            written = WRITTEN_EXAMPLES.get(f"{model.__name__}.{alias}")
            return f"{alias}: {written or _of_field(field_name, field, 0)}"
    raise LookupError(f"{model.__name__} has no field '{name}'")


def file_example(kind: Any) -> str | None:
    """Give the beginning of a file of this kind: a model, or a mapping or list of models; None if nobody writes it."""
    parts = [kind, *get_args(kind)]
    return next((_FILES[part.__name__] for part in parts if getattr(part, "__name__", "") in _FILES), None)


def _of_field(name: str, field: Any, depth: int) -> str:
    default = field.default
    if isinstance(default, (int, float, str)) and not isinstance(default, (bool, Enum)) and default:
        return f'"{default}"' if get_origin(field.annotation) is Literal else str(default)
    if name.endswith("_ms"):
        return "1000"
    if name.endswith(("_ref", "_refs")):
        return '"env:NAME"' if name.endswith("_ref") else '{NAME: "env:NAME"}'
    return _of_kind(field.annotation, depth)


def _of_kind(kind: Any, depth: int) -> str:
    """Make a value of a type, as YAML in flow style."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _of_kind(arguments[0], depth)
    if origin in {Union, types.UnionType}:
        return _of_kind(next(each for each in arguments if each is not type(None)), depth)
    if origin is Literal:
        return f'"{arguments[0]}"' if isinstance(arguments[0], str) else str(arguments[0]).lower()
    if origin is list:
        return f"[{_of_kind(arguments[0], depth)}]"
    if origin is dict:
        return f"{{NAME: {_of_kind(arguments[1], depth)}}}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return str(next(iter(kind)).value)
    if isinstance(kind, type) and issubclass(kind, BaseModel) and depth < _DEEPEST:
        return _of_model(kind, depth)
    return {bool: "true", int: "1", float: "0.5"}.get(kind, "text")


def _of_model(model: type[BaseModel], depth: int) -> str:
    """Give its required fields, or its first one if none is."""
    fields = {name: field for name, field in model.model_fields.items() if not field.exclude}
    wanted = [name for name, field in fields.items() if field.is_required()] or list(fields)[:1]
    shown = (
        WRITTEN_EXAMPLES.get(f"{model.__name__}.{fields[name].alias or name}")
        or _of_field(name, fields[name], depth + 1)
        for name in wanted
    )
    return "{" + ", ".join(f"{fields[n].alias or n}: {text}" for n, text in zip(wanted, shown, strict=True)) + "}"
