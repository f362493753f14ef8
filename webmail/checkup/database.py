"""Postgres: that it can be reached, keeps what it was given, has our schema, and that what waits in it is worked on."""

from collections.abc import Iterator
from datetime import timedelta
from time import time

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail import provision, work
from webmail.checkup.findings import Finding, bad, ok, warn
from webmail.config import Settings
from webmail.settings import dkim_keys

OLDEST = 17
_DURABLE = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "remote_write", "remote_apply"),
}
_CLOCKS = 5
"""Seconds by which the database's clock and ours may differ: leases and tokens are measured with both."""
STANDS, BACKUP = timedelta(hours=1), timedelta(days=2)
WAITS = timedelta(minutes=10)
"""After which work that nobody took means that nobody is there to take it."""


def look(settings: Settings) -> Iterator[Finding]:
    """All there is to say of the database that DATABASE_URL names."""
    if not settings.database_url:
        yield bad("database", "DATABASE_URL is not set", "`mtumail init`, or docs/production.md, makes one")
        return
    engine = create_engine(settings.database_url, poolclass=NullPool, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            yield from _server(connection)
            yield from _durability(connection)
            yield from _role(connection, settings)
        behind = _schema(settings)
        yield behind
        if behind.state == "ok":
            with engine.connect() as connection:
                yield _signing(connection)
                yield from _working(connection)
    except DBAPIError as error:
        words = f"cannot be reached ({type(error.orig).__name__})"
        yield bad(
            "database", words, "is it running, and are its address, role and password in DATABASE_URL right?"
        )
    finally:
        engine.dispose()


def _ask(connection: Connection, query: str) -> str:
    return str(connection.execute(text(query)).scalar())


def _server(connection: Connection) -> Iterator[Finding]:
    version, role = _ask(connection, "SHOW server_version"), _ask(connection, "SELECT current_user")
    yield ok("database", f"PostgreSQL {version} as {role}")
    if int(_ask(connection, "SHOW server_version_num")) // 10_000 < OLDEST:
        yield bad("database version", version, f"use PostgreSQL {OLDEST} or newer")
    if _ask(connection, "SHOW server_encoding") != "UTF8":
        yield bad("database encoding", "is not UTF8", "make the database anew with ENCODING 'UTF8'")
    apart = abs(float(_ask(connection, "SELECT extract(epoch FROM clock_timestamp())")) - time())
    if apart > _CLOCKS:
        yield bad("clock", f"the database's clock is {apart:.0f} s from ours", "run NTP on both machines")


def _durability(connection: Connection) -> Iterator[Finding]:
    for name, good in _DURABLE.items():
        value = _ask(connection, f"SHOW {name}")
        if value in good:
            yield ok(name, value)
        else:
            yield bad(
                name,
                f"{value}, so that a power cut loses mail",
                f"ALTER SYSTEM SET {name} = '{good[0]}'; and reload",
            )


def _role(connection: Connection, settings: Settings) -> Iterator[Finding]:
    query = "SELECT (rolsuper OR rolbypassrls)::int FROM pg_roles WHERE rolname = current_user"
    if _ask(connection, query) == "1":
        yield bad(
            "database role",
            "may pass every wall by, the one between mailboxes too",
            "connect as mtumail_web, mtumail_worker or mtumail_inbound: see docs/production.md",
        )
    far = (make_url(settings.database_url).host or "") not in ("", "localhost", "127.0.0.1", "::1")
    if far and _ask(connection, "SELECT ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()") != "1":
        yield warn("database link", "is not encrypted", "add ?sslmode=verify-full to DATABASE_URL")


def _schema(settings: Settings) -> Finding:
    try:
        waiting = provision.pending(settings.database_url)
    except ValueError:  # a revision that we do not know
        return bad("schema", "is newer than this version of mtumail", "install the version that made it")
    if waiting:
        return bad(
            "schema", f"behind by {len(waiting)}", "run `mtumail migrate` with the owner's DATABASE_URL"
        )
    return ok("schema", "up to date")


def _signing(connection: Connection) -> Finding:
    unsigned = connection.execute(dkim_keys.UNSIGNED).scalars().all()
    if not unsigned:
        return ok("dkim", "every hosted domain signs its mail")
    name = unsigned[0]
    more = f" and {len(unsigned) - 1} more have" if len(unsigned) > 1 else " has"
    return bad(
        "dkim",
        f"{name}{more} no active key, so that mail leaves unsigned and its own people are warned of each other",
        f"`mtumail keys dkim create {name}`, publish the records, `mtumail keys dkim activate {name}`",
    )


def _working(connection: Connection) -> Iterator[Finding]:
    """What waits, as far as this role may know it: inbound may not."""
    if _ask(connection, "SELECT has_function_privilege('service_facts(text[])', 'EXECUTE')") != "True":
        return
    told = connection.execute(_FACTS, {"kinds": list(work.KINDS)}).all()

    def above(name: str, limit: float) -> list[str]:
        return sorted(one.label for one in told if one.name == name and one.value > limit)

    late, parked = above("queue_oldest_seconds", WAITS.total_seconds()), above("queue_parked", 0)
    if late:
        words = f"work waits for over {WAITS.seconds // 60} minutes ({', '.join(late)})"
        yield bad("queue", words, "is `mtumail worker` running?")
    else:
        yield ok("queue", "nothing waits for long")
    if parked:
        words = f"some is set aside after failing too often ({', '.join(parked)})"
        yield warn("queue", words, "the worker's log says why: `set aside`")
    stood, failed = above("schedule_late_seconds", STANDS.total_seconds()), above("schedule_failed", 0)
    if stood:
        yield bad("schedules", f"late by over an hour: {', '.join(stood)}", "is `mtumail worker` running?")
    if failed:
        words = f"failed the last time: {', '.join(failed)}"
        yield warn("schedules", words, "the worker's log says why: `schedule failed`")
    if above("backup_age_seconds", BACKUP.total_seconds()):
        yield bad(
            "backup",
            "the last good one is over two days old",
            "`mtumail backup --help`, or see /admin/backups",
        )


_FACTS = text("SELECT name, label, value FROM service_facts(CAST(:kinds AS text[]))")
