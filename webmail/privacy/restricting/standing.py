"""What people have stopped and what they object to, as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from webmail.db import rows

IN_FORCE = "ended_at IS NULL AND (until IS NULL OR until > now())"
"""Of a restriction."""


@dataclass(frozen=True, slots=True)
class Restriction:
    """That somebody's data is only kept. `until` is when it ends, where that was announced; `is_own`: its person set it."""

    restriction_id: int
    account_id: int
    name: str
    why: str
    scopes: tuple[str, ...]
    since: datetime
    until: datetime | None
    is_own: bool
    request_id: int | None


@dataclass(frozen=True, slots=True)
class Objection:
    """An objection to a purpose; `due_at` is when it has to be decided, where its request is known."""

    objection_id: int
    account_id: int
    name: str
    purpose: str
    state: str
    made_at: datetime
    due_at: datetime | None
    decided_at: datetime | None
    request_id: int | None


_RESTRICTIONS = """
    SELECT r.restriction_id, r.account_id, a.name, r.why, r.scopes, r.since, r.until, r.set_by = r.account_id, r.request_id
      FROM processing_restriction r JOIN account a USING (account_id)"""
_OBJECTIONS = """
    SELECT o.objection_id, o.account_id, a.name, o.purpose, o.state, o.made_at, q.due_at, o.decided_at, o.request_id
      FROM objection o JOIN account a USING (account_id) LEFT JOIN privacy_request q USING (request_id)"""


def restriction(account_id: int) -> Restriction | None:
    """The restriction that is in force for somebody."""
    found = _restrictions(f"WHERE r.account_id = %(account)s AND {IN_FORCE}", account=account_id)
    return found[0] if found else None


def objections(account_id: int) -> list[Objection]:
    """Somebody's last twenty objections, newest first, those that are over included."""
    where = "WHERE o.account_id = %(account)s ORDER BY o.made_at DESC LIMIT 20"
    return [Objection(*row) for row in rows(f"{_OBJECTIONS} {where}", {"account": account_id})]


def standing(limit: int = 200) -> tuple[Sequence[Restriction], Sequence[Objection]]:
    """What is in force for anybody, oldest first; in a transaction of the staff."""
    found = rows(
        f"{_OBJECTIONS} WHERE o.state IN ('weighed', 'upheld') ORDER BY o.made_at LIMIT %(limit)s", {"limit": limit}
    )  # fmt: skip
    held = _restrictions(f"WHERE {IN_FORCE} ORDER BY r.since LIMIT %(limit)s", limit=limit)
    return held, [Objection(*row) for row in found]


def _restrictions(where: str, **values: int) -> list[Restriction]:
    found = rows(f"{_RESTRICTIONS} {where}", values)
    return [
        Restriction(number, account_id, name, why, tuple(scopes), *more)
        for number, account_id, name, why, scopes, *more in found
    ]
