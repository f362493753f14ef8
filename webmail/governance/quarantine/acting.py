"""Quarantine from a case: what could be held, proposing, deciding, giving back (P07, P19, P20). In transactions of the staff.

Each verb is one function of the database, which checks, acts, writes notices and the log, or refuses and writes that down: a
refusal is an answer (a code) and no exception. What is held is named by what was reported; nobody can hand in words, a digest or an
address.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import text

from webmail.db import db, new_id
from webmail.governance.actions.register import MAX_WORDS, MIN_WORDS
from webmail.governance.actions.words import seal_words
from webmail.keys import MasterKeys

RULES = ("spam", "phishing", "malware", "fraud", "harassment", "illegal", "security", "other")
DAYS, MOST_DAYS = 30, 365
MOST_COUNTED = 10_000
"""Beyond that the staff reads "more than"."""


class Choice(NamedTuple):
    """A reported message that is known again elsewhere. `quarantine_id`: the one that holds it, or is to."""

    item_id: int
    arrived_at: datetime
    messages: int
    mailboxes: int
    quarantine_id: int | None


def choices(case_id: int, *, by: int) -> tuple[Sequence[Choice], str]:
    """What could be held from a case, each message once, with how often it came; or why nothing: role, case-closed, own."""
    found = db.session.execute(_CHOICES, {"by": by, "case": case_id}).all()
    if found and found[0].refusal:
        return (), str(found[0].refusal)
    return [Choice(*row[1:]) for row in found], ""


_CHOICES = text("""
    SELECT refusal, item_id, arrived_at, messages, mailboxes, quarantine_id FROM quarantine_choices(:by, :case)""")


@dataclass(frozen=True, slots=True)
class Hold:
    """What is to be held, why, and until when. `words` are read by each owner."""

    case_id: int
    item_id: int
    rule: str
    words: str
    until: datetime


def problem(hold: Hold) -> str:
    """What is wrong with it, as a code, before the database is asked; "" for nothing."""
    if hold.rule not in RULES:
        return "rule"
    if not MIN_WORDS <= len(hold.words.strip()) <= MAX_WORDS:
        return "words"
    now = datetime.now(UTC)
    return "" if now < hold.until <= now + timedelta(days=MOST_DAYS + 1) else "dates"


def take(master: MasterKeys, hold: Hold, *, by: int) -> tuple[int, str]:
    """Hold it, or propose it where it takes two; its id, and "done", "proposed" or why not: a code of `problem`, or role,
    case-closed, own, item, already. What is done at once is the first piece: a worker goes on."""
    wrong = problem(hold)
    if wrong:
        return 0, wrong
    quarantine_id = new_id()
    values = {
        "quarantine": quarantine_id,
        "by": by,
        "case": hold.case_id,
        "item": hold.item_id,
        "rule": hold.rule,
        "words": seal_words(master, hold.words, quarantine_id, "words", "quarantine"),
        "until": hold.until,
    }
    return quarantine_id, str(db.session.execute(_TAKE, values).scalar_one())


_TAKE = text("SELECT quarantine_take(:quarantine, :by, :case, :item, :rule, :words, :until)")


def decide(quarantine_id: int, *, by: int, approved: bool) -> str:
    """Approve or decline; "" or why not: role, none, own-request, own, decided, case-closed, stale."""
    values = {"quarantine": quarantine_id, "by": by, "approved": approved}
    return str(db.session.execute(_DECIDE, values).scalar_one())


_DECIDE = text("SELECT quarantine_decide(:quarantine, :by, :approved)")


def release(quarantine_id: int, *, by: int) -> str:
    """Give everything back as it was; "" or why not: role, none, over, own, not-yours. A worker finishes it."""
    values = {"quarantine": quarantine_id, "by": by}
    return str(db.session.execute(_RELEASE, values).scalar_one())


_RELEASE = text("SELECT quarantine_release(:quarantine, :by)")
