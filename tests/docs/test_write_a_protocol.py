"""The page on protocols, done by a reader who takes it literally."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doc_pages import DOCS, blocks, commands, matches

PAGE = DOCS / "how-to" / "write-a-protocol.md"
LOOP = "asyncio_default_fixture_loop_scope"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with the files of the page."""
    for block in blocks(PAGE):
        if block.file is not None:
            path = pytester.path / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    monkeypatch.setenv("DROP_KEY", "k3y-for-drops")
    return pytester.path


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest as a project of its own does."""
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-o", f"{LOOP}=function", *arguments)


def shown_by(command: str) -> str:
    """Give what the page shows below a command."""
    typed = [each for block in blocks(PAGE) if block.language == "console" for each in commands(block)]
    return next(each.shown for each in typed if command in each.words)


def test_protocol_of_the_page_is_one_file_of_a_hundred_lines(project: Path) -> None:
    """A protocol is no more work than the page promises."""
    lines = (project / "file_drop.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 110
    assert {line.split()[1].partition(".")[0] for line in lines if line.startswith(("from ", "import "))} == {
        *("hashlib", "hmac", "json", "pathlib", "shlex", "uuid", "pytest_orchestra"),
    }


def test_scenarios_of_the_page_give_what_it_shows(pytester: pytest.Pytester, project: Path) -> None:
    """One order is dropped and found, the other breaks the contract, and the key is nowhere to be seen."""
    (project / "drop" / "orders").mkdir(parents=True)
    result = run(pytester, "--orchestra", "--orchestra-store=memory", "-v", "--color=no", "order.bpmn")
    result.assert_outcomes(passed=1, failed=1)
    assert matches(shown_by("pytest --orchestra"), result.stdout.str()), result.stdout.str()
    dropped = sorted((project / "drop" / "orders").iterdir())
    assert [re.sub(r"^.*-(?=order)", "", path.name) for path in dropped] == ["order.json", "order.json"]
    assert "signature" in dropped[0].read_text()
    assert "k3y-for-drops" not in result.stdout.str() + dropped[0].read_text()


def test_mistakes_in_a_project_of_the_page_are_told_where_they_stand(pytester: pytest.Pytester, project: Path) -> None:
    """A wrong key is found before the run, at its line; an unknown connection and a folder that is not there, in it."""
    sidecar = project / "order.orchestra.yaml"
    right = sidecar.read_text()
    sidecar.write_text(right.replace("pattern:", "patern:"))
    result = run(pytester, "--orchestra", "--orchestra-store=memory", "order.bpmn")
    result.stdout.fnmatch_lines(
        ["*order.orchestra.yaml:11*a file drop knows no 'patern'*", "*hint: did you mean 'pattern'?*"]
    )
    sidecar.write_text(right.replace("connection: outbox\n", "connection: outbx\n"))
    result = run(pytester, "--orchestra", "--orchestra-store=memory", "order.bpmn::main[tea]")
    result.stdout.fnmatch_lines(["*environment 'local' has no connection 'outbx'*", "*hint: did you mean 'outbox'?*"])
    sidecar.write_text(right)
    result = run(pytester, "--orchestra", "--orchestra-store=memory", "order.bpmn")
    result.stdout.fnmatch_lines(["*file drop 'outbox' at 'drop/orders': No such file or directory*"])


def test_protocol_of_the_page_keeps_the_contract_of_all_protocols(pytester: pytest.Pytester, project: Path) -> None:
    """The test that the page ends with is green."""
    result = run(pytester, "-o", "asyncio_mode=auto", "-W", "error", "test_file_drop.py")
    assert matches(shown_by("pytest -o asyncio_mode"), result.stdout.str()), result.stdout.str()
