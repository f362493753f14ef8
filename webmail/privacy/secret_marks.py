"""Since when each secret of the environment is what it is: kept as a keyed hash, which tells a change and nothing else.

Each process knows some of them, and says so: the web app when it starts, the workers every hour. A secret that is not set is not
looked at. What was seen to change is in the audit log by its name.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from urllib.parse import urlsplit

from webmail import audit
from webmail.config import Settings
from webmail.db import rows
from webmail.errors import SettingError
from webmail.keys import MasterKeys
from webmail.privacy.backup.container import read_key

MASTER, BACKUP_KEY = "master-key", "backup-key"
_PURPOSE = "marks of secrets"


@dataclass(frozen=True, slots=True)
class Known:
    """A secret as a page tells of it. `is_first`: it is older than `since`, and nobody knows by how much."""

    name: str
    since: datetime
    seen_at: datetime
    is_first: bool


def of_web(settings: Settings, webhooks: tuple[bytes, ...]) -> dict[str, bytes]:
    """What the web app knows: a code to a secret. `webhooks`: the secrets that Clerk's webhooks may be signed with."""
    return _set({
        "clerk-secret": settings.clerk.get("CLERK_SECRET_KEY", "").encode() if settings.clerk else b"",
        "clerk-webhook": b"\n".join(webhooks),
        "metrics-token": settings.metrics_token.encode(),
        "database-web": _password(settings.database_url),
    })  # fmt: skip


def of_worker(settings: Settings, master: MasterKeys) -> dict[str, bytes]:
    """What a worker knows. Of keys it is their public number."""
    return _set({
        MASTER: master.current_id,
        "relay": settings.relay_url.encode(),
        BACKUP_KEY: _backup_key(settings),
        "backup-storage": settings.backup_s3_secret.encode(),
        "database-worker": _password(settings.database_url),
        "database-backup": _password(settings.backup_url),
    })  # fmt: skip


def _set(secrets: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: value for name, value in secrets.items() if value}


def _password(url: str) -> bytes:
    return (urlsplit(url).password or "").encode() if url else b""


def _backup_key(settings: Settings) -> bytes:
    try:
        return read_key(settings.backup_key_file).current_id if settings.backup_key_file else b""
    except (SettingError, OSError):
        return b""  # the backup that fails for it says so


def note(master: MasterKeys, secrets: Mapping[str, bytes], actor: str) -> list[str]:
    """Note what these secrets are now, in the open transaction; the names of those that have changed."""
    changed = []
    for name, secret in secrets.items():
        marks = [
            hmac.digest(key, name.encode() + b"\0" + secret, sha256) for key in master.derivations(_PURPOSE)
        ]
        # Under an older master key it may be the same secret: its mark is renewed, and nothing else.
        [[is_new]] = rows(_NOTE, {"name": name, "mark": marks[0], "same": marks})
        if is_new:
            changed.append(name)
            audit.record("secret.changed", actor, what=name)
    return changed


_NOTE = """
    INSERT INTO secret_mark AS s (name, mark) VALUES (%(name)s, %(mark)s)
        ON CONFLICT (name) DO UPDATE SET mark = excluded.mark, seen_at = now(),
            since = CASE WHEN s.mark = ANY(%(same)s) THEN s.since ELSE now() END,
            is_first = s.is_first AND s.mark = ANY(%(same)s)
    RETURNING NOT is_first AND since = now()"""


def listed() -> dict[str, Known]:
    """Every secret that was seen, by its name."""
    found = rows("SELECT name, since, seen_at, is_first FROM secret_mark ORDER BY name", {})
    return {row[0]: Known(*row) for row in found}
