"""Who opened my mail: what the owner of a mailbox sees of every access to it.

The database shows an owner no row that is under a gag: what is read here is what may be known, and a gag that ended shows it.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text

from webmail.db import db
from webmail.keys import MailboxKeys

ROWS: Final = 20


class Opened(NamedTuple):
    """One opening of one part. `event` is its number in the log."""

    number: int
    message_id: int
    part: str
    file: int
    at: datetime
    event: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One access: who (by a name that says nobody), what for, on what ground, and what was opened."""

    grant_id: int
    case_id: int
    who: str
    reason: str
    kind: str
    purpose: str
    basis: str
    is_emergency: bool
    opened_at: datetime
    ended_at: datetime | None
    named: int
    acts: Sequence[Opened]
    verdict: str
    reviewed_at: datetime | None
    review_due_at: datetime
    is_late: bool


def pseudonym(keys: MailboxKeys, account_id: int) -> str:
    """What this owner knows a colleague by: the same each time, and another one in every other mailbox."""
    return "staff-" + base64.b32encode(keys.blind(f"staff {account_id}"))[:4].decode().lower()


def entries(keys: MailboxKeys, before: datetime | None = None, limit: int = ROWS) -> list[Entry]:
    """Accesses to this mailbox, newest first; one more than `limit` where there are older ones."""
    values = {"mailbox": keys.mailbox_id, "before": before, "limit": limit + 1}
    return [_entry(keys, row) for row in db.session.execute(_ENTRIES, values)]


_SELECT = """
    SELECT g.grant_id, g.case_id, g.requested_by, g.reason, g.kind, g.purpose, g.basis, g.is_emergency, g.opened_at,
           least(g.closed_at, g.expires_at) AS ends_at, g.review_due_at, r.verdict, r.at AS reviewed_at,
           coalesce(r.at, clock_timestamp()) > g.review_due_at AS is_late, clock_timestamp() AS now,
           (SELECT count(*) FROM access_scope s WHERE s.mailbox_id = g.mailbox_id AND s.grant_id = g.grant_id) AS named
      FROM access_grant g LEFT JOIN access_review r USING (mailbox_id, grant_id)
     WHERE g.mailbox_id = :mailbox AND g.opened_at IS NOT NULL"""
_ENTRIES = text(f"""{_SELECT}
       AND (CAST(:before AS timestamptz) IS NULL OR g.opened_at < :before)
     ORDER BY g.opened_at DESC LIMIT :limit""")
_ONE = text(f"{_SELECT} AND g.grant_id = :grant")
_ACTS = text("""
    SELECT number, message_id, part, file, at, event FROM access_act
     WHERE mailbox_id = :mailbox AND grant_id = :grant ORDER BY number""")


def one(keys: MailboxKeys, grant_id: int) -> Entry | None:
    """One access to this mailbox; None where there is none that its owner may know of."""
    row = db.session.execute(_ONE, {"mailbox": keys.mailbox_id, "grant": grant_id}).one_or_none()
    return _entry(keys, row) if row else None


def _entry(keys: MailboxKeys, row: object) -> Entry:
    told = row._asdict()  # type: ignore[attr-defined]
    acts = db.session.execute(_ACTS, {"mailbox": keys.mailbox_id, "grant": told["grant_id"]})
    return Entry(
        told["grant_id"],
        told["case_id"],
        pseudonym(keys, told["requested_by"]),
        told["reason"],
        told["kind"],
        told["purpose"],
        told["basis"],
        told["is_emergency"],
        told["opened_at"],
        told["ends_at"] if told["ends_at"] <= told["now"] else None,
        told["named"],
        [Opened(*act) for act in acts],
        told["verdict"] or "",
        told["reviewed_at"],
        told["review_due_at"],
        told["is_late"],
    )
