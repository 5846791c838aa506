"""References within and between the files of a specification."""

from __future__ import annotations

from pathlib import Path

import jsonschema_rs
import pytest

from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.openapi import read_openapi


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def read(root: str, service: str = "s", **files: str) -> ProtocolSpec:
        for name, text in {"root.yaml": root, **files}.items():
            path = Path(name.replace("__", "/").replace("_", "."))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return read_openapi(Path("root.yaml"), service)

    return read


def is_valid(spec: ProtocolSpec, uri: str, value: object) -> bool:
    registry = jsonschema_rs.Registry(list(spec.documents.items()), draft=jsonschema_rs.Draft202012)
    return jsonschema_rs.validator_for({"$ref": uri}, registry=registry, offline=True).is_valid(value)


def schema_of(spec: ProtocolSpec, operation: str = "GET /a") -> str:
    return spec.operation[operation].responses[0].media_types[0].schema.uri


def root(schema: str, version: str = "3.1.0", more: str = "") -> str:
    return (
        f"openapi: {version}\n"
        "paths:\n"
        "  /a:\n"
        "    get:\n"
        "      responses:\n"
        "        200:\n"
        "          content:\n"
        "            application/json:\n"
        f"              schema: {schema}\n{more}"
    )


def test_circular_schemas_are_read(read):
    """A schema may contain itself, by itself or by another."""
    more = (
        "components:\n  schemas:\n"
        "    Node: {type: object, properties: {next: {$ref: '#/components/schemas/Link'}}}\n"
        "    Link: {properties: {node: {$ref: '#/components/schemas/Node'}}}\n"
    )
    spec = read(root("{$ref: '#/components/schemas/Node'}", more=more))
    assert schema_of(spec) == "urn:s#/components/schemas/Node"
    assert is_valid(spec, schema_of(spec), {"next": {"node": {"next": {}}}})
    assert not is_valid(spec, schema_of(spec), {"next": {"node": 3}})


def test_schemas_in_other_files_are_reached(read):
    """Files refer to each other, in YAML and JSON, in other folders, as a whole and in part."""
    spec = read(
        root("{$ref: 'schemas/order.yaml#/Order'}"),
        schemas__order_yaml=(
            "Order: {type: object, properties: {item: {$ref: '../common/item.json'}, self: {$ref: '#/Order'}}}\n"
        ),
        common__item_json='{"type": "object", "properties": {"back": {"$ref": "../root.yaml#/components/schemas/Id"}}}',
        root_yaml=root("{$ref: 'schemas/order.yaml#/Order'}", more="components: {schemas: {Id: {type: integer}}}\n"),
    )
    assert spec.problems == ()
    assert list(spec.documents) == ["urn:s", "urn:s:schemas%2Forder.yaml", "urn:s:common%2Fitem.json"]
    assert schema_of(spec) == "urn:s:schemas%2Forder.yaml#/Order"
    assert is_valid(spec, schema_of(spec), {"item": {"back": 1}, "self": {"item": {"back": 2}}})
    assert not is_valid(spec, schema_of(spec), {"self": {"item": {"back": "x"}}})


def test_file_beside_the_roots_folder_is_reached(read, tmp_path):
    """A path may lead out of the folder, and the address has no dots that a resolver would remove."""
    (tmp_path / "api").mkdir()
    (tmp_path / "shared.yaml").write_text("Id: {type: integer}\n", encoding="utf-8")
    (tmp_path / "api" / "root.yaml").write_text(root("{$ref: '../shared.yaml#/Id'}"), encoding="utf-8")
    spec = read_openapi(tmp_path / "api" / "root.yaml", "s")
    assert schema_of(spec) == "urn:s:..%2Fshared.yaml#/Id"
    assert is_valid(spec, schema_of(spec), 3)
    assert not is_valid(spec, schema_of(spec), "x")


def test_objects_of_all_kinds_are_found_by_reference(read):
    """Path items, parameters, bodies, responses, headers and media types may stand in other files."""
    spec = read(
        "openapi: 3.1.0\n"
        "paths:\n"
        "  /a:\n"
        "    $ref: 'paths.yaml#/a'\n"
        "    parameters: [{name: own, in: query, schema: {type: string}}]\n"
        "    put: {summary: ours}\n",
        paths_yaml=(
            "a:\n"
            "  parameters: [{$ref: 'parts.yaml#/components/parameters/Page'}]\n"
            "  put: {summary: theirs}\n"
            "  get:\n"
            "    requestBody: {$ref: 'parts.yaml#/components/requestBodies/Body'}\n"
            "    responses: {200: {$ref: 'parts.yaml#/components/responses/Ok'}}\n"
        ),
        parts_yaml=(
            "openapi: 3.0.0\n"
            "components:\n"
            "  parameters: {Page: {name: page, in: query, schema: {type: integer, nullable: true}}}\n"
            "  requestBodies: {Body: {required: true, content: {application/json: {schema: {type: string}}}}}\n"
            "  responses:\n"
            "    Ok:\n"
            "      description: fine\n"
            "      headers: {X: {$ref: '#/components/headers/X'}}\n"
            "      content: {application/json: {schema: {$ref: '#/components/schemas/S'}}}\n"
            "  headers: {X: {required: true, schema: {type: string}}}\n"
            "  schemas: {S: {type: boolean}}\n"
        ),
    )
    assert spec.problems == ()
    assert spec.operation["PUT /a"].summary == "ours"
    get = spec.operation["GET /a"]
    assert get.place == Place("paths.yaml", 4, 3)
    assert [parameter.name for parameter in get.parameters] == ["page", "own"]
    assert is_valid(spec, get.parameters[0].schema.uri, None)
    assert get.request_required
    assert get.request_bodies[0].schema.uri == (
        "urn:s:parts.yaml#/components/requestBodies/Body/content/application~1json/schema"
    )
    assert get.responses[0].headers[0].required
    assert get.responses[0].media_types[0].schema.uri == "urn:s:parts.yaml#/components/schemas/S"


def test_names_with_special_characters_are_addressed(read):
    """Slashes, tildes, braces, spaces and umlauts in names and service are encoded."""
    more = "components:\n  schemas:\n    'a/b~c {d} ü%': {type: integer}\n"
    spec = read(root("{$ref: '#/components/schemas/a~1b~0c%20{d}%20ü%25'}", more=more), service="my services/ü")
    assert spec.problems == ()
    assert schema_of(spec) == "urn:my%20services%2F%C3%BC#/components/schemas/a~1b~0c%20%7Bd%7D%20%C3%BC%25"
    assert is_valid(spec, schema_of(spec), 1)
    assert not is_valid(spec, schema_of(spec), "x")


def test_anchor_and_id_are_resolved(read):
    """A fragment may be an anchor, an address may be a schema's $id, and a pointer may begin at that."""
    more = (
        "components:\n  schemas:\n"
        "    A: {$anchor: number, type: integer}\n"
        "    B: {$id: 'https://example.com/b', $defs: {c: {type: boolean}}, properties: {c: {$ref: '#/$defs/c'}}}\n"
        "    D: {$dynamicAnchor: node, properties: {d: {$dynamicRef: '#node'}, n: {type: integer}}}\n"
    )
    spec = read(
        root("{properties: {a: {$ref: '#number'}, b: {$ref: 'https://example.com/b'}, d: {$ref: '#node'}}}", more=more)
    )
    assert spec.problems == ()
    for value, expected in (
        ({"a": 1, "b": {"c": True}, "d": {"d": {"n": 1}}}, True),
        ({"a": "x"}, False),
        ({"b": {"c": 1}}, False),
        ({"d": {"d": {"n": "x"}}}, False),
    ):
        assert is_valid(spec, schema_of(spec), value) is expected


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (
            "{$ref: 'none.yaml#/X'}",
            "root.yaml:9:30: '$ref' leads to 'none.yaml', and there is no such file\nhint: check the path",
        ),
        ("{$ref: 'folder'}", "root.yaml:9:30: '$ref' leads to 'folder', which is not a file\nhint: check the path"),
        (
            "{$ref: '#/components/schemas/Ordr'}",
            (
                "root.yaml:9:30: '$ref' leads to '#/components/schemas/Ordr', which is not there\n"
                "hint: did you mean 'Order'?"
            ),
        ),
        ("{$ref: '#nothing'}", "root.yaml:9:30: '$ref' leads to '#nothing', which is not there"),
        (
            "{$ref: 'https://example.com/x.json#/X'}",
            (
                "root.yaml:9:30: '$ref' leads to 'https://example.com/x.json', which is not fetched\n"
                "hint: save it beside the specification, and refer to the copy"
            ),
        ),
        (
            "{$ref: '//example.com/x.json'}",
            (
                "root.yaml:9:30: '$ref' leads to '//example.com/x.json', which is not fetched\n"
                "hint: save it beside the specification, and refer to the copy"
            ),
        ),
        ("{$ref: 3}", "root.yaml:9:30: '$ref' takes a text; it is ignored"),
        ("{$ref: '#/info'}", "root.yaml:9:30: '$ref' leads to something that is no schema"),
        ("{$ref: '#/paths'}", None),
        ("{$ref: '#/components/parameters/P'}", "root.yaml:9:30: '$ref' leads to something that is no schema"),
    ],
)
def test_reference_that_leads_nowhere_is_a_warning_and_restricts_nothing(read, tmp_path, schema, told):
    """The place is that of the reference, and the contract goes without it: nothing is fetched."""
    (tmp_path / "folder").mkdir()
    more = (
        "info: text\n"
        "components:\n  schemas: {Order: {type: integer}}\n"
        "  parameters: {P: {name: p, in: query, required: true, schema: {}}}\n"
    )
    spec = read(root(schema, more=more))
    assert [str(problem) for problem in spec.problems] == ([told] if told else [])
    assert is_valid(spec, schema_of(spec), {"anything": 1})


def test_malformed_referred_file_is_told_with_both_places(read):
    """The warning says where the file is wrong, and who needs it."""
    spec = read(root("{$ref: 'bad.yaml#/X'}"), bad_yaml="X: [\n")
    assert [str(problem) for problem in spec.problems] == [
        "bad.yaml:2:1: malformed YAML: did not find expected node content",
        "root.yaml:9:30: '$ref' leads to 'bad.yaml', which cannot be read\nhint: check the path",
    ]


def test_response_that_refers_to_itself_is_a_warning(read):
    """A circle of references has no end."""
    spec = read(
        "openapi: 3.0.0\npaths: {/a: {get: {responses: {200: {$ref: '#/components/responses/A'}}}}}\n"
        "components:\n  responses:\n"
        "    A: {$ref: '#/components/responses/B'}\n    B: {$ref: '#/components/responses/A'}\n"
    )
    assert spec.operation["GET /a"].responses == ()
    assert {str(problem) for problem in spec.problems} == {
        "root.yaml:5:15: '$ref' leads back to itself",
        "root.yaml:6:15: '$ref' leads back to itself",
    }


def test_reference_of_a_response_that_is_no_text_is_a_warning(read):
    """The response is left out, the operation stays."""
    spec = read("openapi: 3.0.0\npaths: {/a: {get: {responses: {200: {$ref: 3}}}}}\n")
    assert spec.operation["GET /a"].responses == ()
    assert [str(problem) for problem in spec.problems] == ["root.yaml:2:44: '$ref' takes a text"]


def test_schema_that_is_nothing_but_a_circle_restricts_nothing(read):
    """A validator can be built even so."""
    more = "components:\n  schemas:\n    A: {$ref: '#/components/schemas/B'}\n    B: {$ref: '#/components/schemas/A'}\n"
    spec = read(root("{$ref: '#/components/schemas/A'}", more=more))
    assert is_valid(spec, schema_of(spec), 1)


def test_version_covers_referred_files(read):
    """A change in any file is a new version."""
    versions = {read(root("{$ref: 'x.yaml'}"), x_yaml=text).version for text in ("type: string\n", "type: integer\n")}
    assert len(versions) == 2


def test_values_shared_by_an_anchor_of_yaml_are_translated_once_each(read):
    """An alias is a copy, not the same object."""
    text = root("{properties: {a: &n {type: integer, minimum: 1, exclusiveMinimum: true}, b: *n}}", version="3.0.0")
    spec = read(text)
    assert spec.problems == ()
    for name in "ab":
        assert is_valid(spec, schema_of(spec), {name: 2})
        assert not is_valid(spec, schema_of(spec), {name: 1})
