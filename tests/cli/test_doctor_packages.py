"""What ``orchestra doctor`` says of packages."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

from pytest_orchestra.cli.doctor import REQUIREMENTS, Finding, judge_packages

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"

_NOT_OF_USERS = {"dev", "docs", "example"}
PYTEST = importlib.metadata.version("pytest")


def test_doctor_tells_packages_that_are_missing_or_too_old() -> None:
    """What is always needed is a fault if it is not there, what an extra brings is not; too old is a fault for both."""
    requirements = [
        "pytest>=8",
        "no-such-package-of-ours>=1",
        "pluggy>=999",
        'not-installed-grpc>=1; extra == "grpc"',
        'not-installed-grpc>=2; extra == "kafka"',
        'pytest-html>=999; extra == "html"',
    ]
    pluggy, html = (importlib.metadata.version(name) for name in ("pluggy", "pytest-html"))
    assert list(judge_packages(requirements)) == [
        Finding("pytest", PYTEST),
        Finding("no-such-package-of-ours", "not installed", is_well=False, hint="pip install pytest-orchestra"),
        Finding("pluggy", f"{pluggy}, where >=999 is needed", is_well=False, hint="pip install pytest-orchestra"),
        Finding("not-installed-grpc", "not installed; extras 'grpc' and 'kafka' bring it"),
        Finding(
            "pytest-html",
            f"{html}, where >=999 is needed",
            is_well=False,
            hint="pip install --upgrade 'pytest-orchestra[html]'",
        ),
    ]


def test_doctor_looks_at_all_that_the_distribution_asks_for() -> None:
    """A library of a new extra cannot be forgotten."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = {name: each for name, each in project["optional-dependencies"].items() if name not in _NOT_OF_USERS}
    asked = [f'{each}; extra == "{name}"' for name, requirements in extras.items() for each in requirements]
    wanted = [*project["dependencies"], *asked]
    assert set(REQUIREMENTS) == {each for each in wanted if not each.startswith("pytest-orchestra")}
