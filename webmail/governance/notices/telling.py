"""Notices as the person reads them: what was done, why, since when, until when, and what became of an appeal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from webmail.db import db
from webmail.errors import NotFound
from webmail.governance.actions.acting import open_words
from webmail.governance.actions.register import APPEAL_DAYS
from webmail.keys import MasterKeys


@dataclass(frozen=True, slots=True)
class Told:
    """One action as its person knows it. `address`: the mailbox it is about, "" for the account; who acted is not said."""

    action_id: int
    kind: str
    address: str
    amount: int | None
    rule: str
    words: str
    since: datetime
    until: datetime | None
    state: str
    lifted_at: datetime | None
    lifted_why: str
    told_at: datetime
    is_new: bool
    may_appeal: bool
    appeal_id: int | None
    appeal_words: str
    appealed_at: datetime | None
    appeal_due_at: datetime | None
    verdict: str
    answer: str
    judged_at: datetime | None

    @property
    def appeal_until(self) -> datetime:
        """Until when an appeal may be made."""
        return self.told_at + timedelta(days=APPEAL_DAYS)


def told(master: MasterKeys, account_id: int) -> Sequence[Told]:
    """Everything that somebody was told, newest first. In a transaction of the web."""
    found = []
    for row in db.session.execute(_TOLD, {"account": account_id}).mappings():
        fields = dict(row)
        number, appeal_id = fields["action_id"], fields["appeal_id"] or 0
        fields["words"] = open_words(master, fields["words"], number, "words")
        fields["appeal_words"] = open_words(master, fields["appeal_words"], appeal_id, "words", "appeal")
        fields["answer"] = open_words(master, fields["answer"], appeal_id, "answer", "appeal")
        fields |= {"lifted_why": fields["lifted_why"] or "", "verdict": fields["verdict"] or ""}
        found.append(Told(**fields))
    return found


_TOLD = text("SELECT * FROM notices_of(:account)")


def one(master: MasterKeys, account_id: int, action_id: int) -> Told:
    """One of them. Raises NotFound for what is somebody else's, or not told yet."""
    for notice in told(master, account_id):
        if notice.action_id == action_id:
            return notice
    raise NotFound("notice")


def seen(account_id: int) -> int:
    """Note that somebody has read what he was told; how many were new."""
    return int(
        db.session.execute(text("SELECT notices_seen(:account)"), {"account": account_id}).scalar_one()
    )
