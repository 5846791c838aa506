"""Examples on the pages: each is read by what would read it in a project, and fits the shop that it belongs to."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from doc_pages import DOCS, README, ROOT, Block, blocks, pages, typed_lines

from pytest_orchestra import hookspecs
from pytest_orchestra.cli import build_parser
from pytest_orchestra.data.expressions import compile_expression
from pytest_orchestra.data.templates import compile_template
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.problem import Severity
from pytest_orchestra.protocols.statement import read_statement
from pytest_orchestra.readers.data_files import read_data_sets
from pytest_orchestra.readers.environment_file import read_environments
from pytest_orchestra.readers.openapi import read_openapi
from pytest_orchestra.readers.process_file import read_process
from pytest_orchestra.readers.sidecar import read_sidecar
from pytest_orchestra.readers.step_library import read_step_libraries
from pytest_orchestra.readers.yaml_source import parse_yaml
from pytest_orchestra.session.definitions import DefinitionLoader
from pytest_orchestra.session.protocols import BuiltinProtocols, collect_protocols
from pytest_orchestra.settings import Settings, read_project_table
from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.postgres import PostgresStore

EXAMPLE = ROOT / "example_project"
CHECKED = ("yaml", "xml", "toml", "python", "sql", "json", "diff")
SHOWN_ONLY = ("text", "console", "sh")
OWN_PROJECT = ("first-scenario.md", "start-from-a-model.md", "write-a-plugin.md", "write-a-protocol.md")
"""Pages that a reader follows from the first to the last line, in other tests."""
EXECUTED_SQL = ("prepare.sql", "slowest.sql")
PYTEST_OPTIONS = re.compile(r"--orchestra[\w-]*")


def _check_sidecar(path: Path) -> None:
    bindings = read_sidecar(path)
    for step in (step for steps in bindings.bindings.values() for step in steps):
        compile_template([step.input_template, step.headers, step.parameters])
        texts = [*(rule.rule for rule in step.business_rules), step.until, step.fail_when, *step.export_as.values()]
        for text in filter(None, texts):
            compile_expression(text)
        assert not (step.sql and read_statement(step.sql).faults)


def _check_specification(path: Path) -> None:
    assert not read_openapi(path, "bar").problems


def _check_process(path: Path) -> None:
    document = read_process(path)
    assert document.processes
    assert not document.problems


def _check_python(path: Path) -> None:
    compile(path.read_text(), path.name, "exec")


def _plugins(page: Path) -> pytest.PytestPluginManager:
    """Give pytest's plugin manager with our hooks, the built-in protocols and the conftests of a page."""
    manager = pytest.PytestPluginManager()
    manager.add_hookspecs(hookspecs)
    manager.register(BuiltinProtocols(), "built-in")
    for block in blocks(page):
        if block.file == "conftest.py":
            module = ModuleType(f"conftest_{block.line}")
            exec(compile(block.text, str(block), "exec"), module.__dict__)
            manager.register(module, module.__name__)
    manager.check_pending()
    return manager


def _check_workflow(path: Path) -> None:
    assert set(_read_yaml(path.read_text())) == {"name", "on", "jobs"}


def _check_sql(path: Path) -> None:
    assert path.name in EXECUTED_SQL, "a test of its own executes it"


CHECKS: dict[str, Callable[[Path], object]] = {
    "*.orchestra.yaml": _check_sidecar,
    "*.openapi.yaml": _check_specification,
    "*.bpmn": _check_process,
    "*.mmd": _check_process,
    "*.py": _check_python,
    "data/*": lambda path: read_data_sets([path]),
    "environments.yaml": read_environments,
    "orders.yaml": lambda path: read_data_sets([path]),
    "steps/*.yaml": lambda path: read_step_libraries({path: None}),
    ".github/workflows/*.yml": _check_workflow,
    "pyproject.toml": lambda path: tomllib.loads(path.read_text()) and read_project_table(path.parent),
    "*.sql": _check_sql,
}


def _named_blocks() -> list[Block]:
    return [block for page in pages() for block in blocks(page) if block.file is not None and block.language != "diff"]


def _id(value: object) -> str:
    return str(value)


@pytest.mark.parametrize("block", _named_blocks(), ids=_id)
def test_example_file_is_read_by_what_would_read_it_in_a_project(block: Block, tmp_path: Path) -> None:
    """A file that a page shows is valid."""
    assert block.file is not None
    path = tmp_path / block.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")
    check = next((check for pattern, check in CHECKS.items() if fnmatch(block.file, pattern)), None)
    assert check is not None, f"nothing checks '{block.file}'"
    check(path)


def test_example_without_a_file_name_is_only_what_is_typed_or_printed() -> None:
    """Whatever could be checked names its file, so that it is."""
    unnamed = {
        str(block): block.language
        for page in pages()
        if page != README
        for block in blocks(page)
        if block.file is None and block.language not in SHOWN_ONLY
    }
    assert [place for place, language in unnamed.items() if language != "json"] == []
    assert set(unnamed.values()) <= set(CHECKED)


def test_example_event_is_json_of_the_current_version() -> None:
    """The line of NDJSON in the reference has what every line has."""
    (block,) = (block for block in blocks(DOCS / "reference" / "events.md") if block.language == "json")
    event = json.loads(block.text)
    assert list(event)[:3] == ["v", "event", "at"]
    assert event["v"] == 1


def _shop_pages() -> list[Path]:
    ours = ("order.orchestra.yaml", "conftest.py", "data/*")
    return [
        page
        for page in pages()
        if page.name not in OWN_PROJECT
        and any(fnmatch(block.file or "", pattern) for block in blocks(page) for pattern in ours)
    ]


@pytest.mark.parametrize("page", _shop_pages(), ids=lambda page: page.stem)
def test_examples_of_a_page_fit_the_shop(page: Path, tmp_path: Path) -> None:
    """Laid over the shop's own, a page's sidecars name what exists, its data fits, its conftests have real hooks."""
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".orchestra", "shop", "*.py"))
    for block in blocks(page):
        if (block.file or "").startswith(("data/", "steps/")):
            (tmp_path / str(block.file)).parent.mkdir(exist_ok=True)
            (tmp_path / str(block.file)).write_text(block.text, encoding="utf-8")
    hooks = _plugins(page).hook
    protocols = collect_protocols(hooks, None)
    shop = _read_yaml((EXAMPLE / "order.orchestra.yaml").read_text(encoding="utf-8"))
    for block in blocks(page):
        over = _read_yaml(block.text) if block.file == "order.orchestra.yaml" else {}
        laid_over = _merge(shop, over)
        (tmp_path / "order.orchestra.yaml").write_text(json.dumps(laid_over), encoding="utf-8")  # JSON is YAML
        found = DefinitionLoader(protocols, hooks).load(tmp_path / "order.bpmn")
        assert [str(problem) for problem in found.problems if problem.severity is not Severity.INFO] == [], str(block)
        scenarios = [scenario for suite in found.suites for scenario in suite.scenarios]
        assert scenarios
        errors = [
            str(
                problem
            )  # warnings may be of the shop's own steps, which read what the page lets another operation give
            for scenario in scenarios
            for problem in scenario.problems
            if problem.severity is Severity.ERROR
        ]
        assert errors == [], str(block)


def _read_yaml(text: str) -> dict[str, Any]:
    value: dict[str, Any] = parse_yaml(text, "example").value
    return value


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Lay one sidecar over another: elements and decisions one by one, scenarios by key, all else as a whole."""
    merged = {**base, **over}
    for field in ("bindings", "decisions"):
        merged[field] = {**base.get(field, {}), **over.get(field, {})}
    keys = {scenario["key"] for scenario in over.get("scenarios", [])}
    kept = [scenario for scenario in base["scenarios"] if scenario["key"] not in keys]
    merged["scenarios"] = [*kept, *over.get("scenarios", [])]
    return merged


def _sql(name: str) -> str:
    (block,) = (block for block in _named_blocks() if block.file == name)
    return block.text


async def test_example_sql_prepares_a_server_and_reads_the_store(tmp_path: Path) -> None:
    """A role that is made as the guide says can open the store, and the reference's query runs on what is there."""
    server = EmbeddedPostgres(tmp_path / "postgres")
    with server:
        with psycopg.connect(server.conninfo(), autocommit=True) as superuser:
            for statement in _sql("prepare.sql").split(";"):
                if statement.strip():
                    superuser.execute(statement)  # type: ignore[arg-type]  # a text of the page, not of the code
            superuser.execute("alter role orchestra password 'of-this-test'")
        url = f"postgresql://orchestra:of-this-test@{server.address.host}:{server.address.port}/orchestra"
        store = PostgresStore(url, "payments-team")
        await store.open()
        try:
            assert not await store.history()
        finally:
            await store.close()
        with psycopg.connect(url, autocommit=True) as reader:
            found = reader.execute(_sql("slowest.sql"))  # type: ignore[arg-type]  # as above
            columns = [found.description]
            while found.nextset():
                columns.append(found.description)
        (described,) = filter(None, columns)
        assert [column.name for column in described] == ["alias", "slowest"]
    server.remove()


def test_example_of_the_readme_is_the_shops_own() -> None:
    """The sidecar in the README is a piece of the example's, word for word."""
    (block,) = (block for block in blocks(README) if block.language == "yaml")
    shown = Bindings.model_validate(_read_yaml(block.text))
    shop = read_sidecar(EXAMPLE / "order.orchestra.yaml")
    assert shown.specs.items() <= shop.specs.items()
    for element, steps in shown.bindings.items():
        assert steps == [step.model_copy(update={"place": None}) for step in shop.bindings[element]], element


@pytest.mark.parametrize("page", [page for page in pages() if typed_lines(page)], ids=_id)
def test_typed_commands_have_options_that_exist(page: Path) -> None:
    """Commands of ``orchestra`` parse, and pytest is given no option of ours that it does not know."""
    for block, words in typed_lines(page):
        if words[0] == "orchestra":
            arguments = words[1 : words.index(">")] if ">" in words else words[1:]
            build_parser().parse_args(arguments)
        for option in (word.partition("=")[0] for word in words if PYTEST_OPTIONS.match(word)):
            assert option in _options(), f"{block}: {option}"


def _options() -> set[str]:
    return {"--orchestra", *(f"--orchestra-{name.replace('_', '-')}" for name in Settings.__dataclass_fields__)}


def test_prose_names_no_option_that_does_not_exist() -> None:
    """What a page says of an option is said of one that there is."""
    for page in pages():
        for option in PYTEST_OPTIONS.findall(page.read_text(encoding="utf-8")):
            assert option in _options(), f"{page}: {option}"
