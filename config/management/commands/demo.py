"""`manage.py demo`: everything on this machine, with one command."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from django.conf import settings
from django.core.management import BaseCommand, CommandParser, call_command
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from config.demo.processes import DemoFailed, Processes, free_port
from config.demo.tour import Tour
from config.embedded import EmbeddedUnavailable, Servers
from config.management.commands.seed_demo import Login, seed


class Command(BaseCommand):
    help = (
        "Run Holdfast on this machine: PostgreSQL and Valkey (unless DATABASE_URL and REDIS_URL name "
        "yours), web server, worker and beat, with an example organisation. Ctrl-C stops everything."
    )
    requires_system_checks: list[str] = []  # some look into the database, which is not there yet

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port",
            type=int,
            help="port of the web server: 8000, or with --check any free one (0)",
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="start with an empty database, book and check in once over HTTP, stop, say how it went",
        )

    def handle(self, *args: Any, port: int | None, check: bool, **options: Any) -> None:
        if check:
            use_own_directory()
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
        if port is None:
            port = 0 if check else 8000
        console = Console(highlight=False)
        directory = Path(settings.DATA_DIR)
        try:
            with only_one(directory):
                went_well = Demo(directory, console).run(port=free_port(port), check=check)
        except (DemoFailed, EmbeddedUnavailable) as error:
            console.print("[red]✗[/] ", end="")
            console.print(str(error), markup=False, soft_wrap=True)
            went_well = False
        except KeyboardInterrupt:
            went_well = not check
        if not went_well:
            console.print(f"[dim]The logs are in {directory}[/]")
            sys.exit(1)


class Demo:
    """One run of the demo, from the empty directory to the last process's end."""

    def __init__(self, directory: Path, console: Console) -> None:
        self._directory = directory
        self._console = console
        self._servers = Servers.where_unset(directory)
        self._logins: list[Login] = []

    def run(self, *, port: int, check: bool) -> bool:
        """Run until Ctrl-C, or with `check` until the tour is over; return whether that went well."""
        if check:
            self._servers.remove_files()
        self._directory.mkdir(parents=True, exist_ok=True)
        log_to(self._directory / "demo.log")
        processes = Processes(self._directory, port=port, servers=self._servers)
        went_well = True
        try:
            self._start(processes)
            if check:
                went_well = self._tour(processes)
            else:
                self._show_first_screen(processes)
                self._wait(processes)
        finally:
            self._stop(processes)
        if check and went_well:
            self._servers.remove_files()
        return went_well

    def _start(self, processes: Processes) -> None:
        with self._step(f"Servers: {', '.join(self._servers.logs()) or 'yours'}"):
            self._servers.start()
        with self._step("Database"):
            call_command("migrate", verbosity=0)
        with self._step("Example organisation"):
            self._logins = seed()
        with self._step("Web server, worker and beat"):
            disconnect()
            processes.start()

    def _stop(self, processes: Processes) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # it is on its way
        with self._step("Stopped"):
            processes.stop()
            disconnect()
            self._servers.stop()

    def _wait(self, processes: Processes) -> None:
        try:
            while True:
                processes.check()
                time.sleep(0.5)
        except KeyboardInterrupt:
            self._console.print()

    def _tour(self, processes: Processes) -> bool:
        tour = Tour(
            url=processes.url,
            logins={login.role: (login.email, login.password) for login in self._logins},
            mail_folder=Path(settings.EMAIL_FILE_PATH),
        )
        went_well = tour.run(self._console)
        processes.check()
        if not went_well:
            self._console.print(processes.last_words(), markup=False, soft_wrap=True)
        return went_well

    def _show_first_screen(self, processes: Processes) -> None:
        addresses = Table.grid(padding=(0, 2))
        addresses.add_row("Staff", f"{processes.url}/admin/")
        addresses.add_row("API", f"{processes.url}/api/docs/")
        addresses.add_row("E-mails", f"{settings.EMAIL_FILE_PATH}/")
        addresses.add_row("Logs", f"{self._directory}/*.log")
        self._console.print(Panel(addresses, title="Holdfast is running", title_align="left"))
        logins = Table("Role", "E-mail", "Password", title="Sign in as", title_justify="left")
        for login in self._logins:
            logins.add_row(login.role, login.email, login.password)
        self._console.print(logins)
        self._console.print("\n[dim]Ctrl-C stops everything; the data stays.[/]")

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        with self._console.status(name):
            yield
        self._console.print(f"[green]✓[/] {name} [dim]{time.monotonic() - begun:.1f} s[/]")


def use_own_directory() -> None:
    """Start this command again with its data beside the demo's, unless that is so already."""
    own = Path(settings.BASE_DIR) / "var" / "demo-check"
    if Path(settings.DATA_DIR) != own:
        environment = {**os.environ, "HOLDFAST_DATA": str(own)}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold a lock, as two demos over the same data would only confuse.

    Raises:
        DemoFailed: another process has it.
    """
    path = directory.with_name(f"{directory.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoFailed(f"A demo is running on {directory} already.") from error
        yield


def disconnect() -> None:
    """Leave the database; an open pool would go on trying when its server has been stopped."""
    connection = connections[DEFAULT_DB_ALIAS]
    connection.close()
    if isinstance(connection, DatabaseWrapper):
        connection.close_pool()


def log_to(path: Path) -> None:
    """Send what this process logs to a file: the terminal is for the reader of the screen."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(path.open("a"))


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
