"""The embedded server, killed in every way and in every moment."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
from server_processes import ROOT, UserProcess, answers, processes_of, state_of
from store_samples import has_stopped, is_free, wait_until

from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.place import choose_place
from pytest_orchestra.store.supervisor import CLUSTER, DATA, STATE, SUPERVISOR_LOCK


def test_killed_user_hurts_nobody(own_folder: Path, own_place: Path, another_user):
    """Whoever is killed, the starter first, the server stays up for the others."""
    starter = another_user()
    url = str(starter.facts()["url"])
    second = another_user()
    second.facts()
    with psycopg.connect(url) as connection:
        starter.kill()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert answers(url)


def test_killed_last_user_stops_the_server(own_folder: Path, own_place: Path, another_user):
    """A user that is killed is gone like any other; the last one takes the server along."""
    users = [another_user() for _ in range(2)]
    for user in users:
        user.facts()
    for user in users:
        user.kill()
    wait_until(lambda: has_stopped(own_place), "the server stops", within_s=3.0)


def test_killed_supervisor_takes_the_server_along_and_a_new_start_brings_it_back(own_folder: Path, own_place: Path):
    """Without its supervisor no server stays behind, and what was committed is there after the next start."""
    with EmbeddedPostgres(own_folder) as own:
        with psycopg.connect(own.conninfo(), autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (number integer)")
            connection.execute("TRUNCATE kept")
            connection.execute("INSERT INTO kept VALUES (1)")
        url, facts = own.conninfo(), state_of(own_place)
        os.kill(facts["supervisor"], signal.SIGKILL)
        wait_until(lambda: has_stopped(own_place), "the server ends with its supervisor", within_s=3.0)
        assert not answers(url)
        own.start()
        assert state_of(own_place)["supervisor"] != facts["supervisor"]
        with psycopg.connect(own.conninfo()) as connection:
            assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]


def test_killed_supervisor_start_at_once_waits_for_the_old_server(own_folder: Path, own_place: Path):
    """A start right after the kill does not collide with the server that is still ending."""
    with EmbeddedPostgres(own_folder) as own:
        for _ in range(5):
            os.kill(state_of(own_place)["supervisor"], signal.SIGKILL)
            wait_until(lambda: is_free(own_place / SUPERVISOR_LOCK), "the supervisor has ended")
            own.start()
            assert answers(own.conninfo())


def test_killed_postmaster_comes_back_on_its_port(own_folder: Path, own_place: Path):
    """A server that dies is started again where its users know it, with all that was committed."""
    with EmbeddedPostgres(own_folder) as own:
        url, facts = own.conninfo(), state_of(own_place)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS survived (number integer)")
            connection.execute("TRUNCATE survived")
            for number in range(100):
                connection.execute("INSERT INTO survived VALUES (%s)", [number])
            os.kill(facts["postmaster"], signal.SIGKILL)
        wait_until(lambda: answers(url), "the server is back", within_s=5.0)
        assert own.start().port == facts["port"]
        assert state_of(own_place)["postmaster"] != facts["postmaster"]
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM survived").fetchone() == (100,)


def test_postmaster_that_dies_again_and_again_is_given_up(own_folder: Path, own_place: Path):
    """A server that cannot live is not started for ever; whoever asks next starts afresh."""
    with EmbeddedPostgres(own_folder) as own:
        killed: set[int] = set()

        def kill_next() -> bool:
            try:
                facts = state_of(own_place)
            except FileNotFoundError:
                return False
            if "postmaster" in facts and facts["postmaster"] not in killed:
                killed.add(facts["postmaster"])
                os.kill(facts["postmaster"], signal.SIGKILL)
            return "failure" in facts

        wait_until(kill_next, "the supervisor gives up")
        assert state_of(own_place) == {"failure": "died '6' times within '10' s"}
        own.start()
        assert answers(own.conninfo())


def test_start_while_the_server_stops_gets_a_new_one(own_folder: Path, own_place: Path):
    """Whoever comes in the very moment of the stop waits for it and starts again."""
    for _ in range(6):
        with EmbeddedPostgres(own_folder) as own:
            assert answers(own.conninfo())


def test_start_after_sigterm_of_the_supervisor_gets_a_new_one(own_folder: Path, own_place: Path):
    """A supervisor that is told to end ends the server properly; its users start another when they need it."""
    with EmbeddedPostgres(own_folder) as own:
        os.kill(state_of(own_place)["supervisor"], signal.SIGTERM)
        wait_until(lambda: not (own_place / STATE).exists(), "the supervisor obeys")  # until then, its server is there
        own.start()
        assert answers(own.conninfo())
    wait_until(lambda: has_stopped(own_place), "the server stops")
    assert "database system is shut down" in (own_place / "server.previous.log").read_text()


def test_start_ignores_a_stale_pid_file(own_folder: Path, own_place: Path):
    """A pid file that names a living process of somebody else does not keep the server from starting."""
    pid_file = own_place / CLUSTER / DATA / "postmaster.pid"
    with EmbeddedPostgres(own_folder):
        stale = pid_file.read_text()
    wait_until(lambda: has_stopped(own_place), "the server stops")
    owner = pid_file.parent.stat()
    pid_file.write_text(re.sub(r"^\d+", str(os.getppid()), stale))
    os.chown(pid_file, owner.st_uid, owner.st_gid)
    pid_file.chmod(0o600)
    with EmbeddedPostgres(own_folder) as own:
        assert answers(own.conninfo())


def test_start_after_a_killed_initdb_begins_anew(tmp_path: Path):
    """A cluster is there as a whole or not at all: whoever is killed while making one leaves nothing behind."""
    place = choose_place(tmp_path).folder
    user = UserProcess(tmp_path)
    wait_until(lambda: list(place.glob("new-*/data/base")), "initdb writes")
    user.kill()
    assert not (place / CLUSTER).exists()
    with EmbeddedPostgres(tmp_path) as own:
        assert answers(own.conninfo())
        assert list(place.glob("new-*")) == []
    own.remove()


def test_killed_starter_right_after_launch_leaves_nothing(own_folder: Path, own_place: Path, another_user):
    """A supervisor whose starter is killed before the server is up ends by itself."""
    user = another_user()
    wait_until(lambda: processes_of(own_place), "the supervisor runs")
    user.kill()
    wait_until(lambda: has_stopped(own_place), "the supervisor ends", within_s=3.0)
    wait_until(lambda: not processes_of(own_place), "all processes have ended", within_s=1.0)


def test_start_with_a_port_taken_in_between_tries_another(own_folder: Path, own_place: Path):
    """A port that somebody takes between its choice and the server's bind is given up for another."""
    with EmbeddedPostgres(own_folder):
        order = json.loads(_order_of(state_of(own_place)["supervisor"]))
    wait_until(lambda: has_stopped(own_place), "the server stops")
    program = """
import json, sys
from pytest_orchestra.store.supervisor import Supervisor
order = json.loads(sys.argv[1])
order.pop("lock")
supervisor = Supervisor(**order)
supervisor._port = int(sys.argv[2])
supervisor._launch()
supervisor._stop()
"""
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        taken = squatter.getsockname()[1]
        subprocess.run([sys.executable, "-c", program, json.dumps(order), str(taken)], check=True, cwd=ROOT)
    assert state_of(own_place)["port"] != taken


def _order_of(supervisor: int) -> str:
    return Path(f"/proc/{supervisor}/cmdline").read_bytes().split(b"\0")[-2].decode()
