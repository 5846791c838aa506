"""The package as a whole: names that are promised, modules that stand alone, errors that travel."""

from __future__ import annotations

import importlib
import inspect
import os
import pickle
import pkgutil
import subprocess
import sys

import pytest

import pytest_orchestra
from pytest_orchestra import errors
from pytest_orchestra.problem import Place, Problem, Severity

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(pytest_orchestra.__path__, "pytest_orchestra.")
    if not module.name.endswith("__main__")
)
ERRORS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.OrchestraError)]

IMPORT_EACH_ALONE = """
import importlib, os, sys
failed = []
for name in sorted(sys.argv[1:], key=lambda name: not name.startswith("pytest_orchestra.model")):
    if not name.startswith("pytest_orchestra.model") and "pytest_orchestra.model" not in sys.modules:
        # each of the lowest floor has been tried; loading it anew for every other module would take most of the time
        for below in sys.argv[1:]:
            if below.startswith("pytest_orchestra.model"):
                importlib.import_module(below)
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(name, repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(name)
sys.exit(bool(failed))
"""


@pytest.mark.parametrize("name", MODULES)
def test_module_all_names_what_is_there(name: str) -> None:
    """What a module says it exports can be imported from it."""
    module = importlib.import_module(name)
    missing = [each for each in getattr(module, "__all__", []) if not hasattr(module, each)]
    assert missing == []


def test_modules_import_alone() -> None:
    """No module needs another to have been imported before it."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_EACH_ALONE, *MODULES],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ERRORS)
def test_error_survives_pickling(kind: type[errors.OrchestraError]) -> None:
    """An error reaches another process whole: fact, place, hint and whatever else it carries."""
    error = kind("it is 'wrong'", place=Place("order.bpmn", 4, 2), hint="mend it")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == "order.bpmn:4:2: it is 'wrong'\nhint: mend it"
    assert vars(again) == vars(error)


def test_definition_error_of_several_problems_tells_them_all() -> None:
    """Nothing that a reader found is lost, also not on the way to another process."""
    problems = tuple(Problem(Severity.ERROR, Place("a.yaml", line), f"wrong {line}", "mend it") for line in (1, 2))
    error = pickle.loads(pickle.dumps(errors.DefinitionError.from_problems(problems)))
    assert str(error) == "a.yaml:1: wrong 1\nhint: mend it\na.yaml:2: wrong 2\nhint: mend it"
    assert error.problems == problems
