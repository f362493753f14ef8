"""The queue: what is open, the soonest due first; what is closed, the latest first. Each page by keyset, by an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webmail.db import rows
from webmail.governance.cases import subjects
from webmail.governance.cases.sealing import CaseSecret

STATES = ("open", "waiting", "closed")
MOST_COUNTED = 100


@dataclass(frozen=True, slots=True)
class Filters:
    """What the queue shows. `state`: one of STATES, or "" for all that is not closed; `who`: "me", "nobody" or "";
    `subject`: an address or a Message-ID, as somebody types it who holds it already."""

    state: str = ""
    kind: str = ""
    who: str = ""
    overdue: bool = False
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A case in the queue."""

    case_id: int
    kind: str
    source: str
    state: str
    items: int
    due_at: datetime
    closed_at: datetime | None
    opened_at: datetime
    assigned_to: int | None
    assigned_name: str
    outcome: str
    late: bool
    label: str


@dataclass(frozen=True, slots=True)
class Page:
    """Lines, and the edge to go on from: None at the end."""

    lines: Sequence[Line]
    older: tuple[datetime, int] | None


def page(
    secret: CaseSecret,
    viewer_id: int,
    filters: Filters,
    after: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> Page:
    """A page of the queue. Its cost does not grow with the number of cases."""
    values: dict[str, Any] = {"viewer": viewer_id, "limit": limit + 1, "kind": filters.kind}
    where, order = [], "f.due_at, f.case_id"
    if filters.state == "closed":
        where.append("f.state = 'closed'")
        order = "f.closed_at DESC, f.case_id"
    else:
        where.append("f.state <> 'closed'")
        if filters.state:
            where.append("f.state = %(state)s")
            values["state"] = filters.state
    if filters.kind:
        where.append("f.kind = %(kind)s")
    if filters.who == "me":
        where.append("f.assigned_to = %(viewer)s")
    if filters.who == "nobody":
        where.append("f.assigned_to IS NULL")
    if filters.overdue:
        where.append("f.due_at < now()")
    if filters.subject:
        where.append("f.case_id IN (SELECT case_id FROM case_subject WHERE subject = ANY (%(subjects)s))")
        values["subjects"] = list(subjects.typed(secret, filters.subject))
    if after is not None:
        values |= {"at": after[0], "id": after[1]}
        if filters.state == "closed":
            where.append("(f.closed_at < %(at)s OR f.closed_at = %(at)s AND f.case_id > %(id)s)")
            where.append("f.closed_at <= %(at)s")
        else:
            where.append("(f.due_at, f.case_id) > (%(at)s, %(id)s)")
    sql = f"{_LINES} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT %(limit)s"
    found = rows(sql, values)
    lines = [_line(secret, row) for row in found[:limit]]
    if len(found) <= limit:
        return Page(lines, None)
    last = lines[-1]
    return Page(lines, (last.closed_at or last.due_at, last.case_id))


_LINES = """
    SELECT f.case_id, f.kind, f.source, f.state, f.items, f.due_at, f.closed_at, f.opened_at, f.assigned_to, coalesce(a.name, ''),
           f.outcome, f.state <> 'closed' AND f.due_at < now(), f.label, f.label_item
      FROM case_file f LEFT JOIN account a ON a.account_id = f.assigned_to"""


def _line(secret: CaseSecret, row: Sequence[Any]) -> Line:
    label = secret.open(row[12], "case_item", row[13], "label") if row[12] else ""
    values: list[Any] = [*row[:12], label]
    return Line(*values)


@dataclass(frozen=True, slots=True)
class Counts:
    """How much waits; each number stops at MOST_COUNTED."""

    late: int
    mine: int
    nobodys: int


def counts(viewer_id: int) -> Counts:
    """What a row of filters says beside its words; bounded, whatever the queue holds."""
    [row] = rows(_COUNTS, {"viewer": viewer_id, "most": MOST_COUNTED})
    return Counts(*row)


# In the order of an index, so that it is the index that is read.
_COUNTS = """
    SELECT (SELECT count(*) FROM (SELECT FROM case_file WHERE state <> 'closed' AND due_at < now()
             ORDER BY due_at, case_id LIMIT %(most)s) late),
           (SELECT count(*) FROM (SELECT FROM case_file WHERE state <> 'closed' AND assigned_to = %(viewer)s
             ORDER BY assigned_to, due_at, case_id LIMIT %(most)s) mine),
           (SELECT count(*) FROM (SELECT FROM case_file WHERE state <> 'closed' AND assigned_to IS NULL
             ORDER BY assigned_to, due_at, case_id LIMIT %(most)s) nobodys)"""


def first_late(secret: CaseSecret, limit: int = 5) -> list[Line]:
    """What is past its time, the longest first."""
    sql = f"{_LINES} WHERE f.state <> 'closed' AND f.due_at < now() ORDER BY f.due_at, f.case_id LIMIT %(limit)s"
    return [_line(secret, row) for row in rows(sql, {"limit": limit})]
