"""Roles, the database and its migrations: what must stand before any process of mtumail starts.

Five login roles: `mtumail_owner` owns the tables and migrates; `mtumail_web`, `mtumail_worker` and `mtumail_inbound` each hold
just what their process needs (the migrations grant it); `mtumail_backup` reads every row, sealed as it is, and changes none. None
is a superuser, none may bypass row security. `mtumail_staff` cannot
log in: for pages of the staff, the web process becomes it for one transaction (`db.transaction(staff=True)`), and has then no right
to mail.
"""

import importlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from webmail.errors import SettingError

OWNER, WEB, WORKER, INBOUND = "mtumail_owner", "mtumail_web", "mtumail_worker", "mtumail_inbound"
BACKUP = "mtumail_backup"
ROLES = (OWNER, WEB, WORKER, INBOUND, BACKUP)
STAFF = "mtumail_staff"
LOCK_SECONDS, LOCK_TRIES, LOCK_PAUSE = 3, 20, 0.5
_MIGRATION_LOCK = 0x6D74_756D  # "mtum": two migration runs wait for each other
_MODELS = (
    "webmail.audit",
    "webmail.settings.models",
    "webmail.identity.models",
    "webmail.identity.role_models",
    "webmail.identity.session_models",
    "webmail.identity.webhook_models",
    "webmail.mail.models",
    "webmail.mail.contact_models",
    "webmail.mail.membership_models",
    "webmail.sending.models",
    "webmail.sending.writing_models",
    "webmail.sending.trials",
    "webmail.governance.models",
    "webmail.governance.cases.models",
    "webmail.governance.access.models",
    "webmail.governance.actions.models",
    "webmail.governance.memory.models",
    "webmail.governance.quarantine.models",
    "webmail.work",
    "webmail.schedules",
    "webmail.samples",
    "webmail.operations.deliveries",
    "webmail.operations.people_models",
    "webmail.operations.alerts_models",
    "webmail.privacy.retention",
    "webmail.privacy.secret_models",
    "webmail.privacy.backup.models",
    "webmail.privacy.erasure.models",
    "webmail.privacy.requests.models",
    "webmail.privacy.restricting.models",
    "webmail.privacy.export.models",
    "webmail.privacy.taking_in.models",
)


def import_models() -> None:
    """Import every module that declares tables, so that `Base.metadata` is whole."""
    for name in _MODELS:
        importlib.import_module(name)


def provision(admin_url: str, passwords: Mapping[str, str], database: str = "mtumail") -> dict[str, str]:
    """Create the roles and the database if they are missing, and set the roles' passwords. Safe to repeat.

    `admin_url` is a role that may create both; `passwords` maps each of ROLES to its password. Returns the URL of each role by its
    short name: owner, web, worker, inbound, backup.
    """
    engine = create_engine(_driver(admin_url), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        for role in ROLES:
            known = connection.execute(
                text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}
            ).scalar()
            verb = "ALTER" if known else "CREATE"
            statement = sql.SQL(
                verb + " ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD {}"
            )
            raw.execute(statement.format(sql.Identifier(role), sql.Literal(passwords[role])))
        _make_staff(raw)
        if not connection.execute(
            text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": database}
        ).scalar():
            raw.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(OWNER)))
            raw.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(OWNER))
            )
        raw.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
        for role in ROLES:
            raw.execute(
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                    sql.Identifier(database), sql.Identifier(role)
                )
            )
    engine.dispose()
    base = make_url(_driver(admin_url)).set(database=database)
    return {
        role.removeprefix("mtumail_"): base.set(username=role, password=passwords[role]).render_as_string(
            hide_password=False
        )
        for role in ROLES
    }


def _make_staff(raw: Any) -> None:
    """The role that web becomes for pages of the staff. NOINHERIT: web has its rights only while it says that it is it."""
    if not raw.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [STAFF]).fetchone():
        raw.execute(sql.SQL("CREATE ROLE {} NOLOGIN NOSUPERUSER NOBYPASSRLS").format(sql.Identifier(STAFF)))
    raw.execute(sql.SQL("ALTER ROLE {} NOINHERIT").format(sql.Identifier(WEB)))
    raw.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(STAFF), sql.Identifier(WEB)))


def migrate(owner_url: str, target: str = "head") -> None:
    """Bring the schema to `target` ("head", "base", or a revision), whichever way that is. Two runs at once wait in line.

    Each step is a transaction of its own. One that cannot have its tables within LOCK_SECONDS steps back, so that those who work
    with them do not queue up behind it, and is tried again; after LOCK_TRIES it is given up. Raises OperationalError then.
    """
    for tries in range(1, LOCK_TRIES + 1):
        try:
            _migrate(owner_url, target)
            return
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable) or tries == LOCK_TRIES:
                raise
            time.sleep(LOCK_PAUSE * tries)


def _migrate(owner_url: str, target: str) -> None:
    with _migrating(owner_url) as (config, connection):
        connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
        before = _revision(connection)
        revisions = [
            script.revision for script in reversed(list(ScriptDirectory.from_config(config).walk_revisions()))
        ]
        goal = revisions[-1] if target == "head" else target
        if goal not in (*revisions, "base"):
            raise SettingError("--to", f"{target!r} is no revision of this version", "head")
        position = -1 if goal == "base" else revisions.index(goal)
        if before is not None and revisions.index(before) > position:
            command.downgrade(config, goal)
        else:
            command.upgrade(config, goal if goal != "base" else "head")
            _let_backups_read(connection)


def _let_backups_read(connection: Connection) -> None:
    """Tables that a migration made may have row security; backups read them all the same."""
    if connection.execute(text("SELECT to_regproc('backup_reads_all')")).scalar():
        connection.execute(text("SELECT backup_reads_all()"))
    connection.commit()


def pending(owner_url: str) -> list[str]:
    """Revisions that the database at `owner_url` lacks, oldest first."""
    with _migrating(owner_url) as (config, connection):
        script = ScriptDirectory.from_config(config)
        known = _revision(connection)
        revisions = [item.revision for item in reversed(list(script.walk_revisions()))]
        return revisions if known is None else revisions[revisions.index(known) + 1 :]


@contextmanager
def _migrating(owner_url: str) -> Iterator[tuple[Config, Connection]]:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(_driver(owner_url), poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        connection.commit()
        try:
            config.attributes["connection"] = connection
            yield config, connection
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _MIGRATION_LOCK})
            connection.commit()
    engine.dispose()


def _revision(connection: Connection) -> str | None:
    known = connection.execute(text("SELECT to_regclass('alembic_version')")).scalar()
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if known else None
    connection.commit()
    return revision


def _driver(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else url
