"""Actions as the staff sees them: of a case, of a person, and what waits for a second person. In a transaction of the staff."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from webmail.db import db
from webmail.errors import NotFound
from webmail.governance.actions.words import open_words
from webmail.keys import MasterKeys


@dataclass(frozen=True, slots=True)
class Action:
    """An action without its words, with the people in it by name."""

    action_id: int
    case_id: int
    kind: str
    account_id: int
    name: str
    target_mailbox_id: int | None
    amount: int | None
    rule: str
    words: bytes
    acted_by: int
    actor: str
    acted_at: datetime
    until: datetime | None
    state: str
    decided_by: int | None
    decider: str
    in_force_at: datetime | None
    withheld: bytes | None
    withheld_until: datetime | None
    lifted_at: datetime | None
    lifted_why: str
    then_reserved: bool
    name_freed_at: datetime | None
    appeal_id: int | None
    verdict: str
    told_at: datetime | None
    seen_at: datetime | None
    mail: str
    quarantine_id: int | None

    def said(self, master: MasterKeys) -> str:
        """What the person reads."""
        if self.quarantine_id is not None:
            return open_words(master, self.words, self.quarantine_id, "words", "quarantine")
        return open_words(master, self.words, self.action_id, "words")


_SELECT = """
    SELECT a.action_id, a.case_id, a.kind, a.account_id, p.name, a.target_mailbox_id, a.amount, a.rule,
           coalesce(a.words, q.words) AS words, a.acted_by,
           x.name AS actor, a.acted_at, a.until, a.state, a.decided_by, coalesce(d.name, '') AS decider, a.in_force_at, a.withheld,
           a.withheld_until, a.lifted_at, coalesce(a.lifted_why, '') AS lifted_why, a.then_reserved, a.name_freed_at, l.appeal_id,
           coalesce(l.verdict, '') AS verdict, n.due_at AS told_at, n.seen_at, coalesce(n.mail, '') AS mail,
           a.quarantine_id
      FROM staff_action a JOIN account p ON p.account_id = a.account_id JOIN account x ON x.account_id = a.acted_by
      LEFT JOIN account d ON d.account_id = a.decided_by LEFT JOIN appeal l ON l.action_id = a.action_id
      LEFT JOIN staff_notice n ON n.action_id = a.action_id AND n.kind = 'action'
      LEFT JOIN quarantine q ON q.quarantine_id = a.quarantine_id"""
_OF_CASE = text(
    f"{_SELECT} WHERE a.case_id = :id AND a.kind <> 'hold' ORDER BY a.acted_at DESC, a.action_id LIMIT 100"
)
_OF_ACCOUNT = text(
    f"{_SELECT} WHERE a.account_id = :id AND a.kind <> 'hold' ORDER BY a.acted_at DESC, a.action_id LIMIT 100"
)
_ONE = text(f"{_SELECT} WHERE a.action_id = :id")
_PROPOSED = text(f"{_SELECT} WHERE a.state = 'proposed' ORDER BY a.acted_at LIMIT 100")


def of_case(case_id: int) -> Sequence[Action]:
    """What was done from a case, newest first."""
    return _listed(_OF_CASE, case_id)


def of_account(account_id: int) -> Sequence[Action]:
    """What was ever done to somebody, newest first: his strikes."""
    return _listed(_OF_ACCOUNT, account_id)


def one(action_id: int) -> Action:
    """One action. Raises NotFound."""
    found = _listed(_ONE, action_id)
    if not found:
        raise NotFound("action")
    return found[0]


def proposed() -> Sequence[Action]:
    """What waits for a second person, oldest first."""
    return _listed(_PROPOSED, 0)


def _listed(statement: object, number: int) -> list[Action]:
    return [Action(**row) for row in db.session.execute(statement, {"id": number}).mappings()]  # type: ignore[call-overload]


def strikes(actions: Sequence[Action]) -> int:
    """How many of these count: what came into force, and was not undone by an appeal. Who got mail that is held did nothing."""
    return sum(
        1
        for one in actions
        if one.kind != "hold"
        and one.in_force_at is not None
        and one.lifted_why != "appeal"
        and one.verdict != "upheld"
    )


# --- on whom -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """A mailbox that somebody owns."""

    mailbox_id: int
    address: str
    state: str
    may_receive: bool
    domain_id: int
    local_part: str


def targets(case_id: int, account_id: int, *, by: int) -> Sequence[Target]:
    """The mailboxes that a person owns; none where this colleague may not act on him, or the case is closed."""
    values = {"by": by, "case": case_id, "account": account_id}
    return [Target(**row) for row in db.session.execute(_TARGETS, values).mappings()]


_TARGETS = text("SELECT * FROM action_targets(:by, :case, :account)")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody an action may be about. `refusal`: why this colleague may not act on him, as a code."""

    account_id: int
    name: str
    status: str
    may_sign_in: bool
    may_send: bool
    send_day: int | None
    refusal: str


def person(account_id: int, *, by: int) -> Person:
    """Whom an action would be about. Raises NotFound."""
    row = db.session.execute(_PERSON, {"account": account_id, "by": by}).mappings().one_or_none()
    if row is None:
        raise NotFound("account")
    return Person(**row)


_PERSON = text("""
    SELECT account_id, name, status, may_sign_in, may_send, send_day, action_refusal(:by, account_id, NULL) AS refusal
      FROM account WHERE account_id = :account""")


def case_of(case_id: int) -> tuple[str, int | None]:
    """The state of a case, and whom it is about. Raises NotFound."""
    row = db.session.execute(_CASE, {"case": case_id}).one_or_none()
    if row is None:
        raise NotFound("case")
    return row.state, row.account_id


_CASE = text("SELECT state, account_id FROM case_file WHERE case_id = :case")
