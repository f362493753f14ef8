"""`mtumail doctor`: what stands and what does not, in words that say how to mend it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail import config, provision
from webmail.config import Settings
from webmail.errors import SettingError
from webmail.keys import MasterKeys
from webmail.settings import dkim_keys

_DURABLE = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "remote_write", "remote_apply"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    words: str


def run() -> list[Finding]:
    """Look at everything that this process' environment names."""
    try:
        settings = config.read()
    except SettingError as error:
        return [Finding("settings", False, str(error))]
    findings = [Finding("settings", True, f"{settings.environment}")]
    for look in (_master_key, _database, _redis):
        findings.extend(look(settings))
    return findings


def _master_key(settings: Settings) -> Iterator[Finding]:
    try:
        MasterKeys.from_settings(settings)
        yield Finding("master key", True, "32 bytes, readable by its owner alone")
    except SettingError as error:
        # Inbound seals with public keys and must hold none that opens.
        inbound = (
            (make_url(settings.database_url).username or "") == provision.INBOUND
            if settings.database_url
            else False
        )
        yield Finding("master key", inbound, "not given, as is right for inbound" if inbound else str(error))


def _database(settings: Settings) -> Iterator[Finding]:
    if not settings.database_url:
        yield Finding("database", False, "DATABASE_URL is not set")
        return
    engine = create_engine(settings.database_url, poolclass=NullPool, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            ask: Callable[[str], str] = lambda query: str(connection.execute(text(query)).scalar())  # noqa: E731
            yield Finding(
                "database", True, f"PostgreSQL {ask('SHOW server_version')} as {ask('SELECT current_user')}"
            )
            for name, good in _DURABLE.items():
                value = ask(f"SHOW {name}")
                words = value if value in good else f"{value}; set it to {good[0]}, or a power cut loses mail"
                yield Finding(name, value in good, words)
        waiting = provision.pending(settings.database_url)
        yield Finding(
            "schema",
            not waiting,
            "up to date" if not waiting else f"behind by {len(waiting)}: run `mtumail migrate`",
        )
        if not waiting:
            yield from _signing(engine)
    except DBAPIError as error:
        yield Finding("database", False, f"cannot be reached ({type(error.orig).__name__})")


def _signing(engine: Engine) -> Iterator[Finding]:
    """A finding for each hosted domain whose mail leaves unsigned, or one for all that is well."""
    with engine.connect() as connection:
        unsigned = connection.execute(dkim_keys.UNSIGNED).scalars().all()
    for name in unsigned:
        words = (
            f"{name} has no active key, so its mail leaves unsigned and its own people are warned of each other: "
            f"run `mtumail keys dkim create {name}`, publish the records, then `mtumail keys dkim activate {name}`"
        )
        yield Finding("dkim", False, words)
    if not unsigned:
        yield Finding("dkim", True, "every hosted domain signs its mail")


def _redis(settings: Settings) -> Iterator[Finding]:
    if not settings.redis_url:
        yield Finding("redis", False, "REDIS_URL is not set")
        return
    try:
        Redis.from_url(settings.redis_url, socket_timeout=3, socket_connect_timeout=3).ping()
        yield Finding("redis", True, "answers")
    except (RedisError, OSError) as error:
        yield Finding(
            "redis",
            False,
            f"cannot be reached ({type(error).__name__}); mail is kept, and filed once it is back",
        )
