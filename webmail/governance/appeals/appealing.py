"""Appeals: made once by the person an action is about, judged within a week by somebody who had no part in it (P20)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from webmail.db import db, new_id
from webmail.errors import NotFound
from webmail.governance.actions.register import MAX_WORDS, MIN_WORDS
from webmail.governance.actions.words import open_words, seal_words
from webmail.keys import MasterKeys


def make(master: MasterKeys, action_id: int, words: str, *, account_id: int) -> str:
    """Object to an action; "" or why not: words, none (not about you, or you were not told), once, late. For the web's role."""
    if not MIN_WORDS <= len(words.strip()) <= MAX_WORDS:
        return "words"
    appeal_id = new_id()
    sealed = seal_words(master, words, appeal_id, "words", "appeal")
    values = {"appeal": appeal_id, "account": account_id, "action": action_id, "words": sealed}
    return str(db.session.execute(_MAKE, values).scalar_one())


_MAKE = text("SELECT appeal_make(:appeal, :account, :action, :words)")


def judge(master: MasterKeys, appeal_id: int, *, by: int, verdict: str, answer: str) -> str:
    """Uphold an appeal, which undoes the action with it, or reject it; the answer is for the person. Once, for good.

    Codes: words, role, none, judged, verdict, not-independent. In a transaction of the staff.
    """
    if not MIN_WORDS <= len(answer.strip()) <= MAX_WORDS:
        return "words"
    sealed = seal_words(master, answer, appeal_id, "answer", "appeal")
    values = {"appeal": appeal_id, "by": by, "verdict": verdict, "answer": sealed}
    return str(db.session.execute(_JUDGE, values).scalar_one())


_JUDGE = text("SELECT appeal_judge(:appeal, :by, :verdict, :answer)")


@dataclass(frozen=True, slots=True)
class Appeal:
    """An appeal as who judges it sees it. `refusal`: why this colleague may not judge it, as a code."""

    appeal_id: int
    action_id: int
    name: str
    kind: str
    rule: str
    made_at: datetime
    due_at: datetime
    verdict: str
    judge: str
    judged_at: datetime | None
    words: bytes
    answer: bytes | None
    is_late: bool
    refusal: str

    def said(self, master: MasterKeys) -> tuple[str, str]:
        """What the person wrote, and the answer; "" where there is none yet."""
        return (
            open_words(master, self.words, self.appeal_id, "words", "appeal"),
            open_words(master, self.answer, self.appeal_id, "answer", "appeal"),
        )


_SELECT = """
    SELECT p.appeal_id, p.action_id, c.name, a.kind, a.rule, p.made_at, p.due_at, coalesce(p.verdict, '') AS verdict,
           coalesce(j.name, '') AS judge, p.judged_at, p.words, p.answer,
           p.verdict IS NULL AND p.due_at < now() AS is_late, appeal_judge_refusal(:by, p.action_id) AS refusal
      FROM appeal p JOIN staff_action a USING (action_id) JOIN account c ON c.account_id = p.account_id
      LEFT JOIN account j ON j.account_id = p.judged_by"""
_WAITING = text(f"{_SELECT} WHERE p.verdict IS NULL ORDER BY p.due_at LIMIT :limit")
_DONE = text(f"{_SELECT} WHERE p.verdict IS NOT NULL ORDER BY p.judged_at DESC LIMIT :limit")
_ONE = text(f"{_SELECT} WHERE p.appeal_id = :appeal")


def waiting(*, by: int, limit: int = 100) -> Sequence[Appeal]:
    """What is to be judged, by deadline."""
    return [Appeal(**row) for row in db.session.execute(_WAITING, {"by": by, "limit": limit}).mappings()]


def judged(*, by: int, limit: int = 20) -> Sequence[Appeal]:
    """What was judged last."""
    return [Appeal(**row) for row in db.session.execute(_DONE, {"by": by, "limit": limit}).mappings()]


def one(appeal_id: int, *, by: int) -> Appeal:
    """One appeal. Raises NotFound."""
    row = db.session.execute(_ONE, {"appeal": appeal_id, "by": by}).mappings().one_or_none()
    if row is None:
        raise NotFound("appeal")
    return Appeal(**row)


def counts() -> tuple[int, int]:
    """How many wait, and how many of them beyond their deadline."""
    row = db.session.execute(_COUNTS).one()
    return int(row[0]), int(row[1])


_COUNTS = text("SELECT count(*), count(*) FILTER (WHERE due_at < now()) FROM appeal WHERE verdict IS NULL")
