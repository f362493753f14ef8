"""What those hear who brought something: how far it is, how it ended, and what was answered. Never whose it is or who else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webmail.db import rows
from webmail.errors import NotFound
from webmail.governance.cases.sealing import CaseSecret


@dataclass(frozen=True, slots=True)
class Answer:
    """Words of the staff."""

    at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class Told:
    """How far a matter is. `state`: open, waiting or closed; `looked`: somebody of the staff has opened what was reported."""

    state: str
    outcome: str
    words: str
    closed_at: datetime | None
    looked: bool
    answers: Sequence[Answer] = ()
    arrived_at: datetime | None = None


def of_mailbox(secret: CaseSecret) -> dict[int, Told]:
    """By report, what the owner of the open transaction's mailbox hears."""
    return {row[0]: _told(secret, row) for row in rows(_REPORTS, {})}


_REPORTS = "SELECT report_id, case_id, state, outcome, outcome_words, closed_at, opened FROM reports_told()"


def of_report(secret: CaseSecret, report_id: int) -> Told:
    """What the owner of the open transaction's mailbox hears of one report, with the answers. Raises NotFound."""
    found = rows(f"{_REPORTS} WHERE report_id = %(report)s", {"report": report_id})
    if not found:
        raise NotFound("report")
    answers = rows("SELECT answer_id, at, words FROM report_answers(%(report)s)", {"report": report_id})
    return _told(secret, found[0], _answers(secret, answers))


def of_form(secret: CaseSecret, hashed: bytes) -> Told:
    """What somebody hears who wrote by the form and holds the secret of his link. Raises NotFound."""
    found = rows(_FORM, {"hash": hashed})
    if not found:
        raise NotFound("form")
    answers = rows("SELECT answer_id, at, words FROM form_answers(%(hash)s)", {"hash": hashed})
    return _told(secret, found[0], _answers(secret, answers), found[0][7])


_FORM = """
    SELECT item_id, case_id, state, outcome, outcome_words, closed_at, 0, arrived_at FROM form_told(%(hash)s)"""


def _told(
    secret: CaseSecret, row: Sequence[Any], answers: Sequence[Answer] = (), arrived_at: datetime | None = None
) -> Told:
    _item, case_id, state, outcome, sealed, closed_at, opened = row[:7]
    words = secret.open(sealed, "case_file", case_id, "outcome_words")
    return Told(state, outcome, words, closed_at, bool(opened), answers, arrived_at)


def _answers(secret: CaseSecret, found: Sequence[Sequence[Any]]) -> list[Answer]:
    return [Answer(at, secret.open(words, "case_answer", number, "words")) for number, at, words in found]
