"""The demo's web server, worker and beat, as children that never outlive it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from config.beat import FIRST_TICK
from config.celery import app
from config.embedded import Servers, die_with_parent

# Until one of them is said to have failed to start.
READY_SECONDS = 60.0
# For each process to end by itself; all of them together stay under ten seconds.
GRACE_SECONDS = 3.0


class DemoFailed(Exception):
    """A part of the demo does not run; the text is for the person at the terminal."""


class Process:
    """One child process, its log and how to tell that it does its work."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        ready: Callable[[str], bool],
    ) -> None:
        """Describe the process; `ready` is given the log so far."""
        self.name = name
        self.log = log
        self._command = [sys.executable, "-m", *command]
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, environment: dict[str, str]) -> None:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the demo, which stops it in order
                preexec_fn=die_with_parent(signal.SIGTERM),
            )

    @property
    def died(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def is_ready(self) -> bool:
        return self._ready(self.log.read_text(errors="replace"))

    def ask_to_stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait_until_stopped(self) -> None:
        """Let it finish what it does; end it and its children when that takes too long."""
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None


class Processes:
    """The three processes beside the database: started, watched and stopped together."""

    def __init__(self, directory: Path, *, port: int, servers: Servers) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._servers = servers
        worker = f"demo{os.getpid()}@localhost"
        self._processes = [
            Process(
                "web",
                [
                    "granian",
                    "--interface",
                    "wsgi",
                    "--no-ws",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(port),
                    "--workers",
                    "2",
                    "--blocking-threads",
                    "4",
                    "--respawn-failed-workers",
                    "config.wsgi:application",
                ],
                log=directory / "web.log",
                ready=lambda log: self._web_answers(),
            ),
            Process(
                "worker",
                [
                    "celery",
                    "-A",
                    "config.celery",
                    "worker",
                    "--loglevel",
                    "INFO",
                    "--concurrency",
                    "2",
                    "--queues",
                    "default",
                    "--hostname",
                    worker,
                    "--without-gossip",
                    "--without-mingle",
                ],
                log=directory / "worker.log",
                ready=lambda log: bool(app.control.ping(destination=[worker], timeout=0.5)),
            ),
            Process(
                "beat",
                [
                    "celery",
                    "-A",
                    "config.celery",
                    "beat",
                    "--loglevel",
                    "INFO",
                    "--pidfile=",
                    "--scheduler",
                    "config.beat:Scheduler",
                ],
                log=directory / "beat.log",
                ready=lambda log: FIRST_TICK in log,
            ),
        ]

    def start(self) -> None:
        """Start them all and return when each does its work.

        Raises:
            DemoFailed: one ended, or is not ready in time.
        """
        environment = {**os.environ, "PUBLIC_URL": self.url, "PYTHONUNBUFFERED": "1"}
        for process in self._processes:
            process.start(environment)
        deadline = time.monotonic() + READY_SECONDS
        waiting = list(self._processes)
        while waiting:
            self.check()
            waiting = [process for process in waiting if not process.is_ready()]
            if waiting and time.monotonic() > deadline:
                names = ", ".join(process.name for process in waiting)
                raise DemoFailed(
                    f"Not ready after {READY_SECONDS:.0f} s: {names}.\n\n{self.last_words(waiting)}"
                )
            time.sleep(0.1)

    def check(self) -> None:
        """Raise DemoFailed if anything that should run has ended."""
        dead = [process for process in self._processes if process.died]
        servers = self._servers.dead()
        if dead or servers:
            names = ", ".join([process.name for process in dead] + servers)
            raise DemoFailed(f"Ended unexpectedly: {names}.\n\n{self.last_words(dead, servers)}")

    def stop(self) -> None:
        """Stop them: first what brings work, then what does it."""
        worker = [process for process in self._processes if process.name == "worker"]
        others = [process for process in self._processes if process.name != "worker"]
        for group in (others, worker):
            for process in group:
                process.ask_to_stop()
            for process in group:
                process.wait_until_stopped()

    def last_words(self, processes: Sequence[Process] = (), servers: Sequence[str] = ()) -> str:
        """Return the ends of the logs of these, or of all, each line with its process's name."""
        logs = {process.name: process.log for process in processes or self._processes}
        logs |= {name: log for name, log in self._servers.logs().items() if name in servers}
        return "\n".join(
            f"{name:>8} | {line}"
            for name, log in logs.items()
            for line in log.read_text(errors="replace").splitlines()[-20:]
        )

    def _web_answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz/", timeout=5).is_success
        except httpx.TransportError:
            return False


def free_port(wanted: int) -> int:
    """Return `wanted` if it is free, and any free port for 0.

    Raises:
        DemoFailed: somebody else listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise DemoFailed(
                f"Port {wanted} is in use. Choose another one: make demo ARGS='--port 8001', "
                "or --port 0 for any free one."
            ) from error
        port: int = probe.getsockname()[1]
        return port
