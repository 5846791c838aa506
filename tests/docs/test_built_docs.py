"""The documentation as it is built: no warnings, and a reference that leaves nothing out."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from doc_pages import DOCS, README, ROOT, pages

from pytest_orchestra import errors, hookspecs, plugin
from pytest_orchestra.cli import build_parser
from pytest_orchestra.data.filters import FILTERS
from pytest_orchestra.data.methods import METHODS
from pytest_orchestra.data.predicates import TESTS
from pytest_orchestra.engine import events
from pytest_orchestra.model import definition, environment, run
from pytest_orchestra.model.definition import Definition
from pytest_orchestra.readers.data_files import DataSetDefinition
from pytest_orchestra.settings import Settings
from pytest_orchestra.store.queries import sql_folder


def _text(built: Path, page: str) -> str:
    """Give the words of a page of the reference."""
    article = (built / "reference" / f"{page}.html").read_text(encoding="utf-8").partition("<article")[2]
    return html.unescape(re.sub(r"<[^>]+>", "", article))


def _missing(words: Any, text: str) -> list[str]:
    return [word for word in words if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text)]


def _fields(model: type[Definition]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items() if not field.exclude]


def _models(module: Any) -> list[type[Definition]]:
    found = [getattr(module, name) for name in module.__all__]
    return [
        kind for kind in found if isinstance(kind, type) and issubclass(kind, Definition) and kind is not Definition
    ]


def test_docs_are_built_without_warnings(built_docs: Path) -> None:
    """Every page is there, every link between pages leads somewhere, and sphinx has nothing to complain of."""
    for page in pages():
        if page != README:
            assert (built_docs / page.relative_to(DOCS).with_suffix(".html")).is_file()


def test_reference_has_every_setting(built_docs: Path) -> None:
    """Each row of the table of options is documented in both of its spellings, with its default."""
    text = _text(built_docs, "options")
    assert "--orchestra" in text
    for name, field in Settings.__dataclass_fields__.items():
        assert _missing([f"--orchestra-{name.replace('_', '-')}", f"orchestra_{name}"], text) == []
        assert str(field.default) in text


def test_reference_has_every_command_with_its_options(built_docs: Path) -> None:
    """Each command is documented with all of its arguments."""
    text = _text(built_docs, "commands")
    (choices,) = (action.choices for action in build_parser()._actions if isinstance(action.choices, dict))
    assert {"plan", "verify", "schema", "history", "show", "migrate", "doctor", "reap", "quota"} <= set(choices)
    for name, command in choices.items():
        section = text.partition(f"usage: orchestra {name} ")[2].partition("usage: ")[0]
        assert section, name
        words = [
            word for action in command._actions for word in action.option_strings or [action.metavar or action.dest]
        ]
        assert _missing([word for word in words if word != "kind"], section) == [], name


def test_reference_has_every_hook_and_fixture(built_docs: Path) -> None:
    """Each extension point and each fixture is documented."""
    assert _missing(hookspecs.__all__, _text(built_docs, "hooks")) == []
    fixtures = [name for name in vars(plugin) if name.startswith("orchestra_")]
    assert len(fixtures) == 4
    assert _missing(fixtures, _text(built_docs, "fixtures")) == []


def test_reference_has_every_error(built_docs: Path) -> None:
    """Each class of the tree of errors is documented."""
    assert _missing(errors.__all__, _text(built_docs, "errors")) == []


def test_reference_has_every_field_of_every_file(built_docs: Path) -> None:
    """Each field and each value of an enumeration that users can write is documented."""
    sidecar = _text(built_docs, "sidecar")
    for model in _models(definition):
        assert _missing([model.__name__, *_fields(model)], sidecar) == []
    for name in ("StepKind", "ChannelType", "ActionMode", "BarrierReaction", "Criterion", "ScenarioStatus", "RunMode"):
        assert _missing(list(getattr(definition, name)), sidecar) == []
    environments = _text(built_docs, "environments")
    for model in _models(environment):
        assert _missing([model.__name__, *_fields(model)], environments) == []
    assert _missing(_fields(DataSetDefinition), _text(built_docs, "data-files")) == []


def test_reference_has_every_event_and_value(built_docs: Path) -> None:
    """Each event, each value that it carries and each state is documented."""
    text = _text(built_docs, "events")
    for module in (events, run):
        for name in module.__all__:
            kind = getattr(module, name)
            if not issubclass(kind, Enum) and name != "Event":
                assert _missing([name, *kind.__dataclass_fields__], text) == []
    states = _text(built_docs, "states")
    for name in run.__all__:
        kind = getattr(run, name)
        if issubclass(kind, Enum):
            assert _missing([str(value) for value in kind], states) == []
    meanings = states.partition("the system under test")[2]
    assert _missing([str(value) for value in run.ViolationType], meanings) == []


def test_reference_has_the_whole_language(built_docs: Path) -> None:
    """Each filter, test and method is documented."""
    text = _text(built_docs, "language")
    assert _missing([*FILTERS, *TESTS, *METHODS], text) == []


def test_reference_has_every_table_of_the_store(built_docs: Path) -> None:
    """Each table that the migrations make has a row that says what it is."""
    page = (DOCS / "reference" / "store.md").read_text(encoding="utf-8")
    scripts = [
        file.read_text(encoding="utf-8") for file in sql_folder("migrations").iterdir() if file.name[0].isdigit()
    ]
    tables = [name for script in scripts for name in re.findall(r"CREATE TABLE orchestra\.(\w+)", script)]
    assert tables
    assert [name for name in tables if f"| `{name}` |" not in page] == []
    shown = _text(built_docs, "store")
    assert [name for name in tables if f"CREATE TABLE orchestra.{name}" not in shown] == []


def test_reference_of_the_plan_names_the_fields_that_it_has() -> None:
    """The page of the plan's JSON has exactly the fields that the command prints."""
    command = [sys.executable, "-c", "from pytest_orchestra.cli import main; raise SystemExit(main())"]
    done = subprocess.run(
        [*command, "plan", str(ROOT / "example_project" / "order.bpmn"), "--coverage", "node,edge", "--format", "json"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    plan = json.loads(done.stdout)
    sections = re.split(r"^## ", (DOCS / "reference" / "plan-json.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = [_documented(section) for section in sections]
    assert found[0] == list(plan)
    assert found[1] == list(plan["scenarios"][0])
    assert found[2] == list(plan["coverage"]["node"])
    assert found[3] == ["severity", "code", "place", "message", "hint"]
    assert all(list(problem) == found[3] for problem in plan["problems"])
    assert list(plan["scenarios"][0]["steps"][0]) == ["alias", "element", "kind"]


def _documented(section: str) -> list[str]:
    """Give the names in the first column of a section's table."""
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]


@pytest.mark.parametrize("page", [README, *(ROOT / "docs").rglob("[0-9]*.md")], ids=lambda page: page.stem)
def test_page_is_as_long_as_it_may_be(page: Path) -> None:
    """The README fits a screen or two, and a record of a decision a page."""
    lines = page.read_text(encoding="utf-8").count("\n")
    assert lines <= (115 if page == README else 45)
    if page != README:
        headings = re.findall(r"^## (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"]


def test_readme_links_lead_to_files() -> None:
    """What the README links to is there."""
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
