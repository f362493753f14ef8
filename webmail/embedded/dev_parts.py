"""The parts of `dev`: which program, with which environment, and how one sees that it answers."""

import errno
import http.client
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from webmail.embedded.process import EmbeddedError
from webmail.embedded.supervisor import Part

_PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the parts listen, all on loopback."""

    http: int
    smtp: int
    clerk: int
    relay: int

    @property
    def origin(self) -> str:
        return f"http://mail.localhost:{self.http}"

    @property
    def ready_line(self) -> str:
        """The one line that tells people, and programs, where everything is."""
        return (
            f"ready {self.origin} smtp://127.0.0.1:{self.smtp} "
            f"clerk http://clerk.localhost:{self.clerk} relay smtp://127.0.0.1:{self.relay}"
        )


def choose_ports(wanted: Mapping[str, int]) -> Ports:
    """Check that the wanted ports (option -> number, 0 for any) are free. Raises EmbeddedError for the first that is not."""
    held: list[socket.socket] = []
    chosen: dict[str, int] = {}
    try:
        for name, number in wanted.items():
            probe = socket.socket(socket.AF_INET)
            held.append(probe)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            option = f"--{name}-port"
            try:
                probe.bind(("127.0.0.1", number))
                probe.listen(1)  # two sockets may be bound to one port with SO_REUSEADDR; only one may listen
            except (OSError, OverflowError) as error:
                why = (
                    "is taken"
                    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE
                    else f"cannot be used ({error})"
                )
                raise EmbeddedError(
                    f"port {number} {why}; choose another with {option} N, or 0 for any free one"
                ) from None
            chosen[name] = probe.getsockname()[1]
    finally:
        for probe in held:
            probe.close()
    return Ports(**chosen)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the environments of the parts are made from."""

    data_dir: Path
    ports: Ports
    master_key: Path
    database_urls: Mapping[str, str]
    redis_url: str
    clerk: Mapping[str, str]
    inherited: Mapping[str, str]

    def common(self) -> dict[str, str]:
        """What every part may know. No secret is in it, wherever `dev` was started."""
        secret = ("CLERK_", "PG", "MTUMAIL_MASTER_KEY", "DATABASE_URL", "REDIS_URL")
        kept = {name: value for name, value in self.inherited.items() if not name.startswith(secret)}
        if kept.pop("PYTHONDONTWRITEBYTECODE", None):
            # Without compiled modules each start compiles 3 s of libraries anew; here they litter nobody's tree.
            kept["PYTHONPYCACHEPREFIX"] = str(self.data_dir / "pycache")
        kept.setdefault("MTUMAIL_REGISTRATION", "open")  # dev is for trying things
        for unhurried in ("MTUMAIL_UNDO_SECONDS", "MTUMAIL_SEND_HOUR", "MTUMAIL_SEND_DAY"):
            kept.setdefault(unhurried, "0")
        return kept | {
            "PYTHONUNBUFFERED": "1",
            "MTUMAIL_ENV": "development",
            "MTUMAIL_ORIGIN": self.ports.origin,
            "MTUMAIL_HTTP_LISTEN": f"127.0.0.1:{self.ports.http}",
            "MTUMAIL_SMTP_LISTEN": f"127.0.0.1:{self.ports.smtp}",
            "MTUMAIL_RELAY_URL": f"smtp://127.0.0.1:{self.ports.relay}",
            "MTUMAIL_HOSTNAME": "mail.localhost",
            "MTUMAIL_DATA_DIR": str(self.data_dir),
        }

    def backups(self) -> dict[str, str]:
        """What makes backups, beside everything else: to be tried, and no safety."""
        if "backup" not in self.database_urls:
            return {}
        return {
            "MTUMAIL_BACKUP_TO": str(self.data_dir / "backups"),
            "MTUMAIL_BACKUP_KEY_FILE": str(self.data_dir / "backup.key"),
            "MTUMAIL_BACKUP_URL": self.database_urls["backup"],
        }

    def of(self, name: str) -> dict[str, str]:
        """The environment of one part: `web`, `worker`, `inbound`, `clerk` or `relay`."""
        environment = self.common()
        if name in ("web", "worker", "inbound"):
            environment |= {"DATABASE_URL": self.database_urls[name], "REDIS_URL": self.redis_url}
        if name in ("web", "worker"):
            environment["MTUMAIL_MASTER_KEY_FILE"] = str(self.master_key)
        if name == "worker":
            environment |= self.backups()
        if name in ("web", "worker", "clerk"):
            environment |= self.clerk
        return environment


Command = Callable[[str], list[str]]


def module_command(surroundings: Surroundings) -> Command:
    """The commands of our own processes."""
    python, ports, data_dir = sys.executable, surroundings.ports, str(surroundings.data_dir)

    def command(name: str) -> list[str]:
        if name == "clerk":
            options = ["--port", str(ports.clerk), "--data-dir", data_dir, "--origin", ports.origin]
            options += ["--webhook-url", f"{ports.origin}/webhooks/clerk"]
            return [python, "-m", "webmail.embedded.clerk", *options]
        if name == "relay":
            options = ["--listen", f"127.0.0.1:{ports.relay}", "--data-dir", data_dir]
            options += ["--hosted", "mtumail.test", "--inbound", f"127.0.0.1:{ports.smtp}"]
            return [python, "-m", "webmail.embedded.relay", *options]
        return [python, "-m", "webmail.cli", name]

    return command


def part(name: str, surroundings: Surroundings, command: Command, root: Path) -> Part:
    """One of our own processes as a part, working in `root`."""
    ports = surroundings.ports
    ready: dict[str, Callable[[], bool]] = {
        "web": lambda: http_answers(ports.http, "mail.localhost", "/readyz", lambda status: status == 200),
        "clerk": lambda: http_answers(ports.clerk, "clerk.localhost", "/", lambda status: status < 500),
        "inbound": lambda: smtp_answers(ports.smtp),
        "relay": lambda: smtp_answers(ports.relay),
    }
    return Part(
        name=name,
        argv=command(name),
        env=surroundings.of(name),
        log=surroundings.data_dir / "logs" / f"{name}.log",
        ready=ready.get(name),
        # Gunicorn waits for open connections; a browser may hold one for long.
        stop_signals=(signal.SIGTERM, signal.SIGQUIT) if name == "web" else (signal.SIGTERM,),
        cwd=lambda: root,
    )


def http_answers(port: int, host: str, path: str, good: Callable[[int], bool]) -> bool:
    """True if GET `path` on loopback answers with a status that is `good`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": f"{host}:{port}", "Connection": "close"})
        return good(connection.getresponse().status)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def smtp_answers(port: int) -> bool:
    """True if an SMTP server on loopback greets."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_PROBE_SECONDS) as connection:
            greeted = connection.recv(512).startswith(b"220")
            connection.sendall(b"QUIT\r\n")
            return greeted
    except OSError:
        return False


def project_root() -> Path:
    """The folder that holds the package `webmail`."""
    return Path(os.path.abspath(__file__)).parents[2]
