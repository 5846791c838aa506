"""Real OpenAPI documents."""

from __future__ import annotations

from pathlib import Path

import jsonschema_rs
import pytest

from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.readers.openapi import read_openapi

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "openapi"
DOCUMENTS = {
    "OAI+OpenAPI-Specification/callback-example.yaml": (1, 1, ()),
    "OAI+OpenAPI-Specification/link-example.yaml": (6, 1, ()),
    "OAI+OpenAPI-Specification/uspto.yaml": (3, 1, ()),
    "kubeshop+tracetest/api/openapi.yaml": (103, 30, ("unknown type 'date'",)),
    "mef-dev+bpmn-examples/TMF622-ProductOrdering-v5.0.0.oas.yaml": (
        25,
        1,
        ("'type' beside '$ref' does not count before OpenAPI 3.1",) * 9,
    ),
    "mef-dev+bpmn-examples/tmf622_product.ordering.cancelproductorder.json": (0, 1, ()),
    "mef-dev+bpmn-examples/tmf677_usageconsumption.json": (1, 1, ()),
    "microcks+microcks/Petstore-webhooks-openapi.yaml": (0, 1, ()),
    "microcks+microcks/cars-openapi-3.1-complete.yaml": (4, 1, ()),
    "onap+so/swagger.json": (71, 1, ("unknown type 'C'",)),
    "schemathesis+schemathesis/discourse.local/latest.json": (84, 1, ()),
    "schemathesis+schemathesis/stateful_users.yaml": (10, 1, ()),
}
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of OpenAPI documents is not here")


def schemas_of(spec: ProtocolSpec) -> list[str]:
    found = []
    for operation in spec.operations:
        bodies = [*operation.request_bodies, *(m for r in operation.responses for m in r.media_types)]
        headers = [header for response in operation.responses for header in response.headers]
        found += [part.schema.uri for part in (*operation.parameters, *bodies, *headers) if part.schema is not None]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_real_document_is_read_and_all_its_schemas_can_be_built(name):
    """Operations, files and warnings are as counted by hand; no schema of an operation is beyond the validator."""
    operations, files, messages = DOCUMENTS[name]
    spec = read_openapi(CORPUS / name, "service")
    assert (len(spec.operations), len(spec.documents)) == (operations, files)
    assert tuple(problem.message for problem in spec.problems) == messages
    assert all(problem.place.line for problem in spec.problems)
    assert all(operation.place.line for operation in spec.operations)
    registry = jsonschema_rs.Registry(list(spec.documents.items()), draft=jsonschema_rs.Draft202012)
    for uri in schemas_of(spec):
        jsonschema_rs.validator_for({"$ref": uri}, registry=registry, offline=True)


def test_real_examples_satisfy_their_schemas():
    """The examples in a real specification are valid under the translated schemas, and their opposite is not."""
    spec = read_openapi(CORPUS / "OAI+OpenAPI-Specification/uspto.yaml", "uspto")
    (body,) = spec.operation["list-data-sets"].responses[0].media_types
    registry = jsonschema_rs.Registry(list(spec.documents.items()), draft=jsonschema_rs.Draft202012)
    validator = jsonschema_rs.validator_for({"$ref": body.schema.uri}, registry=registry, offline=True)
    (example,) = body.examples
    assert validator.is_valid(example)
    assert not validator.is_valid({**example, "total": "many"})
