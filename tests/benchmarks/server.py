"""Everything a run needs as children: servers, database, web processes, the clients."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import httpx
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from config.demo.processes import DemoFailed, Process, free_port
from config.embedded import Servers
from config.management.commands.demo import disconnect
from tests.benchmarks.ceilings.models import create_tables
from tests.benchmarks.load import Outcome, Round, Script

WORKERS = 2
BLOCKING_THREADS = 4
READY_SECONDS = 60.0


class System:
    """Started by ``with``: PostgreSQL and Valkey, an empty schema, granian, and the load process.

    Attributes:
        host, port: where the web server answers.
    """

    host = "127.0.0.1"

    def __init__(self, *, workers: int = WORKERS, threads: int = BLOCKING_THREADS) -> None:
        self._directory = Path(settings.DATA_DIR)
        self._servers = Servers.where_unset(
            self._directory, durable=True, shared_buffers="256MB", max_connections=100
        )
        self.port = free_port(0)
        self._web = Process(
            "web",
            [
                "granian",
                "--interface",
                "wsgi",
                "--no-ws",
                "--host",
                self.host,
                "--port",
                str(self.port),
                "--workers",
                str(workers),
                "--blocking-threads",
                str(threads),
                "tests.benchmarks.wsgi:application",
            ],
            log=self._directory / "web.log",
            ready=lambda log: self._answers(),
        )
        self._load: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        self._servers.remove_files()
        Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._servers.start()
        call_command("migrate", verbosity=0)
        create_tables()
        self._load = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._web.start({**os.environ, "PYTHONUNBUFFERED": "1"})
        deadline = time.monotonic() + READY_SECONDS
        while not self._web.is_ready():
            if self._web.died or time.monotonic() > deadline:
                raise DemoFailed(f"The web server does not answer.\n{self.log()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop everything; the files stay until the next run."""
        if self._load is not None:
            assert self._load.stdin is not None
            self._load.stdin.close()
            self._load.wait()
            self._load = None
        self._web.ask_to_stop()
        self._web.wait_until_stopped()
        disconnect()
        self._servers.stop()

    def drive(self, scripts: Sequence[Script], *, seconds: float, expect: int) -> Outcome:
        """Let the load process work on the web server for some seconds."""
        order = Round(self.host, self.port, seconds, expect, scripts)
        assert self._load is not None
        pickle.dump(order, _pipe(self._load.stdin))
        _pipe(self._load.stdin).flush()
        outcome: Outcome = pickle.load(_pipe(self._load.stdout))
        return outcome

    def log(self) -> str:
        """The end of the web server's log."""
        return "\n".join(self._web.log.read_text(errors="replace").splitlines()[-30:])

    def processor_seconds(self) -> dict[str, float]:
        """Processor time used so far by ``web``, ``database`` and ``clients``; empty if unknown."""
        if not Path("/proc/self/stat").exists():
            return {}
        assert self._load is not None
        stats = _stats()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backend = int(cursor.fetchone()[0])
        found = {"web": _tree(self._web_pid(stats), stats), "clients": stats[self._load.pid][1]}
        if backend in stats:  # not on this machine otherwise
            found["database"] = _tree(stats[backend][0], stats)
        return found

    def _web_pid(self, stats: dict[int, tuple[int, float]]) -> int:
        mine = [pid for pid, (parent, _) in stats.items() if parent == os.getpid()]
        for pid in mine:
            if b"granian" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise DemoFailed(f"The web server is gone.\n{self.log()}")

    def _answers(self) -> bool:
        try:
            url = f"http://{self.host}:{self.port}/ceilings/select/"
            return httpx.get(url, timeout=10, trust_env=False).is_success
        except httpx.TransportError:
            return False


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


_TICK = os.sysconf("SC_CLK_TCK")


def _stats() -> dict[int, tuple[int, float]]:
    """Parent and processor seconds (its own and of children that ended) of every process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # From the third field of proc(5) on: state, ppid at 1, utime to cstime at 11 to 14.
        found[int(path.parent.name)] = int(fields[1]), sum(map(int, fields[11:15])) / _TICK
    return found


def _tree(root: int, stats: dict[int, tuple[int, float]]) -> float:
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in stats.items():
        children.setdefault(parent, []).append(pid)
    waiting, seconds = [root], 0.0
    while waiting:
        pid = waiting.pop()
        seconds += stats[pid][1]
        waiting += children.get(pid, [])
    return seconds
