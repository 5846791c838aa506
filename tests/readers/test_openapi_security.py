"""Security schemes and requirements of specifications."""

from __future__ import annotations

import json

from pytest_orchestra.model.specification import SecurityNeed, SecurityScheme
from pytest_orchestra.readers.openapi import read_openapi


def read(folder, document):
    """Read a specification from a file."""
    path = folder / "shop.json"
    path.write_text(json.dumps({"info": {"title": "Shop", "version": "1"}, **document}))
    return read_openapi(path, "shop")


def operation(**fields):
    """Describe an operation."""
    return {"responses": {"200": {"description": "ok"}}, **fields}


def test_schemes_and_alternatives_of_openapi_3_are_read(tmp_path):
    """Each operation has its own alternatives, else those of the document; none at all differs from nothing said."""
    spec = read(
        tmp_path,
        {
            "openapi": "3.1.0",
            "security": [{"key": []}, {"oauth": ["read"], "jwt": []}],
            "paths": {
                "/a": {"get": operation(), "post": operation(security=[]), "put": operation(security=[{}, {"jwt": []}])}
            },
            "components": {
                "securitySchemes": {
                    "key": {"type": "apiKey", "name": "X-Key", "in": "header"},
                    "jwt": {"$ref": "#/components/securitySchemes/bearer"},
                    "bearer": {"type": "http", "scheme": "Bearer"},
                    "oauth": {
                        "type": "oauth2",
                        "flows": {
                            "clientCredentials": {"tokenUrl": "/token", "scopes": {}},
                            "password": {"tokenUrl": "https://login.example/token", "scopes": {}},
                            "authorizationCode": {"tokenUrl": "/code", "scopes": {}},
                        },
                    },
                    "gone": {"$ref": "#/nowhere"},
                    "odd": 7,
                }
            },
        },
    )
    assert spec.security_schemes == {
        "key": SecurityScheme("key", "apiKey", "X-Key", "header"),
        "jwt": SecurityScheme("jwt", "http", http_scheme="bearer"),
        "bearer": SecurityScheme("bearer", "http", http_scheme="bearer"),
        "oauth": SecurityScheme(
            "oauth",
            "oauth2",
            token_urls=(("clientCredentials", "/token"), ("password", "https://login.example/token")),
        ),
    }
    needs = {signature: found.security_needs for signature, found in spec.operation.items()}
    assert needs == {
        "GET /a": ((SecurityNeed("key"),), (SecurityNeed("oauth", ("read",)), SecurityNeed("jwt"))),
        "POST /a": (),
        "PUT /a": ((), (SecurityNeed("jwt"),)),
    }
    assert [problem.message for problem in spec.problems] == ["'$ref' leads to '#/nowhere', which is not there"]


def test_schemes_of_swagger_2_are_read(tmp_path):
    """Its words mean the same; a document without requirements says nothing."""
    spec = read(
        tmp_path,
        {
            "swagger": "2.0",
            "paths": {"/a": {"get": operation()}},
            "securityDefinitions": {
                "login": {"type": "basic"},
                "key": {"type": "apiKey", "name": "k", "in": "query"},
                "oauth": {"type": "oauth2", "flow": "application", "tokenUrl": "https://a/token", "scopes": {}},
            },
        },
    )
    assert spec.security_schemes == {
        "login": SecurityScheme("login", "http", http_scheme="basic"),
        "key": SecurityScheme("key", "apiKey", "k", "query"),
        "oauth": SecurityScheme("oauth", "oauth2", token_urls=(("clientCredentials", "https://a/token"),)),
    }
    assert spec.operation["GET /a"].security_needs is None
