"""Tracing: what is known of mail without opening any, by an address or by a Message-ID. Each look belongs to a case and is written
down.

The database gives at most 50 lines, of an address of at most seven days. Nothing here knows a subject.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text

from webmail.db import db
from webmail.governance.cases.sealing import CaseSecret
from webmail.governance.quarantine.marking import reference_mark
from webmail.mail.addresses import Address, base_local
from webmail.mail.list_rows import Cursor

ROWS: Final = 50
MAX_ID: Final = 1_000
"""Characters of a Message-ID that somebody types."""


class Copy(NamedTuple):
    """How far a message got with one recipient."""

    recipient: str
    state: str
    attempts: int
    code: int | None
    next_at: datetime | None
    changed_at: datetime


class Line(NamedTuple):
    """One message, from outside."""

    message_id: int
    received_at: datetime
    direction: str
    state: str
    folder: str
    size_bytes: int
    files: int
    envelope_from: str
    envelope_to: str
    copies: Sequence[Copy]
    mailbox_id: int = 0
    """Of a trace by Message-ID; an address leads to one mailbox."""
    held: bool = False


class Queued(NamedTuple):
    """Something that waits to be done for the mailbox."""

    kind: str
    item_id: int
    due_at: datetime
    attempts: int
    parked: bool
    problem: str


@dataclass(frozen=True, slots=True)
class Trace:
    """What a look found; `refusal` is a code where it was not allowed, `mailbox_id` None where nobody has the address."""

    refusal: str = ""
    mailbox_id: int | None = None
    state: str = ""
    used: int = 0
    quota: int = 0
    lines: Sequence[Line] = ()
    queue: Sequence[Queued] = ()
    older: Cursor | None = None


def look(
    address: Address,
    *,
    case_id: int,
    account_id: int,
    since: datetime,
    until: datetime,
    other: str = "",
    cursor: Cursor | None = None,
) -> Trace:
    """Mail of an address of ours that came or left between two moments, newest first, and what waits for it.

    `other` narrows it to one correspondent: an address or a domain. Codes: role, case-closed, own, window. In a staff transaction.
    """
    values = {
        "account": account_id,
        "case": case_id,
        "domain": address.domain,
        "local": base_local(address.local),
        "since": since,
        "until": until,
        "other": other.strip().lower()[:254],
        "at": cursor.at if cursor else None,
        "id": cursor.message_id if cursor else None,
    }
    return _read(db.session.execute(_LOOK, values).scalar_one())


_LOOK = text("""
    SELECT trace_look(:account, :case, :domain, :local, :since, :until, :other, CAST(:at AS timestamptz), CAST(:id AS bigint))""")


def look_for(secret: CaseSecret, message_id: str, *, case_id: int, account_id: int) -> Trace:
    """Where the message with this Message-ID came in and from where it left, newest first, at most 50 copies.

    Codes: message-id, role, case-closed, own. In a staff transaction.
    """
    mark = reference_mark(secret, message_id[:MAX_ID])
    if mark is None:
        return Trace(refusal="message-id")
    values = {"account": account_id, "case": case_id, "mark": mark}
    told = db.session.execute(_LOOK_FOR, values).scalar_one()
    if told["refusal"]:
        return Trace(refusal=told["refusal"])
    return Trace(lines=[_line(one) for one in told["messages"]][:ROWS])


_LOOK_FOR = text("SELECT trace_message(:account, :case, :mark)")


def _read(told: Mapping[str, Any]) -> Trace:
    if told["refusal"] or told["mailbox"] is None:
        return Trace(refusal=told["refusal"])
    lines = [_line(one) for one in told["messages"]]
    older = Cursor(lines[ROWS - 1].received_at, lines[ROWS - 1].message_id) if len(lines) > ROWS else None
    queue = [
        Queued(
            one["kind"],
            one["item_id"],
            _time(one["due_at"]),
            one["attempts"],
            one["parked_at"] is not None,
            one["problem"],
        )
        for one in told["queue"]
    ]
    return Trace("", told["mailbox"], told["state"], told["used"], told["quota"], lines[:ROWS], queue, older)


def _line(one: Mapping[str, Any]) -> Line:
    copies = [
        Copy(
            item["recipient"],
            item["state"],
            item["attempts"],
            item["code"],
            _time(item["next_at"]) if item["next_at"] else None,
            _time(item["changed_at"]),
        )
        for item in one["deliveries"]
    ]
    return Line(
        one["message_id"],
        _time(one["received_at"]),
        one["direction"],
        one["state"],
        one["folder"],
        one["size_bytes"],
        one["attachments"],
        one["envelope_from"],
        one["envelope_to"],
        copies,
        one.get("mailbox_id", 0),
        one.get("held", False),
    )


def _time(told: str) -> datetime:
    return datetime.fromisoformat(told)
