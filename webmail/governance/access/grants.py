"""Grants as the staff sees them: whose is what, how long it still opens, what it names and what was opened. No content."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, text

from webmail.db import db
from webmail.errors import NotFound
from webmail.governance.access.asking import open_words
from webmail.governance.access.register import LAPSE_HOURS, Parts
from webmail.keys import MasterKeys


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant without its words. `until`: when it stops opening, None for one that does not open now."""

    mailbox_id: int
    grant_id: int
    case_id: int
    requested_by: int
    requester: str
    requested_at: datetime
    reason: str
    kind: str
    purpose: str
    basis: str
    minutes: int
    is_emergency: bool
    legal_from: date | None
    legal_until: date | None
    state: str
    decided_by: int | None
    decider: str
    decided_at: datetime | None
    opened_at: datetime | None
    expires_at: datetime | None
    closed_at: datetime | None
    closed_why: str | None
    review_due_at: datetime | None
    reviewed_at: datetime | None
    acts: int
    named: int
    address: str
    gag: str
    now: datetime

    @property
    def until(self) -> datetime | None:
        if self.state != "approved":
            return None
        begun = self.decided_at or self.requested_at
        end = self.expires_at or begun + timedelta(hours=LAPSE_HOURS)
        return end if end > self.now else None

    @property
    def stage(self) -> str:
        """requested, refused, ready (approved and not opened yet), open, or over."""
        if self.state in ("requested", "refused"):
            return self.state
        if self.until is None:
            return "over"
        return "open" if self.opened_at else "ready"

    @property
    def is_late(self) -> bool:
        """Its review is missing and past its time."""
        return self.review_due_at is not None and self.reviewed_at is None and self.review_due_at < self.now


_SELECT = """
    SELECT g.mailbox_id, g.grant_id, g.case_id, g.requested_by, r.name AS requester, g.requested_at, g.reason, g.kind, g.purpose,
           g.basis, g.minutes, g.is_emergency, g.legal_from, g.legal_until, g.state, g.decided_by, coalesce(d.name, '') AS decider,
           g.decided_at, g.opened_at, g.expires_at, g.closed_at, g.closed_why, g.review_due_at, g.reviewed_at,
           (SELECT count(*) FROM access_act a WHERE a.mailbox_id = g.mailbox_id AND a.grant_id = g.grant_id) AS acts,
           (SELECT count(*) FROM access_scope s WHERE s.mailbox_id = g.mailbox_id AND s.grant_id = g.grant_id) AS named,
           coalesce(access_mailbox_address(g.mailbox_id), '') AS address,
           CASE WHEN x.grant_id IS NULL THEN '' WHEN x.ended_at IS NOT NULL THEN 'ended' WHEN x.approved_at IS NULL THEN 'asked'
                ELSE 'running' END AS gag, clock_timestamp() AS now
      FROM access_grant g JOIN account r ON r.account_id = g.requested_by LEFT JOIN account d ON d.account_id = g.decided_by
      LEFT JOIN access_gag x ON x.mailbox_id = g.mailbox_id AND x.grant_id = g.grant_id"""


def one(grant_id: int) -> Grant:
    """A grant. Raises NotFound."""
    found = _grants(f"{_SELECT} WHERE g.grant_id = :grant", {"grant": grant_id})
    if not found:
        raise NotFound("grant")
    return found[0]


def held(account_id: int, limit: int = 50) -> list[Grant]:
    """What somebody asked for, newest first."""
    where = "WHERE g.requested_by = :account ORDER BY g.requested_at DESC, g.grant_id LIMIT :limit"
    return _grants(f"{_SELECT} {where}", {"account": account_id, "limit": limit})


def requested(limit: int = 50) -> list[Grant]:
    """What waits for a second person, oldest first."""
    where = "WHERE g.state = 'requested' ORDER BY g.requested_at, g.grant_id LIMIT :limit"
    return _grants(f"{_SELECT} {where}", {"limit": limit})


def of_case(case_id: int, limit: int = 50) -> list[Grant]:
    """The grants of a case, oldest first."""
    where = "WHERE g.case_id = :case ORDER BY g.requested_at, g.grant_id LIMIT :limit"
    return _grants(f"{_SELECT} {where}", {"case": case_id, "limit": limit})


def unreviewed(limit: int = 50, *, late: bool = False) -> list[Grant]:
    """What waits for a reviewer: emergencies first, then by their deadline. `late`: only what is past it."""
    past = "AND g.review_due_at < clock_timestamp()" if late else ""
    where = f"WHERE g.review_due_at IS NOT NULL AND g.reviewed_at IS NULL {past}"
    return _grants(
        f"{_SELECT} {where} ORDER BY g.is_emergency DESC, g.review_due_at LIMIT :limit", {"limit": limit}
    )


def gagged(limit: int = 50) -> list[Grant]:
    """What its owner may not know yet, or somebody asks for that: by when it is looked at again."""
    where = "WHERE x.grant_id IS NOT NULL AND x.ended_at IS NULL ORDER BY x.review_at LIMIT :limit"
    return _grants(f"{_SELECT} {where}", {"limit": limit})


def _grants(sql: str, values: dict[str, Any]) -> list[Grant]:
    return [_grant(row) for row in db.session.execute(text(sql), values).mappings()]


def _grant(row: RowMapping) -> Grant:
    return Grant(**row)


# --- what it names, and what was opened ----------------------------------------------------------------------------------


class Named(NamedTuple):
    """A message that a grant names, by what is known of it unopened; `received_at` is None where its owner deleted it."""

    message_id: int
    parts: Parts
    received_at: datetime | None
    direction: str
    size_bytes: int
    files: int
    state: str
    envelope_from: str
    envelope_to: str


def named(grant_id: int) -> list[Named]:
    """The messages of a grant with their parts."""
    rows = db.session.execute(text("SELECT * FROM access_scope_lines(:grant)"), {"grant": grant_id})
    return [
        Named(
            row.message_id,
            Parts(row.headers, row.body, row.attachments),
            row.received_at,
            row.direction or "",
            row.size_bytes or 0,
            row.files or 0,
            row.state or "",
            row.envelope_from or "",
            row.envelope_to or "",
        )
        for row in rows
    ]


def lines(case_id: int, mailbox_id: int, message_ids: Sequence[int], *, account_id: int) -> list[Named]:
    """The same of messages that somebody is about to name; nothing for a case that is closed."""
    values = {"account": account_id, "case": case_id, "mailbox": mailbox_id, "messages": list(message_ids)}
    return [
        Named(
            row.message_id,
            Parts(),
            row.received_at,
            row.direction,
            row.size_bytes,
            row.files,
            row.state,
            row.envelope_from,
            row.envelope_to,
        )
        for row in db.session.execute(_LINES, values)
    ]


_LINES = text("SELECT * FROM access_lines(:account, :case, :mailbox, CAST(:messages AS bigint[]))")


class Act(NamedTuple):
    """One opening. `event` is its number in the log."""

    number: int
    message_id: int
    part: str
    file: int
    at: datetime
    event: int


def acts(mailbox_id: int, grant_id: int) -> list[Act]:
    """What was opened under a grant, in order."""
    return [Act(*row) for row in db.session.execute(_ACTS, {"mailbox": mailbox_id, "grant": grant_id})]


_ACTS = text("""
    SELECT number, message_id, part, file, at, event FROM access_act
     WHERE mailbox_id = :mailbox AND grant_id = :grant ORDER BY number""")


# --- words ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Words:
    """What colleagues wrote about a grant, opened for a colleague."""

    asked: str
    decided: str
    reference: str
    issuer: str
    gag: str
    gag_until: datetime | None
    gag_approver: str
    review: str
    verdict: str
    reviewer: str
    review_case: int | None


def words(master: MasterKeys, grant: Grant) -> Words:
    """The words of a grant, with its gag and its review."""
    values = {"mailbox": grant.mailbox_id, "grant": grant.grant_id}
    row = db.session.execute(_WORDS, values).one()

    def opened(sealed: bytes | None, field: str) -> str:
        return open_words(master, sealed, grant.mailbox_id, grant.grant_id, field)

    reference, issuer = json.loads(opened(row.legal, "legal")) if row.legal else ("", "")
    return Words(
        opened(row.words, "words"),
        opened(row.decision_words, "decision_words"),
        reference,
        issuer,
        opened(row.gag_words, "gag"),
        row.review_at,
        row.gag_approver or "",
        opened(row.review_words, "review"),
        row.verdict or "",
        row.reviewer or "",
        row.review_case,
    )


_WORDS = text("""
    SELECT g.words, g.decision_words, g.legal, x.words AS gag_words, x.review_at, p.name AS gag_approver,
           v.words AS review_words, v.verdict, w.name AS reviewer, v.case_id AS review_case
      FROM access_grant g LEFT JOIN access_gag x USING (mailbox_id, grant_id) LEFT JOIN access_review v USING (mailbox_id, grant_id)
      LEFT JOIN account p ON p.account_id = x.approved_by LEFT JOIN account w ON w.account_id = v.reviewed_by
     WHERE g.mailbox_id = :mailbox AND g.grant_id = :grant""")


def open_cases(limit: int = 50) -> Sequence[tuple[int, str]]:
    """Cases that a grant may be asked for, newest first: id and kind."""
    rows = db.session.execute(_CASES, {"limit": limit})
    return [(row.case_id, row.kind) for row in rows]


_CASES = text(
    "SELECT case_id, kind FROM case_file WHERE state <> 'closed' ORDER BY opened_at DESC LIMIT :limit"
)
