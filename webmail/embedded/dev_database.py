"""The database of `dev`: roles, schema and demo, made when they are missing and left alone when they are there."""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from webmail.embedded.relay_store import write_durably

ROLES = ("mtumail_owner", "mtumail_web", "mtumail_worker", "mtumail_inbound", "mtumail_backup")


def passwords(path: Path) -> dict[str, str]:
    """The roles' passwords, kept in the file `path` (0600); made if missing."""
    try:
        known: dict[str, str] = json.loads(path.read_text())
    except FileNotFoundError:
        known = {}
    missing = [role for role in ROLES if role not in known]
    if missing:
        known |= {role: secrets.token_urlsafe(24) for role in missing}
        write_durably(path, json.dumps(known, indent=1).encode() + b"\n")
    return known


@dataclass(frozen=True, slots=True)
class Prepared:
    """A database that was brought up to date: from what (`digest`), to which `revision`, and each role's address."""

    digest: str
    revision: str
    urls: dict[str, str]


def digest(admin_url: str, known: Mapping[str, str], sources: list[Path]) -> str:
    """Changes with whatever could make roles, addresses or schema differ."""
    parts = [admin_url, *(f"{role} {known[role]}" for role in sorted(known))]
    texts = [path.name.encode() + b"\0" + path.read_bytes() for path in sorted(sources)]
    return hashlib.sha256(b"\0".join([part.encode() for part in parts] + texts)).hexdigest()


def sources(package: Path) -> list[Path]:
    """The files that decide about roles and schema."""
    return [package / "provision.py", *(package / "migrations").glob("versions/*.py")]


def warm_up() -> None:
    """Import the database driver: 0.2 s that can pass while the servers start."""
    import psycopg  # noqa: F401


def remembered(path: Path, wanted: str) -> Prepared | None:
    """What the last start prepared, if it still holds: asking costs 0.1 s, importing what migrates a second or more."""
    try:
        prepared = Prepared(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    if prepared.digest != wanted or _revision(prepared.urls["owner"]) != prepared.revision:
        return None
    return prepared


def prepare(
    path: Path,
    wanted: str,
    provision: Callable[[], Mapping[str, str]],
    migrate: Callable[[str], None],
) -> Prepared:
    """Make roles and schema, and remember it in the file `path` (0600)."""
    urls = dict(provision())
    migrate(urls["owner"])
    prepared = Prepared(wanted, _revision(urls["owner"]) or "", urls)
    if prepared.revision:
        write_durably(path, json.dumps(asdict(prepared)).encode())
    return prepared


def _revision(owner_url: str) -> str | None:
    """The schema's revision, None if there is none to be read."""
    import psycopg

    address = owner_url.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        with psycopg.connect(address, connect_timeout=5) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.Error:
        return None
    return str(row[0]) if row else None
