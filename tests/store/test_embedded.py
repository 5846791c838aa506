"""The embedded server: shared, killed in every way, and never left behind."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from server_processes import UserProcess, answers, processes_of, state_of
from store_samples import has_stopped, wait_until

from pytest_orchestra.errors import StoreUnavailableError
from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.place import choose_place
from pytest_orchestra.store.supervisor import CLUSTER, DATA, LOG, STATE

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")


def test_start_listens_on_loopback_only(server: EmbeddedPostgres):
    """The server is reached over loopback TCP, and in no other way."""
    assert server.address.host == "127.0.0.1"
    with psycopg.connect(server.conninfo()) as connection:
        names = ("listen_addresses", "unix_socket_directories", "synchronous_commit", "fsync", "password_encryption")
        settings = [connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0] for name in names]
    assert settings == ["127.0.0.1", "", "on", "off", "scram-sha-256"]


def test_start_refuses_a_wrong_password(server: EmbeddedPostgres):
    """Other users of the machine may reach the port, but not the data."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(make_conninfo(server.conninfo(), password="wrong"))


def test_start_files_are_private(server: EmbeddedPostgres):
    """Nobody else may read the password, the data or the log."""
    for name in (CLUSTER, f"{CLUSTER}/password", f"{CLUSTER}/{DATA}", LOG, STATE):
        assert stat.S_IMODE((server.place / name).stat().st_mode) & 0o077 == 0, name


def test_conninfo_shows_its_password_to_drivers_only(server: EmbeddedPostgres):
    """The address of the server may be printed."""
    password = server.address.password.reveal()
    assert password in server.conninfo()
    assert password not in repr(server.address)
    assert password not in repr(server)


def test_start_second_user_shares_the_server(server: EmbeddedPostgres, store_folder: Path):
    """Whoever names the same folder gets the same server."""
    with EmbeddedPostgres(store_folder) as other:
        assert other.address.port == server.address.port
    assert answers(server.conninfo())


def test_release_last_user_stops_the_server(own_folder: Path, own_place: Path):
    """Within a second or so after the last user, nothing is left running."""
    with EmbeddedPostgres(own_folder) as own:
        url = own.conninfo()
        assert answers(url)
        assert processes_of(own_place)
    wait_until(lambda: has_stopped(own_place), "the server stops", within_s=3.0)
    assert not answers(url)
    wait_until(lambda: not processes_of(own_place), "all processes have ended", within_s=1.0)
    assert not (own_place / STATE).exists()


def test_release_keeps_the_server_for_others(own_folder: Path, own_place: Path, another_user):
    """The starter's end does not end the server that others use."""
    own = EmbeddedPostgres(own_folder)
    own.start()
    url = own.conninfo()
    other = another_user()
    other.facts()
    supervisor = state_of(own_place)["supervisor"]
    own.release()
    own.release()
    assert answers(url)
    assert state_of(own_place)["supervisor"] == supervisor
    with pytest.raises(StoreUnavailableError, match=r"^store: the embedded server was not started$"):
        own.conninfo()


def test_start_of_several_processes_at_once_is_one_server(tmp_path: Path):
    """Processes that begin together on a fresh folder share the one server that one of them makes."""
    users = [UserProcess(tmp_path) for _ in range(4)]
    try:
        facts = [user.facts() for user in users]
        assert len({(fact["port"], fact["url"]) for fact in facts}) == 1
        assert answers(str(facts[0]["url"]))
    finally:
        for user in users:
            user.kill()
    EmbeddedPostgres(tmp_path).remove()


def test_start_data_of_another_version_are_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Data that this PostgreSQL cannot read are kept under another name, with a warning, and a new cluster is made."""
    place = choose_place(tmp_path).folder
    old = place / CLUSTER / DATA
    old.mkdir(parents=True)
    (old / "PG_VERSION").write_text("9\n")
    with EmbeddedPostgres(tmp_path) as own:
        assert answers(own.conninfo())
    [aside] = place.glob(f"{CLUSTER}-9-*")
    assert (aside / DATA / "PG_VERSION").read_text() == "9\n"
    [warning] = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(
        r"store: embedded data of PostgreSQL '9' cannot be used by PostgreSQL '\d+'; "
        rf"it was put aside in '{re.escape(str(aside))}'",
        warning,
    )
    own.remove()


def test_start_of_broken_data_is_explained_by_the_log(tmp_path: Path):
    """A server that does not start says why, in its own words, and leaves nothing running."""
    with EmbeddedPostgres(tmp_path) as own:
        place = own.place
    wait_until(lambda: has_stopped(place), "the server stops")
    (place / CLUSTER / DATA / "global" / "pg_control").unlink()
    with pytest.raises(StoreUnavailableError) as caught:
        EmbeddedPostgres(tmp_path).start()
    assert str(caught.value).startswith(f"store: the embedded server in '{place}' ended with status '2': ")
    assert "could not find the database system" in str(caught.value)
    assert str(caught.value).endswith(f"\nhint: see '{place / LOG}'; after a power failure, remove '{place / CLUSTER}'")
    own.remove()


def test_start_in_a_folder_that_is_a_file_is_explained(tmp_path: Path):
    """Where no folder can be made, that is said."""
    place = choose_place(tmp_path).folder
    (place / CLUSTER).write_text("in the way")
    (place / "start.lock").mkdir()
    with pytest.raises(StoreUnavailableError) as caught:
        EmbeddedPostgres(tmp_path).start()
    assert str(caught.value) == (
        f"store: the embedded server cannot be started in '{tmp_path}': "
        f"[Errno 21] Is a directory: '{place / 'start.lock'}'\n"
        "hint: choose another cache folder, or --orchestra-store=memory"
    )
    shutil.rmtree(place)


def test_remove_deletes_all(tmp_path: Path):
    """Removed data are gone, and a new start begins with an empty server."""
    own = EmbeddedPostgres(tmp_path)
    own.start()
    own.create_database("doomed")
    place = own.place
    own.remove()
    assert not place.exists()
    with own:
        assert not answers(own.conninfo("doomed"))
    own.remove()


def test_create_database_is_idempotent_also_at_once(server: EmbeddedPostgres):
    """However many processes make a database at once, it is there once and nobody fails."""
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(server.create_database, ["raced"] * 6))
    assert answers(server.conninfo("raced"))


def test_create_role_is_idempotent_and_no_superuser(server: EmbeddedPostgres):
    """A role may log in with the server's password, and row-level security binds it."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(server.create_role, ["raced role"] * 4))
    server.create_database("of role", owner="raced role")
    with psycopg.connect(server.address.url("of role", user="raced role")) as connection:
        assert connection.execute(
            "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone() == (False, False)


def test_log_holds_no_password(server: EmbeddedPostgres):
    """Not even a statement that fails puts what it holds into the log."""
    with psycopg.connect(server.conninfo()) as connection, pytest.raises(psycopg.errors.DuplicateObject):
        connection.execute("CREATE ROLE postgres PASSWORD 's3cret'")
    log = (server.place / LOG).read_text()
    assert 'role "postgres" already exists' in log
    assert "s3cret" not in log
    assert server.address.password.reveal() not in log


@needs_root
def test_start_as_root_runs_the_server_as_nobody(server: EmbeddedPostgres):
    """Root's server has no right that an anonymous user has not."""
    nobody = pwd.getpwnam("nobody").pw_uid
    facts = state_of(server.place)
    assert Path(f"/proc/{facts['postmaster']}").stat().st_uid == nobody
    assert Path(f"/proc/{facts['supervisor']}").stat().st_uid == 0
    assert server.place.stat().st_uid == 0
    assert (server.place / CLUSTER / DATA).stat().st_uid == nobody


@pytest.fixture
def python_of_nobody() -> str:
    """Give an interpreter of this version that an ordinary user may run, as root's own may lie in root's home."""
    minor = f"python3.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{minor}", f"/usr/local/bin/{minor}"):
        try:
            subprocess.run([candidate, "-c", ""], user="nobody", extra_groups=[], check=True, cwd="/")
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    pytest.skip(f"no {minor} that the user nobody may run")


@needs_root
def test_start_as_ordinary_user_lives_in_the_folder(python_of_nobody: str):
    """An ordinary user's server lies in his own folder, for his eyes only."""
    folder = _folder_of_nobody("orchestra-ordinary")
    user = UserProcess(folder, user="nobody", python=python_of_nobody)
    try:
        facts = user.facts()
        place = Path(str(facts["place"]))
        assert place == folder
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert answers(str(facts["url"]))
    finally:
        user.kill()
    wait_until(lambda: has_stopped(place), "the server stops")
    shutil.rmtree(place)


@needs_root
def test_start_as_ordinary_user_in_an_unusable_folder_goes_elsewhere(python_of_nobody: str):
    """Where a user's folder cannot be written, his server lies in a folder of his below /var/tmp."""
    nobody = pwd.getpwnam("nobody").pw_uid
    folder = _folder_of_nobody("orchestra-unusable")
    os.chown(folder, 0, 0)
    user = UserProcess(folder, user="nobody", python=python_of_nobody)
    try:
        facts = user.facts()
        place = Path(str(facts["place"]))
        assert place.parent == Path(f"/var/tmp/pytest-orchestra-{nobody}")
        assert stat.S_IMODE(place.stat().st_mode) == stat.S_IMODE(place.parent.stat().st_mode) == 0o700
        assert answers(str(facts["url"]))
    finally:
        user.kill()
    wait_until(lambda: has_stopped(place), "the server stops")
    shutil.rmtree(place)
    place.parent.rmdir()
    folder.rmdir()


def _folder_of_nobody(name: str) -> Path:
    entry = pwd.getpwnam("nobody")
    folder = Path("/var/tmp") / f"{name}-{os.getpid()}"
    folder.mkdir(mode=0o755)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return folder
