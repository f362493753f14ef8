"""Reading the log: a page of it for the staff, and what is about one person for that person."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, text

from webmail.audit.models import AuditEvent, AuditOpened, AuditSealed, AuditSubject
from webmail.db import db


@dataclass(frozen=True, slots=True)
class Filters:
    """What a page of the log is narrowed to. `kinds`: None for all of them; of an empty list nothing is seen."""

    kinds: Sequence[str] | None
    actor: str = ""
    case_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One event as the staff reads it. `facts` is None once its detail was dropped; `about`: accounts that are not forgotten."""

    number: int
    at: datetime
    kind: str
    actor: str
    facts: dict[str, Any] | None
    case_id: int | None = None
    about: Sequence[int] = ()
    is_sealed: bool = False
    opened_at: datetime | None = None
    leaf: bytes = field(default=b"", repr=False)
    role: str = ""
    commitments: int = 0


def page(filters: Filters, *, before: int | None = None, limit: int = 50) -> list[Line]:
    """Up to `limit` events, newest first, older than event `before`. For the role of staff.

    Every filter has an index that ends with `at`, and no two events have the same: so many rows are read as are shown, of the kinds
    asked for.
    """
    query = _of(filters.kinds)
    if filters.actor:
        query = query.where(AuditEvent.actor == filters.actor)
    if filters.case_id is not None:
        query = query.where(AuditEvent.case_id == filters.case_id)
    if filters.since is not None:
        query = query.where(AuditEvent.at >= filters.since)
    if filters.until is not None:
        query = query.where(AuditEvent.at < filters.until)
    if before is not None:
        cursor = select(AuditEvent.at).where(AuditEvent.number == before).scalar_subquery()
        query = query.where(AuditEvent.at < cursor)
    found = db.session.execute(query.order_by(AuditEvent.at.desc()).limit(limit)).scalars().all()
    return _lines(found)


def one(number: int, kinds: Sequence[str] | None = None) -> Line | None:
    """One event, if its kind is among these. For the role of staff."""
    found = db.session.execute(_of(kinds).where(AuditEvent.number == number)).scalars().all()
    return _lines(found)[0] if found else None


def _of(kinds: Sequence[str] | None) -> Select[AuditEvent]:
    query = select(AuditEvent)
    return query if kinds is None else query.where(AuditEvent.kind.in_(kinds))


def _lines(found: Sequence[AuditEvent]) -> list[Line]:
    numbers = [event.number for event in found]
    people: dict[int, list[int]] = {}
    subjects = select(AuditSubject.number, AuditSubject.account_id).where(AuditSubject.number.in_(numbers))
    for number, account_id in db.session.execute(subjects):
        people.setdefault(number, []).append(account_id)
    seals = (
        select(AuditSealed.number, AuditOpened.at)
        .outerjoin(AuditOpened, AuditOpened.number == AuditSealed.number)
        .where(AuditSealed.number.in_(numbers))
    )
    sealed = {row[0]: row[1] for row in db.session.execute(seals)}
    lines = []
    for event in found:
        entry = json.loads(event.entry) if event.entry is not None else {}
        lines.append(
            Line(
                number=event.number,
                at=event.at,
                kind=event.kind,
                actor=event.actor or "",
                facts=entry.get("facts"),
                case_id=event.case_id,
                about=people.get(event.number, ()),
                is_sealed=event.number in sealed,
                opened_at=sealed.get(event.number),
                leaf=event.leaf,
                role=entry.get("role", ""),
                commitments=len(entry.get("about", ())),
            )
        )
    return lines


@dataclass(frozen=True, slots=True)
class Own:
    """One event about a person, as that person's page gets it. `opened`: what was sealed under a gag that has ended."""

    number: int
    at: datetime
    kind: str
    actor: str
    facts: dict[str, Any] | None
    opened: bytes | None = None


def about(account_id: int, *, before: int | None = None, limit: int = 50) -> list[Own]:
    """Up to `limit` events about an account, newest first, with numbers below `before`. What is under a gag is not among them."""
    values = {"account": account_id, "before": before or 2**62, "limit": limit}
    found = []
    for row in db.session.execute(_ABOUT, values):
        entry = json.loads(row.entry) if row.entry is not None else {}
        opened = bytes(row.opened) if row.opened is not None else None
        found.append(Own(row.number, row.at, row.kind, entry.get("actor", ""), entry.get("facts"), opened))
    return found


_ABOUT = text("SELECT number, at, kind, entry, opened FROM audit_about(:account, :before, :limit)")
