"""The embedded servers, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from config import embedded
from config.embedded import EmbeddedUnavailable, Servers, urls

PROJECT = Path(__file__).parents[2]

OWNER = """
import sys
from pathlib import Path
from config.embedded import Servers

with Servers(Path(sys.argv[1]), durable="durable" in sys.argv):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "servers"
    Servers(tmp_path / "servers").remove_files()


@pytest.fixture(autouse=True)
def _not_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "config.settings.test")


@contextmanager
def owner_process(base: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns the servers until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(base), *options],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def execute(base: Path, query: str) -> object:
    with psycopg.connect(urls(base).database_url) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def cache(base: Path) -> redis.Redis:
    return redis.Redis.from_url(urls(base).redis_url)


def server_pids(base: Path) -> list[int]:
    with cache(base) as connection:
        valkey = int(connection.info("server")["process_id"])
    data_directory = Path(str(execute(base, "SHOW data_directory")))
    return [int((data_directory / "postmaster.pid").read_text().split()[0]), valkey]


def is_running(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def test_both_servers_answer_and_are_gone_after_stop(base: Path) -> None:
    with Servers(base, durable=False, shared_buffers="16MB", max_connections=17) as servers:
        assert execute(base, "SELECT current_database()") == "holdfast"
        assert execute(base, "SHOW max_connections") == "17"
        assert execute(base, "SHOW shared_buffers") == "16MB"
        assert cache(base).ping()
        assert servers.dead() == []
        pids = server_pids(base)
    assert not any(is_running(pid) for pid in pids)
    with pytest.raises(psycopg.OperationalError):
        execute(base, "SELECT 1")


def test_sockets_are_closed_to_others(base: Path) -> None:
    with Servers(base, durable=False):
        directory = embedded.socket_directory(base)
        modes = {
            path.name: path.stat().st_mode & 0o077
            for path in directory.iterdir()
            if path.is_socket()
        }
    assert modes == {".s.PGSQL.5432": 0, "valkey.sock": 0}


def test_celery_reads_the_broker_url(base: Path) -> None:
    kombu = pytest.importorskip("kombu")
    with (
        Servers(base, postgres=False),
        kombu.Connection(urls(base).broker_url) as connection,
    ):
        assert connection.default_channel.client.ping()


def test_a_second_process_joins_and_leaves_the_servers_alone(base: Path) -> None:
    with owner_process(base):
        pids = server_pids(base)
        with Servers(base, durable=False):
            assert server_pids(base) == pids
        assert server_pids(base) == pids


def test_a_waiting_process_takes_over_from_an_owner_that_is_killed(base: Path) -> None:
    with owner_process(base) as first:
        pids = server_pids(base)
        os.kill(pids[0], signal.SIGSTOP)  # so that the second one finds a lock, and no answer
        with subprocess.Popen(
            [sys.executable, "-c", OWNER, str(base)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as second:
            assert second.stdin is not None
            assert second.stdout is not None
            first.kill()
            os.kill(pids[0], signal.SIGCONT)
            assert second.stdout.readline() == "ready\n"
            assert not set(server_pids(base)) & set(pids)
            second.stdin.close()


@pytest.mark.skipif(
    sys.platform != "linux",
    reason="other systems do not tell a child of its parent's death",
)
def test_the_servers_die_with_a_killed_owner_and_the_next_start_has_the_data(
    base: Path,
) -> None:
    with owner_process(base) as process:
        execute(base, "CREATE TABLE kept AS SELECT 42 AS value")
        pids = server_pids(base)
        process.kill()
        wait_until(lambda: not any(is_running(pid) for pid in pids))
    with Servers(base, durable=False):
        assert execute(base, "SELECT value FROM kept") == 42


def test_the_start_after_a_kill_of_everything_has_the_data(base: Path) -> None:
    with owner_process(base, "durable") as process:
        execute(base, "CREATE TABLE kept AS SELECT 42 AS value")
        pids = server_pids(base)
        for pid in [process.pid, *pids]:
            os.kill(pid, signal.SIGKILL)
    with Servers(base, durable=False):
        assert execute(base, "SELECT value FROM kept") == 42


def test_a_stale_pid_file_that_names_a_stranger_does_not_stop_the_start(
    base: Path,
) -> None:
    with Servers(base, durable=False, valkey=False):
        pid_file = Path(str(execute(base, "SHOW data_directory"))) / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    with Servers(base, durable=False, valkey=False):
        assert execute(base, "SELECT 1") == 1


def test_an_initdb_that_was_cut_off_is_done_again(base: Path) -> None:
    unfinished = base / "pgdata.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with Servers(base, durable=False, valkey=False):
        assert execute(base, "SELECT 1") == 1


def test_it_works_where_the_path_is_too_long_for_a_socket(tmp_path: Path) -> None:
    base = tmp_path / ("long name " * 12) / "servers"
    try:
        with Servers(base, durable=False):
            assert execute(base, "SELECT 1") == 1
            assert cache(base).ping()
            directory = embedded.socket_directory(base)
            assert directory.parent == Path("/tmp")
            assert directory.stat().st_mode & 0o077 == 0
    finally:
        Servers(base).remove_files()
    assert not directory.exists()


def test_only_what_the_environment_does_not_name_is_started(base: Path) -> None:
    with Servers.where_unset(base, {"DATABASE_URL": "postgresql://db.example/holdfast"}) as servers:
        assert list(servers.logs()) == ["valkey"]
        assert cache(base).ping()
        assert not (base / "pgdata").exists()
    both = {
        "DATABASE_URL": "postgresql://db.example/holdfast",
        "REDIS_URL": "redis://cache.example",
    }
    with Servers.where_unset(base, both) as servers:
        assert servers.logs() == {}
    assert list(Servers.where_unset(base, {"REDIS_URL": "redis://cache.example"}).logs()) == [
        "postgres"
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_as_root_without_user_namespaces_postgres_runs_as_nobody(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_namespace_of_nobody", lambda: ("false",))
    with Servers(base, durable=False, valkey=False):
        postmaster = int(
            Path(str(execute(base, "SHOW data_directory")), "postmaster.pid").read_text().split()[0]
        )
        assert Path(f"/proc/{postmaster}").owner() == "nobody"


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user needs no namespace")
def test_as_root_no_file_changes_hands(base: Path) -> None:
    if not embedded._Account.choose(base.parent).prefix:
        pytest.skip("user namespaces are forbidden here")
    with Servers(base, durable=False, valkey=False):
        owners = {path.lstat().st_uid for path in base.rglob("*")}
    assert owners == {0}


def test_a_failed_start_shows_the_servers_own_words(base: Path) -> None:
    with pytest.raises(EmbeddedUnavailable, match=r"postgres ended at once(?s:.*)shared_buffers"):
        Servers(base, durable=False, shared_buffers="nonsense").start()
    with pytest.raises(redis.ConnectionError):
        cache(base).ping()


def test_production_settings_are_refused_and_nothing_is_made(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "config.settings.production")
    with pytest.raises(EmbeddedUnavailable, match="DATABASE_URL and REDIS_URL"):
        Servers(base).start()
    assert not base.exists()


def test_asking_for_the_urls_makes_nothing(tmp_path: Path) -> None:
    urls(tmp_path / ("long name " * 12))
    assert list(tmp_path.iterdir()) == []
