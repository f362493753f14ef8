"""Notices as the person reads them: what was done, why, since when, until when, and what became of an appeal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from webmail import audit
from webmail.db import db
from webmail.errors import NotFound
from webmail.governance.actions.register import APPEAL_DAYS
from webmail.governance.actions.words import open_words
from webmail.keys import MasterKeys


@dataclass(frozen=True, slots=True)
class Told:
    """One action as its person knows it; who acted is not said. `quarantine_id`: of mail that is held, None for all else;
    `address`, `mailbox_id`: the mailbox it is about, "" and None for the account."""

    action_id: int
    quarantine_id: int | None
    mailbox_id: int | None
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
        quarantine_id, appeal_id = fields["quarantine_id"], fields["appeal_id"] or 0
        table = "quarantine" if quarantine_id else "staff_action"  # a hold has the words of its quarantine
        number = quarantine_id or fields["action_id"]
        fields["words"] = open_words(master, fields["words"], number, "words", table)
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


_BEGAN = ("action.taken", "action.approved", "quarantine.held")
_PAGE, _PAGES = 200, 20


def event_of(account_id: int, notice: Told) -> int | None:
    """The number of the log's entry that says that this was done, which its person can have proved; None for one that is not there
    any more. In a transaction of the web."""
    before = None
    for _page in range(_PAGES):
        found = audit.about(account_id, before=before, limit=_PAGE)
        for one in found:
            facts = one.facts or {}
            same = facts.get("action") == notice.action_id or (
                notice.quarantine_id is not None and facts.get("quarantine") == notice.quarantine_id
            )
            if same and one.kind in _BEGAN:
                return one.number
        if len(found) < _PAGE:
            break
        before = found[-1].number
    return None


def seen(account_id: int) -> int:
    """Note that somebody has read what he was told; how many were new."""
    return int(
        db.session.execute(text("SELECT notices_seen(:account)"), {"account": account_id}).scalar_one()
    )
