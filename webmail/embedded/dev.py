"""Everything on one machine, in the foreground: `mtumail dev`.

The first start makes what is missing (database, roles, master key, demo people); later ones find it. The order: the servers and
the parts that need no database at once, then the schema, then the parts that need it, then the one line that says `ready`.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from webmail.embedded import dev_database
from webmail.embedded.dev_parts import (
    Command,
    Ports,
    Surroundings,
    choose_ports,
    module_command,
    part,
    project_root,
)
from webmail.embedded.logs import LogFile
from webmail.embedded.people import DEMO_PASSWORD, DEMO_PEOPLE, DEMO_TOTP_SECRET
from webmail.embedded.postgres import PostgresServer
from webmail.embedded.process import EmbeddedError, lock, private_folder
from webmail.embedded.relay_store import write_durably
from webmail.embedded.server import EmbeddedServer
from webmail.embedded.supervisor import Part, Supervisor
from webmail.embedded.valkey import ValkeyServer

_READY_SECONDS = 60.0
_PORT_PATIENCE = 8.0


@dataclass(frozen=True, slots=True)
class DevOptions:
    """What the command line of `dev` says. A port of 0 is any free one; `empty` leaves out the demo mail."""

    data_dir: Path | None = None
    http_port: int = 8000
    smtp_port: int = 2525
    clerk_port: int = 8001
    relay_port: int = 2526
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Steps:
    """What `dev` asks of the rest of mtumail. Imported when needed: each import costs a start more than a server does."""

    create_master_key: Callable[[Path], object]
    clerk_environment: Callable[[int, str, Path], Mapping[str, str]]
    provision: Callable[[str, Mapping[str, str]], Mapping[str, str]]
    migrate: Callable[[str], None]
    seed: Callable[[Mapping[str, str], bool], None]
    command: Callable[[Surroundings], Command] = module_command


def _own_steps() -> Steps:
    def create_master_key(path: Path) -> None:
        from webmail import keys

        keys.create_master_key(path)

    def clerk_environment(port: int, origin: str, data_dir: Path) -> Mapping[str, str]:
        from webmail.embedded.clerk import credentials

        return credentials.local_environment(port, origin, data_dir)

    def provision(admin_url: str, passwords: Mapping[str, str]) -> Mapping[str, str]:
        from webmail import provision

        return provision.provision(admin_url, passwords)

    def migrate(owner_url: str) -> None:
        from webmail import provision

        provision.migrate(owner_url)

    def seed(environment: Mapping[str, str], empty: bool) -> None:
        from webmail.embedded import seed

        seed.seed(environment, empty)

    return Steps(create_master_key, clerk_environment, provision, migrate, seed)


def run_dev(
    options: DevOptions, steps: Steps | None = None, environment: Mapping[str, str] = os.environ
) -> int:
    """Run everything until SIGINT or SIGTERM. Returns 0 then, 1 with one line on stderr if something cannot run."""
    if environment.get("MTUMAIL_ENV") == "production":
        # Its demo people have known passwords, some of them staff; with a DATABASE_URL they would move in there.
        _say("mtumail dev: MTUMAIL_ENV says production; dev is for trying things, never beside people's mail")
        return 1
    try:
        _Dev(options, steps or _own_steps(), environment).run()
    except KeyboardInterrupt:
        return 0
    except EmbeddedError as error:
        _say(f"mtumail dev: {error}")
        return 1
    return 0


def _say(text: str) -> None:
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201


class _Dev:
    def __init__(self, options: DevOptions, steps: Steps, environment: Mapping[str, str]) -> None:
        self.options = options
        self.steps = steps
        self.environment = environment
        self.root = project_root()
        self.data_dir = Path(os.path.abspath(options.data_dir or self.root / ".dev"))
        self.logs = self.data_dir / "logs"

    def run(self) -> None:
        self._make_folders()
        held = lock(self.data_dir / "dev.lock", wait=0.3)
        if held is None:
            raise EmbeddedError(
                f"another `dev` is running on {self.data_dir}; stop it, or choose another --data-dir"
            )
        try:
            # A run that was killed leaves its mark; what it started may take a moment to end.
            ports = self._choose_ports(patience=_PORT_PATIENCE if os.fstat(held).st_size else 0.0)
            os.pwrite(held, b"running\n", 0)
            self.log = LogFile("dev", self.logs / "dev.log")
            self._run(ports)
            os.ftruncate(held, 0)
        finally:
            os.close(held)

    def _make_folders(self) -> None:
        # Postgres of a `dev` run by root is another user, who must pass through.
        private_folder(self.data_dir, 0o711 if os.geteuid() == 0 else 0o700)
        owner = self.data_dir.stat().st_uid
        if owner != os.geteuid():
            raise EmbeddedError(
                f"the folder {self.data_dir} belongs to user {owner}; run as that user, or choose another --data-dir"
            )
        private_folder(self.logs)

    def _choose_ports(self, patience: float) -> Ports:
        options = self.options
        wanted = {
            "http": options.http_port,
            "smtp": options.smtp_port,
            "clerk": options.clerk_port,
            "relay": options.relay_port,
        }
        deadline = time.monotonic() + patience
        while True:
            try:
                return choose_ports(wanted)
            except EmbeddedError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.1)

    def _tell(self, text: str) -> None:
        _say(text)
        self.log.write(text.encode())

    def _run(self, ports: Ports) -> None:
        servers: list[EmbeddedServer] = []
        try:
            with Supervisor(say=self._tell) as supervisor:
                self._start(supervisor, ports, servers)
                supervisor.watch()
                self._tell("stopping")
        finally:
            for server in servers:
                server.release()

    def _start(self, supervisor: Supervisor, ports: Ports, servers: list[EmbeddedServer]) -> None:
        started = time.monotonic()
        first = not (self.data_dir / "prepared.json").exists()
        self._tell("making the database: the first start takes a few seconds" if first else "starting")
        with supervisor.interruptible():
            surroundings = self._surroundings(ports)
        command = self.steps.command(surroundings)
        admin_url = self._launch_postgres(supervisor, servers)
        surroundings = replace(surroundings, redis_url=self._launch_valkey(supervisor, servers))
        early = [part(name, surroundings, command, self.root) for name in ("clerk", "relay")]
        for item in early:
            supervisor.launch(item)
        dev_database.warm_up()
        if not supervisor.wait(*(server.name for server in servers)):
            return
        with supervisor.interruptible():
            surroundings = self._prepare_database(surroundings, admin_url())
        late = [part(name, surroundings, command, self.root) for name in ("web", "worker", "inbound")]
        for item in late:
            supervisor.launch(item)
        if supervisor.wait(*(item.name for item in (*early, *late)), timeout=_READY_SECONDS):
            self._tell(f"up after {time.monotonic() - started:.1f} s")
            self._announce(ports)

    def _surroundings(self, ports: Ports) -> Surroundings:
        master_key = self.data_dir / "master.key"
        if not master_key.exists():
            self.steps.create_master_key(master_key)
        backup_key = self.data_dir / "backup.key"
        if not backup_key.exists():
            self.steps.create_master_key(backup_key)
        private_folder(self.data_dir / "backups")
        return Surroundings(
            data_dir=self.data_dir,
            ports=ports,
            master_key=master_key,
            database_urls={},
            redis_url="",
            clerk=self.steps.clerk_environment(ports.clerk, ports.origin, self.data_dir),
            inherited=self.environment,
        )

    def _launch_postgres(self, supervisor: Supervisor, servers: list[EmbeddedServer]) -> Callable[[], str]:
        url = self.environment.get("DATABASE_URL")
        if url:
            return lambda: url
        server = PostgresServer(self.data_dir / "postgres")
        servers.append(server)
        supervisor.launch(Part.of(server, self.logs / "postgres.log"))
        return lambda: server.admin_url

    def _launch_valkey(self, supervisor: Supervisor, servers: list[EmbeddedServer]) -> str:
        url = self.environment.get("REDIS_URL")
        if url:
            return url
        server = ValkeyServer(self.data_dir / "valkey")
        servers.append(server)
        supervisor.launch(Part.of(server, self.logs / "valkey.log"))
        return server.url

    def _prepare_database(self, surroundings: Surroundings, admin_url: str) -> Surroundings:
        """Roles, database, schema, and on the first start the demo."""
        known = dev_database.passwords(self.data_dir / "database.json")
        path = self.data_dir / "prepared.json"
        wanted = dev_database.digest(admin_url, known, dev_database.sources(self.root / "webmail"))
        doing = "the database cannot be prepared"
        try:
            prepared = dev_database.remembered(path, wanted) or dev_database.prepare(
                path, wanted, lambda: self.steps.provision(admin_url, known), self.steps.migrate
            )
            surroundings = replace(surroundings, database_urls=prepared.urls)
            doing = "the demo cannot be set up"
            self._seed(surroundings)
        except EmbeddedError:
            raise
        except Exception as error:
            for line in traceback.format_exc().splitlines():
                self.log.write(line.encode())
            raise EmbeddedError(f"{doing}: {type(error).__name__} (more in {self.log.path})") from error
        return surroundings

    def _seed(self, surroundings: Surroundings) -> None:
        marker = self.data_dir / "seeded"
        if not marker.exists():
            self._tell(
                "setting up the demo people"
                if self.options.empty
                else "setting up the demo people and their mail"
            )
            # The owner's role: the demo is written past the walls that the processes' roles stand behind.
            environment = surroundings.of("web") | {"DATABASE_URL": surroundings.database_urls["owner"]}
            self.steps.seed(environment, self.options.empty)
            write_durably(marker, b"empty\n" if self.options.empty else b"demo\n")

    def _announce(self, ports: Ports) -> None:
        people = "\n".join(f"  {person.email:<20} {person.role.replace('_', ' ')}" for person in DEMO_PEOPLE)
        text = (
            f"\nSign in at {ports.origin} with the password {DEMO_PASSWORD}, as one of\n{people}\n"
            f"Staff are asked for a code too; its TOTP secret is {DEMO_TOTP_SECRET}.\n"
            f"What mtumail sends lies in {self.data_dir / 'relay'}, the logs in {self.logs}. Ctrl-C stops everything.\n\n"
        )
        with suppress(OSError):
            print(f"{text}{ports.ready_line}", flush=True)  # noqa: T201
