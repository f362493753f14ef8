"""A Postgres server of our own: made, started, watched and stopped over the plain programs.

It listens on a Unix socket alone, asks every role for its password (SCRAM), and is as durable as a server in production. Its log
holds no statement, parameter or row: see `_QUIET`.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from webmail.embedded import programs
from webmail.embedded.process import (
    EmbeddedError,
    Identity,
    lock,
    private_folder,
    remove_socket_folder,
    socket_folder,
    unprivileged,
)
from webmail.embedded.server import EmbeddedServer

SUPERUSER = "postgres"
_SOCKET = ".s.PGSQL.5432"
_HIDDEN_PROGRAMS = Path("/var/lib/mtumail/programs")
_SOCKET_LOCK = f"{_SOCKET}.lock"
_DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
# An error's text may quote a value ('invalid input syntax for type uuid: "..."'), its DETAIL a row, its CONTEXT a statement:
# so errors of clients go to the client alone, and what is logged of the server's own troubles is its first line.
_QUIET = {
    "log_min_messages": "log",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_statement": "none",
    "log_duration": "off",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_autovacuum_min_duration": "-1",
    "log_temp_files": "-1",
    "log_lock_waits": "off",
    "log_checkpoints": "off",
    "log_replication_commands": "off",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "debug_print_parse": "off",
    "debug_print_rewritten": "off",
    "debug_print_plan": "off",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
}
_MODEST = {
    "listen_addresses": "",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "jit": "off",
    "unix_socket_permissions": "0700",
}


class PostgresServer(EmbeddedServer):
    """One server over the folder `data_dir`, which holds `cluster/`, `superuser.password` and `socket/`.

    `settings` are added to, or replace, our own.
    """

    name = "postgres"
    stop_signals = (signal.SIGINT, signal.SIGQUIT)  # a fast shutdown, then an immediate one

    def __init__(
        self,
        data_dir: Path,
        *,
        bin_dir: Path | None = None,
        settings: Mapping[str, str] | None = None,
        log_path: Path | None = None,
    ) -> None:
        super().__init__(data_dir, log_path)
        self.cluster = self.data_dir / "cluster"
        self._named_bin_dir = bin_dir
        self._bin_dir: Path | None = None
        self._settings = {**_DURABLE, **_QUIET, **_MODEST, **(settings or {})}
        self._identity = Identity()
        self._hidden = False
        self._sockets: Path | None = None
        self._owner_lock: int | None = None

    @property
    def working_dir(self) -> Path:
        return self.cluster

    @property
    def socket_dir(self) -> Path:
        """The folder of the socket; known once prepared."""
        assert self._sockets is not None, "prepare() comes first"
        return self._sockets

    @property
    def bin_dir(self) -> Path:
        """The folder of the programs in use, `pg_dump` among them; known once prepared."""
        assert self._bin_dir is not None, "prepare() comes first"
        return self._bin_dir

    @property
    def password(self) -> str:
        """The superuser's password."""
        return self._password_file.read_text().strip()

    @property
    def admin_url(self) -> str:
        """SQLAlchemy's address of the database `postgres`, as the superuser."""
        return self.url(SUPERUSER, self.password, "postgres")

    def url(self, user: str, password: str, database: str) -> str:
        """SQLAlchemy's address of `database` on this server."""
        names = [quote(part, safe="") for part in (user, password, database)]
        return f"postgresql+psycopg://{names[0]}:{names[1]}@/{names[2]}?host={quote(str(self.socket_dir), safe='/')}"

    @property
    def _preferred_sockets(self) -> Path:
        return self.data_dir / "socket"

    @property
    def _password_file(self) -> Path:
        return self.data_dir / "superuser.password"

    def prepare(self) -> tuple[int, ...]:
        # Other users pass through the folder to the socket and the cluster, both 0700, if the server is one of them.
        private_folder(self.data_dir, 0o711 if os.geteuid() == 0 else 0o700)
        if self._owner_lock is None:
            self._owner_lock = lock(self.data_dir / "supervisor.lock", wait=0.5)
            if self._owner_lock is None:
                raise EmbeddedError(
                    f"the database in {self.data_dir} is already being run by another process"
                )
        found, major = self._find_programs()
        self._check_version(major)
        self._identity = self._choose_identity()
        self._bin_dir = programs.reachable_postgres(
            found, self._identity, _HIDDEN_PROGRAMS if self._hidden else self.data_dir / "programs"
        )
        held = self._lock_cluster()
        try:
            self._sockets = socket_folder(
                self._preferred_sockets, _SOCKET_LOCK, self._identity, short=self._hidden
            )
            self._create_cluster()
            self._identity.give(self.cluster)
            self._remove_stale_files()
        except BaseException:
            os.close(held)
            raise
        return (held,)

    def command(self) -> list[str]:
        quoted = str(self.socket_dir).replace('"', '""')
        settings = {"unix_socket_directories": f'"{quoted}"', **self._settings}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return self._identity.launch(
            [str(self.bin_dir / "postgres"), "-D", self._seen(self.cluster), *options], signal.SIGINT
        )

    def _seen(self, cluster: Path) -> str:
        """The cluster's path for a program that runs in it, and may be unable to walk the real one."""
        return "/proc/self/cwd" if self._hidden else str(cluster)

    def _find_programs(self) -> tuple[Path, int]:
        if self._named_bin_dir is None:
            return programs.postgres_programs()
        return programs.postgres_programs({"MTUMAIL_PG_BIN": str(self._named_bin_dir)})

    def _check_version(self, major: int) -> None:
        try:
            held = (self.cluster / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return
        except OSError as error:
            raise EmbeddedError(
                f"the database folder {self.cluster} cannot be read: {error.strerror}"
            ) from None
        if held != str(major):
            raise EmbeddedError(
                f"{self.cluster} holds a database of Postgres {held}, and the programs found are version {major}: "
                f"set MTUMAIL_PG_BIN to the programs of version {held}, or save it with their `pg_dumpall`, move the "
                "folder away, start anew and load the dump"
            )

    def _choose_identity(self) -> Identity:
        if os.geteuid() != 0:
            return Identity()
        owner = self.cluster.stat().st_uid if self.cluster.exists() else 0
        uid, gid = unprivileged(owner)
        self._hidden = False
        for identity in (Identity(uid, gid), Identity(uid, gid, namespace=True)):
            if identity.can_enter(self.data_dir):
                return identity
        # Containers often forbid namespaces. A program started inside of a folder stays in it, whatever lies above.
        self._hidden = Path("/proc/self/cwd").exists()
        if self._hidden:
            return Identity(uid, gid)
        raise EmbeddedError(
            f"Postgres does not run as root, and user {uid} cannot reach {self.data_dir}: choose a data folder outside "
            "of private folders, run mtumail as an ordinary user, or set DATABASE_URL"
        )

    def _lock_cluster(self) -> int:
        path = self.data_dir / "cluster.lock"
        held = lock(path, wait=2.0)
        if held is None:
            # We are the only supervisor, so what holds the lock is a server whose supervisor was killed.
            self._signal_orphan(signal.SIGINT)
            held = lock(path, wait=10.0)
        if held is None:
            self._signal_orphan(signal.SIGQUIT)
            held = lock(path, wait=10.0)
        if held is None:
            raise EmbeddedError(
                f"an earlier server of {self.data_dir} does not end; stop its processes first"
            )
        return held

    def _recorded_pid(self) -> int | None:
        try:
            return int((self.cluster / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _runs_here(self, pid: int) -> bool:
        """True if `pid` is a live process at work in our cluster: no zombie, and no stranger who was given an old number."""
        try:
            if Path("/proc/self").exists():
                return os.path.samefile(f"/proc/{pid}/cwd", self.cluster)
            os.kill(pid, 0)
        except OSError:
            return False
        return True

    def _signal_orphan(self, number: signal.Signals) -> None:
        pid = self._recorded_pid()
        if pid is not None and self._runs_here(pid):
            os.kill(pid, number)

    def _remove_stale_files(self) -> None:
        # Postgres asks only whether the recorded number is some process: a zombie, or anybody's after a restart of the machine.
        pid = self._recorded_pid()
        if pid is not None and self._runs_here(pid):
            raise EmbeddedError(
                f"a Postgres server that mtumail did not start (process {pid}) runs on {self.cluster}; stop it first"
            )
        for path in (
            self.cluster / "postmaster.pid",
            self.socket_dir / _SOCKET_LOCK,
            self.socket_dir / _SOCKET,
        ):
            path.unlink(missing_ok=True)

    def _create_cluster(self) -> None:
        if self.cluster.exists():
            if not self._password_file.exists():
                raise EmbeddedError(
                    f"{self._password_file} is missing, and the database in {self.cluster} opens to nobody without it"
                )
            return
        making = self.data_dir / "cluster.new"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        os.chown(making, *self._identity.owner)
        password = secrets.token_urlsafe(24)
        descriptor = os.open(
            self._password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600
        )
        with os.fdopen(descriptor, "w") as file:
            file.write(password + "\n")
            file.flush()
            os.fsync(file.fileno())
        copy = self.socket_dir / "password"
        try:
            copy.write_text(password + "\n")
            os.chown(copy, *self._identity.owner)
            self._initdb(making, copy)
        finally:
            copy.unlink(missing_ok=True)
        making.rename(self.cluster)

    def _initdb(self, cluster: Path, password_file: Path) -> None:
        program = [
            str(self.bin_dir / "initdb"),
            "-D",
            self._seen(cluster),
            "-U",
            SUPERUSER,
            f"--pwfile={password_file}",
        ]
        program += [
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
        ]
        done = subprocess.run(
            self._identity.launch(program),
            cwd=cluster,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            last = (
                done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
            ).splitlines()[-1]
            raise EmbeddedError(f"initdb could not make the database in {cluster}: {last}")

    def ready(self) -> bool:
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            if len(lines) < 8 or lines[7].strip() != "ready":
                return False
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket_dir / _SOCKET))
        except OSError:
            return False
        return True

    def release(self) -> None:
        remove_socket_folder(self._sockets, self._preferred_sockets)
        if self._owner_lock is not None:
            os.close(self._owner_lock)
            self._owner_lock = None
