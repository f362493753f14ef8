"""Acting on people, from a case: proposing, deciding, undoing (P18, P19, P20).

Each verb is one function of the database, which checks, acts, writes the notice and the log, or refuses and writes that down: so a
refusal is an answer (a code) and no exception. What is in force is the sum of the rows in force: an action that ends takes nothing
back that another one still holds. Words are sealed under the master key.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from webmail.db import db, new_id
from webmail.governance.actions import reading
from webmail.governance.actions.register import KINDS, MAX_WORDS, MIN_WORDS, MOST_A_DAY, RULES, WITHHELD_DAYS
from webmail.governance.actions.words import seal_words
from webmail.identity import names
from webmail.keys import MasterKeys


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be done to whom. `words` are read by the person; `withheld` says why he is told only at `withheld_until`."""

    case_id: int
    kind: str
    account_id: int
    rule: str
    words: str
    mailbox_id: int | None = None
    amount: int | None = None
    until: datetime | None = None
    withheld: str = ""
    withheld_until: datetime | None = None
    then_reserved: bool = False


def problems(act: Act) -> list[str]:
    """What is wrong with it, as codes, before the database is asked."""
    kind = KINDS.get(act.kind)
    if kind is None:
        return ["kind"]
    found = [] if act.rule in RULES else ["rule"]
    if not MIN_WORDS <= len(act.words.strip()) <= MAX_WORDS:
        found.append("words")
    if kind.of_mailbox != (act.mailbox_id is not None):
        found.append("mailbox")
    if (act.kind == "limit") != (act.amount is not None) or (
        act.amount is not None and not 1 <= act.amount <= MOST_A_DAY
    ):
        found.append("amount")
    now = datetime.now(UTC)
    if act.until is not None and (not kind.ends or act.until <= now):
        found.append("dates")
    if bool(act.withheld.strip()) != (act.withheld_until is not None) or len(act.withheld) > MAX_WORDS:
        found.append("withheld")
    elif act.withheld_until is not None and not now < act.withheld_until <= now + timedelta(
        days=WITHHELD_DAYS
    ):
        found.append("withheld-dates")
    return found


def take(master: MasterKeys, act: Act, *, by: int) -> tuple[int, str]:
    """Do it, or propose it where it takes two; its id, and "done", "proposed" or why not: the first code of `problems`, or role,
    case-closed, none, own, colleague, mailbox, already, dates, withheld-dates. In a transaction of the staff."""
    wrong = problems(act)
    if wrong:
        return 0, wrong[0]
    action_id = new_id()
    domain_id = hashed = None
    if act.kind == "reclaim":
        found = [
            one
            for one in reading.targets(act.case_id, act.account_id, by=by)
            if one.mailbox_id == act.mailbox_id
        ]
        if not found:
            return 0, "mailbox"
        domain_id, hashed = found[0].domain_id, names.blind(master, found[0].domain_id, found[0].local_part)
    values = {
        "action": action_id,
        "by": by,
        "case": act.case_id,
        "kind": act.kind,
        "account": act.account_id,
        "mailbox": act.mailbox_id,
        "amount": act.amount,
        "rule": act.rule,
        "words": seal_words(master, act.words, action_id, "words"),
        "until": act.until,
        "withheld": seal_words(master, act.withheld, action_id, "withheld") if act.withheld_until else None,
        "withheld_until": act.withheld_until,
        "domain": domain_id,
        "name": hashed,
        "reserve": act.then_reserved,
    }
    return action_id, str(db.session.execute(_TAKE, values).scalar_one())


_TAKE = text("""
    SELECT action_take(:action, :by, :case, :kind, :account, CAST(:mailbox AS bigint), CAST(:amount AS integer), :rule, :words,
        CAST(:until AS timestamptz), CAST(:withheld AS bytea), CAST(:withheld_until AS timestamptz), CAST(:domain AS bigint),
        CAST(:name AS bytea), :reserve)""")


def decide(action_id: int, *, by: int, approved: bool) -> str:
    """The second person approves what was proposed, or declines it. Codes: role, none, own-request, decided, own, colleague,
    case-closed, stale."""
    return str(
        db.session.execute(_DECIDE, {"action": action_id, "by": by, "approved": approved}).scalar_one()
    )


_DECIDE = text("SELECT action_decide(:action, :by, :approved)")


def lift(action_id: int, *, by: int) -> str:
    """Undo it: who acted may, and leads and admins. Codes: role, none, over, freed, not-yours, own, colleague."""
    return str(db.session.execute(_LIFT, {"action": action_id, "by": by}).scalar_one())


_LIFT = text("SELECT action_lift(:action, :by)")


def end_by_time() -> int:
    """End what has a last day, and free names that have rested for two years; how many. For the worker, by the clock."""
    return int(db.session.execute(text("SELECT actions_end_by_time()")).scalar_one())


def forget(account_id: int) -> int:
    """Remove actions, notices and appeals of a closed account; how many actions. For erasure: `memory.remember` first."""
    return int(
        db.session.execute(text("SELECT actions_forget(:account)"), {"account": account_id}).scalar_one()
    )
