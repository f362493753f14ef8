"""A case as the staff read it: what was brought, what was said and done, what is related. Nobody's mail but by `opening`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webmail.db import rows
from webmail.errors import NotFound
from webmail.governance.cases import subjects
from webmail.governance.cases.sealing import CaseSecret

MAX_ITEMS, MAX_TOLD, MAX_RELATED = 50, 200, 10


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was brought. `by` is a pseudonym of somebody here; `contact` an address that an outsider gave."""

    item_id: int
    kind: str
    source: str
    arrived_at: datetime
    by: str
    contact: str
    label: str
    words: str
    size: int
    answerable: bool
    can_open: bool
    event_number: int | None
    sent: tuple[int, int] | None
    """Mailbox and number of the message of ours that a server complains of."""


@dataclass(frozen=True, slots=True)
class Said:
    """A note, an answer, or that somebody looked: what the case's history shows."""

    what: str
    at: datetime
    name: str
    words: str
    count: int = 0
    item_id: int = 0
    part: str = ""


@dataclass(frozen=True, slots=True)
class Related:
    """Another case, and why it is related: "subject", "account", "reporter" or "merged"."""

    case_id: int
    why: str
    kind: str
    state: str
    items: int
    opened_at: datetime
    label: str


@dataclass(frozen=True, slots=True)
class Case:
    """A case with everything its page shows."""

    case_id: int
    kind: str
    source: str
    state: str
    assigned_to: int | None
    assigned_name: str
    opened_by: int | None
    account_id: int | None
    opened_at: datetime
    due_at: datetime
    closed_at: datetime | None
    outcome: str
    merged_into: int | None
    count: int
    revision: int
    late: bool
    label: str
    outcome_words: str
    items: Sequence[Item]
    more: bool
    said: Sequence[Said]
    about: Sequence[str]
    """Which kinds of subject hold it together: words of `subjects.WORDS`."""


def load(secret: CaseSecret, case_id: int, after: tuple[datetime, int] | None = None) -> Case:
    """A case, with the first of its parts or those `after` an edge. Raises NotFound."""
    found = rows(_CASE, {"case": case_id})
    if not found:
        raise NotFound("case")
    row = found[0]
    items = _items(secret, case_id, after)
    values: list[Any] = [
        *row[:16],
        secret.open(row[16], "case_item", row[17], "label") if row[16] else "",
        secret.open(row[18], "case_file", case_id, "outcome_words"),
        items[:MAX_ITEMS],
        len(items) > MAX_ITEMS,
        _said(secret, case_id),
        [subjects.WORDS[kind] for (kind,) in rows(_ABOUT, {"case": case_id})],
    ]
    return Case(*values)


_CASE = """
    SELECT f.case_id, f.kind, f.source, f.state, f.assigned_to, coalesce(a.name, ''), f.opened_by, f.account_id, f.opened_at,
           f.due_at, f.closed_at, f.outcome, f.merged_into, f.items, f.revision, f.state <> 'closed' AND f.due_at < now(),
           f.label, f.label_item, f.outcome_words
      FROM case_file f LEFT JOIN account a ON a.account_id = f.assigned_to WHERE f.case_id = %(case)s"""
_ABOUT = "SELECT DISTINCT get_byte(subject, 0) FROM case_subject WHERE case_id = %(case)s ORDER BY 1"


def _items(secret: CaseSecret, case_id: int, after: tuple[datetime, int] | None) -> list[Item]:
    values: dict[str, Any] = {"case": case_id, "limit": MAX_ITEMS + 1}
    sql = _ITEMS.format(edge="")
    if after is not None:
        values |= {"at": after[0], "id": after[1]}
        sql = _ITEMS.format(edge="AND (arrived_at, item_id) > (%(at)s, %(id)s)")
    return [_item(secret, row) for row in rows(sql, values)]


_ITEMS = """
    SELECT item_id, kind, source, arrived_at, reporter, contact, label, words, size_bytes, answerable, event_number,
           sent_mailbox_id, sent_message_id FROM case_item
     WHERE case_id = %(case)s {edge} ORDER BY arrived_at, item_id LIMIT %(limit)s"""


def _item(secret: CaseSecret, row: Sequence[Any]) -> Item:
    item_id, kind, source, arrived_at, reporter, contact, label, words, size, answerable, event, *sent = row
    told = json.loads(secret.open(contact, "case_item", item_id, "contact") or "{}")
    return Item(
        item_id,
        kind,
        source,
        arrived_at,
        by=bytes(reporter[:2]).hex() if reporter else "",
        contact=told.get("to", ""),
        label=secret.open(label, "case_item", item_id, "label"),
        words=secret.open(words, "case_item", item_id, "words"),
        size=size,
        answerable=answerable,
        can_open=size > 0,
        event_number=event,
        sent=(sent[0], sent[1]) if sent[0] is not None else None,
    )


def _said(secret: CaseSecret, case_id: int) -> list[Said]:
    told = []
    for what, at, name, words, row_id, count, item_id, part in rows(
        _SAID, {"case": case_id, "limit": MAX_TOLD}
    ):
        table = {"note": "case_note", "answer": "case_answer"}.get(what, "")
        opened = secret.open(words, table, row_id, "words") if table else ""
        told.append(Said(what, at, name, opened, count, item_id, part))
    return told


# Staff are named to staff: whoever is answerable for an act is known to those he works with.
_SAID = """
    SELECT 'note', n.at, a.name, n.words, n.note_id, 0, 0, '' FROM case_note n JOIN account a USING (account_id)
     WHERE n.case_id = %(case)s
     UNION ALL
    SELECT 'answer', w.at, a.name, w.words, w.answer_id, (SELECT count(*) FROM case_letter l WHERE l.answer_id = w.answer_id), 0, ''
      FROM case_answer w JOIN account a USING (account_id) WHERE w.case_id = %(case)s
     UNION ALL
    SELECT 'opened', o.at, a.name, NULL, o.opening_id, 0, o.item_id, o.part FROM case_opening o JOIN account a USING (account_id)
     WHERE o.case_id = %(case)s
     ORDER BY 2, 5 LIMIT %(limit)s"""


def related(secret: CaseSecret, case: Case) -> list[Related]:
    """Other cases of the same matter, person or reporter, the newest first; each once."""
    asked = {
        "case": case.case_id,
        "account": case.account_id,
        "into": case.merged_into,
        "limit": MAX_RELATED,
    }
    found: dict[int, Related] = {}
    for row in rows(_RELATED, asked):
        label = secret.open(row[6], "case_item", row[7], "label") if row[6] else ""
        values: list[Any] = [*row[:6], label]
        found.setdefault(row[0], Related(*values))
    return list(found.values())[: 2 * MAX_RELATED]


_OF = "f.case_id, '{why}', f.kind, f.state, f.items, f.opened_at, f.label, f.label_item"
_RELATED = f"""
    (SELECT {_OF.format(why="merged")} FROM case_file f WHERE f.case_id = %(into)s)
     UNION ALL
    (SELECT {_OF.format(why="merged")} FROM case_file f WHERE f.merged_into = %(case)s LIMIT %(limit)s)
     UNION ALL
    (SELECT {_OF.format(why="subject")} FROM case_file f WHERE f.case_id IN (
        SELECT o.case_id FROM case_subject s JOIN case_subject o USING (subject)
         WHERE s.case_id = %(case)s AND o.case_id <> %(case)s LIMIT 200) ORDER BY f.opened_at DESC LIMIT %(limit)s)
     UNION ALL
    (SELECT {_OF.format(why="account")} FROM case_file f
      WHERE f.account_id = %(account)s AND f.case_id <> %(case)s ORDER BY f.opened_at DESC LIMIT %(limit)s)
     UNION ALL
    (SELECT {_OF.format(why="reporter")} FROM case_file f WHERE f.case_id IN (
        SELECT o.case_id FROM (SELECT reporter FROM case_item WHERE case_id = %(case)s AND reporter IS NOT NULL LIMIT 20) m
          JOIN LATERAL (SELECT i.case_id FROM case_item i WHERE i.reporter = m.reporter AND i.case_id <> %(case)s
                         ORDER BY i.arrived_at DESC LIMIT 10) o ON true) ORDER BY f.opened_at DESC LIMIT %(limit)s)"""
