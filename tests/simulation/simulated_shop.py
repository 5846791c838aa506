"""A specification of payments, and services that are simulated after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_orchestra.model.simulation import Simulation
from pytest_orchestra.readers.openapi import read_openapi
from pytest_orchestra.session.simulation import SpecificationContract
from pytest_orchestra.simulation.distortion import Distortion
from pytest_orchestra.simulation.participant import Participant
from pytest_orchestra.simulation.service import SimulatedService

PAYMENT = {
    "type": "object",
    "required": ["id", "amount", "state"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "amount": {"type": "number", "minimum": 0},
        "state": {"enum": ["CHARGED", "REFUSED"]},
        "final": {"type": "boolean"},
    },
}

SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "payments", "version": "1"},
    "paths": {
        "/payments": {
            "post": {
                "operationId": "charge",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["amount"],
                                "properties": {"amount": {"type": "number"}, "callbackUrl": {"type": "string"}},
                            }
                        }
                    },
                },
                "responses": {
                    "202": {"description": "later"},
                    "201": {
                        "description": "charged",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}},
                    },
                    "402": {
                        "description": "refused",
                        "content": {"application/problem+json": {"schema": {"type": "object"}}},
                    },
                },
                "callbacks": {
                    "settled": {
                        "{$request.body#/callbackUrl}": {
                            "post": {
                                "requestBody": {
                                    "required": True,
                                    "content": {
                                        "application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}
                                    },
                                },
                                "responses": {"204": {"description": "thanks"}},
                            }
                        }
                    }
                },
            }
        },
        "/payments/{id}": {
            "get": {
                "operationId": "getPayment",
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "depth", "in": "query", "schema": {"type": "integer", "maximum": 3}},
                    {"name": "X-Tenant", "in": "header", "schema": {"enum": ["a", "b"]}},
                ],
                "responses": {
                    "200": {
                        "description": "a payment",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}},
                    }
                },
            }
        },
        "/payments/latest": {
            "get": {
                "operationId": "getLatest",
                "responses": {
                    "200": {
                        "description": "the latest",
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/Payment"},
                                "example": {"id": "p-9", "amount": 12.5, "state": "REFUSED"},
                            }
                        },
                    }
                },
            }
        },
    },
    "webhooks": {
        "refunded": {
            "post": {
                "operationId": "onRefunded",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}},
                },
                "responses": {"204": {"description": "thanks"}},
            }
        }
    },
    "components": {"schemas": {"Payment": PAYMENT}},
}

BPMN = (
    "<definitions xmlns='http://www.omg.org/spec/BPMN/20100524/MODEL' id='d' targetNamespace='urn:test'>"
    "<process id='pay'><startEvent id='start'/><task id='charge' name='Charge'/><task id='settled' name='Settled'/>"
    "<task id='look' name='Look'/><endEvent id='end'/>"
    "<sequenceFlow id='a' sourceRef='start' targetRef='charge'/>"
    "<sequenceFlow id='b' sourceRef='charge' targetRef='settled'/>"
    "<sequenceFlow id='c' sourceRef='settled' targetRef='look'/>"
    "<sequenceFlow id='d' sourceRef='look' targetRef='end'/></process></definitions>"
)

SIDECAR = {
    "specs": {"payments": "payments.json"},
    "pollIntervalMs": 20,
    "simulations": {
        "payments": {
            "lagMs": 5,
            "operations": {
                "charge": {
                    "remember": {"paid": "{{request.body.amount}}"},
                    "body": {"id": "p-1", "amount": "{{state.paid}}", "state": "CHARGED"},
                    "call": {
                        "url": "{{request.body.callbackUrl}}",
                        "body": {"id": "p-1", "amount": "{{state.paid}}", "state": "CHARGED"},
                    },
                },
                "getPayment": {
                    "body": {"id": "{{request.path.id}}", "amount": "{{state.paid}}", "state": "CHARGED"},
                },
            },
        }
    },
    "bindings": {
        "Charge": {
            "alias": "charge",
            "endpointRef": "payments.charge",
            "inputTemplate": {
                "body": {"amount": "{{data.amount}}", "callbackUrl": "{{environment.callbackUrl}}/settled"}
            },
            "expectedStatusCode": 201,
        },
        "Settled": {
            "alias": "settled",
            "webhook": "/settled",
            "endpointRef": "payments.settled",
            "valueTemplate": {"amount": "{{data.amount}}"},
            "timeoutMs": 5000,
        },
        "Look": {
            "alias": "look",
            "kind": "ASSERTION",
            "endpointRef": "payments.getPayment",
            "inputTemplate": {"path": {"id": "p-1"}},
            "businessRules": ["response.body.amount == data.amount"],
            "timeoutMs": 2000,
        },
    },
}


def write_project(folder: Path, sidecar: Mapping[str, Any] = SIDECAR, bpmn: str = BPMN) -> Path:
    """Write the process with its sidecar and specification; give its file."""
    (folder / "pay.bpmn").write_text(bpmn)
    (folder / "payments.json").write_text(json.dumps(SPEC))
    (folder / "pay.orchestra.yaml").write_text(json.dumps(sidecar))
    return folder / "pay.bpmn"


def read_spec(folder: Path) -> Any:
    """Give the specification as the plugin reads it."""
    path = folder / "payments.json"
    path.write_text(json.dumps(SPEC), encoding="utf-8")
    return read_openapi(path, "payments")


def make_service(
    folder: Path, simulation: Mapping[str, Any] | None = None, *, distort: str = "", **options: Any
) -> SimulatedService:
    """Give simulated payments that behave so."""
    participant = Participant(
        "payments",
        Simulation.model_validate(simulation or {}),
        distortion=Distortion.read(distort) if distort else None,
    )
    return SimulatedService(participant, read_spec(folder), SpecificationContract(), **options)
