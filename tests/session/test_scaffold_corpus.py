"""First sidecars for real models: always valid, the same twice, without errors, and so are their suggestions."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.problem import Problem, Severity
from pytest_orchestra.readers.sidecar import read_sidecar, sidecar_path
from pytest_orchestra.session.definitions import DefinitionLoader, Definitions
from pytest_orchestra.session.protocols import collect_protocols, command_hooks
from pytest_orchestra.session.scaffolding import Scaffolder, find_specs

REPOSITORY = Path(__file__).resolve().parents[2]
CORPUS = REPOSITORY.parent / "shared" / "corpus"
UNREADABLE = {
    "BPMN2-XXE-Process.bpmn2",
    "empty.bpmn",
    "participant-interfaceRef.bpmn",
    "process-with-sub-process.bpmn",
    "start-tasks-end_entities_in_attributes.bpmn",
    "xmlns-redeclaration.bpmn",
}


def _specs() -> Mapping[str, Path]:
    files = sorted(path for path in (CORPUS / "openapi").rglob("*") if path.is_file())
    whole = [path for path in files if "kubeshop+tracetest" not in str(path) or path.name == "openapi.yaml"]
    return {path.stem.lower().replace(".", "-"): path for path in whole}


def _errors(definitions: Definitions) -> set[str]:
    found: list[Problem] = [*definitions.problems]
    found += [problem for suite in definitions.suites for scenario in suite.scenarios for problem in scenario.problems]
    return {problem.message for problem in found if problem.severity is Severity.ERROR}


def _put_to_use(text: str) -> Iterator[str]:
    """Take every suggested step and effect out of its comment."""
    lines = text.split("decisions:", maxsplit=1)[0].splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("bindings: {}  #"):
            yield "bindings:"
        elif line.startswith("  # ") and following.strip() == "# an event, which need not be bound":
            yield f"  {line[4:]}"
        elif re.match(r"    # (?:- |  )", line):
            yield f"    {line[6:]}"
        elif line.endswith(": []") and following.startswith("    # "):
            yield line.removesuffix(" []")
        else:
            yield line


@pytest.mark.parametrize("suggested", [False, True])
def test_scaffold_of_every_real_model_is_sound(tmp_path: Path, suggested: bool) -> None:
    """No exception, no error that the model does not have without it, also with all that it suggests."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus is not beside this repository")
    hooks = command_hooks()
    protocols = collect_protocols(hooks, None)
    scaffolder = Scaffolder(protocols)
    loader = DefinitionLoader(protocols, hooks)
    specs = _specs()
    refused = set()
    count = 0
    for number, source in enumerate(sorted(path for path in (CORPUS / "bpmn").rglob("*") if path.is_file())):
        file = tmp_path / str(number) / source.name
        file.parent.mkdir()
        shutil.copy(source, file)
        try:
            scaffold = scaffolder.scaffold(file, file.parent, specs, "data/model.yaml")
        except OrchestraError:
            refused.add(source.name)
            continue
        before = _errors(loader.load(source))
        text = "\n".join(_put_to_use(scaffold.sidecar)) + "\n" if suggested else scaffold.sidecar
        sidecar_path(file).write_text(text, encoding="utf-8")
        (file.parent / "data").mkdir()
        data = (scaffold.data or "dataSets: []\n").replace("      # for", "#")
        if suggested:
            data = data.replace("data: {}\n", "data:\n").replace("      # ", "      ")
        (file.parent / "data" / "model.yaml").write_text(data, encoding="utf-8")
        bindings = read_sidecar(sidecar_path(file))
        count += sum(len(steps) for steps in bindings.bindings.values())
        assert _errors(loader.load(file)) <= before, source
    assert refused == UNREADABLE
    assert count > (40 if suggested else 3)


def test_scaffold_depends_on_its_files_alone(tmp_path: Path) -> None:
    """The same model and specifications give the same bytes."""
    example = REPOSITORY / "example_project"
    scaffolds = [
        Scaffolder(collect_protocols(command_hooks(), None)).scaffold(
            example / "order.bpmn", example, {}, "data/x.yaml"
        )
        for _ in range(2)
    ]
    assert scaffolds[0].sidecar == scaffolds[1].sidecar
    assert scaffolds[0].data == scaffolds[1].data


def test_specifications_beside_a_model_are_named_after_their_files(tmp_path: Path) -> None:
    """What the name says of the kind of file is no part of the service's name."""
    (tmp_path / "specs").mkdir()
    names = (
        "orders.openapi.json",
        "specs/pay.v2.yaml",
        "specs/orders.yml",
        "openapi.yaml",
        "specs/read.me",
        "order.bpmn",
    )
    for name in names:
        (tmp_path / name).write_text("")
    found = {service: path.relative_to(tmp_path).as_posix() for service, path in find_specs(tmp_path).items()}
    folder = re.sub(r"[^\w-]+", "-", tmp_path.name).strip("-").lower()
    assert found == {
        "orders": "orders.openapi.json",
        folder: "openapi.yaml",
        "orders-2": "specs/orders.yml",
        "pay-v2": "specs/pay.v2.yaml",
    }
