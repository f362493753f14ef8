"""Quarantines as the staff sees them: figures and never whose mailbox; and as an owner sees what is held of his own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from webmail.db import db, rows
from webmail.errors import NotFound
from webmail.governance.actions.words import open_words
from webmail.keys import MailboxKeys, MasterKeys, unseal
from webmail.mail.folders import Kind
from webmail.mail.list_rows import summary_place


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A quarantine without its words. `is_moving`: a worker still holds or gives back."""

    quarantine_id: int
    case_id: int
    rule: str
    words: bytes
    acted_by: int
    actor: str
    acted_at: datetime
    until: datetime
    state: str
    decided_by: int | None
    decider: str
    in_force_at: datetime | None
    ended_at: datetime | None
    ended_why: str
    is_moving: bool

    def said(self, master: MasterKeys) -> str:
        """What each owner reads."""
        return open_words(master, self.words, self.quarantine_id, "words", "quarantine")


_SELECT = """
    SELECT q.quarantine_id, q.case_id, q.rule, q.words, q.acted_by, a.name AS actor, q.acted_at, q.until, q.state, q.decided_by,
           coalesce(d.name, '') AS decider, q.in_force_at, q.ended_at, coalesce(q.ended_why, '') AS ended_why, q.is_moving
      FROM quarantine q JOIN account a ON a.account_id = q.acted_by LEFT JOIN account d ON d.account_id = q.decided_by"""
_ONE = text(f"{_SELECT} WHERE q.quarantine_id = :id")
_OF_CASE = text(f"{_SELECT} WHERE q.case_id = :id ORDER BY q.acted_at DESC, q.quarantine_id LIMIT 50")
_LATELY = text(f"{_SELECT} ORDER BY q.acted_at DESC, q.quarantine_id LIMIT 50")
_PROPOSED = text(f"{_SELECT} WHERE q.state = 'proposed' ORDER BY q.acted_at LIMIT 50")


def one(quarantine_id: int) -> Quarantine:
    """One quarantine. Raises NotFound."""
    found = _listed(_ONE, quarantine_id)
    if not found:
        raise NotFound("quarantine")
    return found[0]


def of_case(case_id: int) -> Sequence[Quarantine]:
    """Those of a case, newest first."""
    return _listed(_OF_CASE, case_id)


def lately() -> Sequence[Quarantine]:
    """The newest ones."""
    return _listed(_LATELY, 0)


def proposed() -> Sequence[Quarantine]:
    """What waits for a second person, oldest first."""
    return _listed(_PROPOSED, 0)


def _listed(statement: object, number: int) -> list[Quarantine]:
    found = db.session.execute(statement, {"id": number}).mappings()  # type: ignore[call-overload]
    return [Quarantine(**row) for row in found]


class Counts(NamedTuple):
    """How much a quarantine holds now, or would hold while it is proposed; then beyond 10,000 it is not counted further."""

    messages: int
    mailboxes: int


def counts(quarantine_id: int) -> Counts:
    """The true figures, counted now."""
    row = db.session.execute(text("SELECT * FROM quarantine_counts(:id)"), {"id": quarantine_id}).one()
    return Counts(*row)


# --- for its owner -------------------------------------------------------------------------------------------------------


class Held(NamedTuple):
    """A message of a mailbox that is held: what its line in the list says, and why it is not there. `action`: the notice that the
    reader got of it, None where somebody else of the mailbox did."""

    message_id: int
    received_at: datetime
    folder: Kind
    size_bytes: int
    sender: tuple[str, str]
    subject: str
    rule: str
    since: datetime
    until: datetime
    action: int | None


def held_here(keys: MailboxKeys, account_id: int) -> Sequence[Held]:
    """What is held in the mailbox of the open transaction, newest first, at most 200. Nothing of it can be opened."""
    return [_held(keys, *row) for row in rows(_HELD, {"account": account_id})]


_HELD = """
    SELECT message_id, received_at, folder_id, size_bytes, envelope_from, content_key, summary, rule, since, until, action
      FROM held_here(%(account)s)"""


def _held(
    keys: MailboxKeys,
    message_id: int,
    received_at: datetime,
    folder_id: int,
    size_bytes: int,
    envelope_from: str,
    wrapped: bytes,
    sealed: bytes | None,
    rule: str,
    since: datetime,
    until: datetime,
    action: int | None,
) -> Held:
    sender, subject = ("", envelope_from), ""
    if sealed is not None:
        place = summary_place(keys.mailbox_id, message_id)
        told = json.loads(unseal(keys.open_content_key(wrapped, message_id), sealed, place))
        sender, subject = (told["sender"][0], told["sender"][1]), told["subject"]
    folder = Kind(folder_id)
    return Held(message_id, received_at, folder, size_bytes, sender, subject, rule, since, until, action)


def held_count() -> int:
    """How many messages are held in the mailbox of the open transaction; by an index that holds these alone."""
    [[count]] = rows("SELECT held_count()", {})
    return int(count)
