"""The file of environments."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.environment_file import read_environments

BEGINNING = 'hint: for example local: {services: {orders: "http://127.0.0.1:8001"}}'


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        Path("environments.yaml").write_text(text, encoding="utf-8")
        return Path("environments.yaml")

    return write


def told(path: Path) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        read_environments(path)
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


def test_environments_are_read_by_name_in_order(write):
    """Each knows its name and its place; URLs stand for services and databases."""
    environments = read_environments(
        write(
            "test:\n  services: {orders: 'http://localhost:1'}\n"
            "  dbProfiles: {w: 'postgresql://localhost/w', v: {url: x, passwordRef: 'env:PW'}}\n"
            "local:\n  name: local\nempty:\n"
        )
    )
    assert list(environments) == ["test", "local", "empty"]
    assert [environment.name for environment in environments.values()] == ["test", "local", "empty"]
    assert [environment.place for environment in environments.values()] == [
        Place("environments.yaml", 1, 1),
        Place("environments.yaml", 4, 1),
        Place("environments.yaml", 6, 1),
    ]
    assert environments["test"].services["orders"].base_url == "http://localhost:1"
    assert environments["test"].db_profiles["w"].url == "postgresql://localhost/w"
    assert environments["test"].db_profiles["v"].password_ref == "env:PW"


def test_empty_file_has_no_environments(write):
    """An empty file is not a mistake."""
    assert read_environments(write("")) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {name: b}", "1:11: environment 'a' calls itself 'b'\nhint: remove 'name'"),
        ("a: {service: {}}", "1:5: unknown field 'service'\nhint: did you mean 'services'?"),
        (
            "a: {services: {o: {verifyTls: false}}}",
            "1:19: give 'baseUrl', or say 'simulated: true'\nhint: write for example 'baseUrl: http://localhost:8080'",
        ),
        (
            "a: {services: {o: 8080}}",
            "1:19: 'o' takes a text or a mapping, not the number 8080\nhint: put it in quotes: \"8080\"",
        ),
        (
            "a: {dbProfiles: {w: {url: x, password: y}}}",
            "1:30: unknown field 'password'\nhint: did you mean 'passwordRef'?",
        ),
        (
            "a: {place: {file: x}}",
            (
                "1:5: unknown field 'place'\n"
                "hint: known here: name, services, dbProfiles, kafkaProfiles, queueProfiles, connections, variables"
            ),
        ),
        ("a: 3", f"1:4: 'a' takes a mapping, not the number 3\n{BEGINNING}"),
        ("- a", f"1:1: the file takes a mapping, not a list\n{BEGINNING}"),
        ("a:\nb:\na:\n", "3:1: key 'a' occurs twice, first in line 1\nhint: remove one of the two"),
    ],
)
def test_mistake_is_told_with_place_and_hint(write, text, expected):
    """The message says what is expected and what is there."""
    assert told(write(text)) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a: {dbProfiles: {w: {url: x, passwordRef: hunter2}}}",
            (
                "1:43: a secret is given by reference, 'env:NAME' or 'file:PATH'\n"
                'hint: for example passwordRef: "env:NAME"'
            ),
        ),
        (
            "a: {services: {o: {baseUrl: x, headerRefs: {X-Key: hunter2}}}}",
            "1:44: a secret is given by reference, 'env:NAME' or 'file:PATH'",
        ),
        (
            "a: {dbProfiles: {w: {url: x, passwordRef: 31415}}}",
            "1:43: 'passwordRef' takes a text, not a number",
        ),
        (
            "a: {dbProfiles: 'postgresql://me:hunter2@host/db'}",
            (
                "1:17: 'dbProfiles' takes a mapping, not the text 'postgresql://***@host/db'\n"
                'hint: for example dbProfiles: {shop: "postgresql://tester@127.0.0.1:5432/shop"}'
            ),
        ),
    ],
)
def test_secret_in_the_wrong_place_is_not_repeated(write, text, expected):
    """An error never shows what may be a secret."""
    assert told(write(text)) == [expected]
