"""What is to be done for a person that waits for another service, as rows: claimed with a lease, tried again, parked in the end.

    revoke         have Clerk end a session               facts: session
    revoke_others  have Clerk end all sessions but one    facts: keep
    tell           a notice, into the mailbox and to the contact address   facts: what, and codes that its words need
    delete_user    have Clerk delete the person, whose account here is erased   facts: user

As `work`, but by account: a person without a mailbox signs out, too. Rows hold ids and codes alone.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from webmail import jobs
from webmail.db import db, new_id

KINDS = ("revoke", "revoke_others", "tell", "delete_user")
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=10), timedelta(hours=1)
ATTEMPTS = 60
"""With the waits between them, more than two days."""


@dataclass(frozen=True, slots=True)
class Errand:
    """An errand that a worker holds. `attempts` counts this one."""

    errand_id: int
    kind: str
    account_id: int | None
    facts: dict[str, Any]
    made_at: datetime
    lease: int
    attempts: int


def add(kind: str, account_id: int | None, **facts: str | int) -> int:
    """Put an errand into the open transaction and ring for it after the commit; its id."""
    errand_id = new_id()
    values = {"errand": errand_id, "kind": kind, "account": account_id, "facts": json.dumps(facts)}
    db.session.execute(_ADD, values)
    jobs.ring_after_commit(jobs.ERRAND)
    return errand_id


_ADD = text("""
    INSERT INTO errand (errand_id, kind, account_id, facts) VALUES (:errand, :kind, :account, CAST(:facts AS jsonb))""")


def claim(lease: timedelta) -> Errand | None:
    """Take the next errand that is due, for `lease`; None when there is none."""
    row = db.session.execute(_CLAIM, {"period": lease, "lease": secrets.randbits(62)}).first()
    return Errand(*row) if row else None


_CLAIM = text("""
    WITH due AS MATERIALIZED (
        SELECT errand_id FROM errand
         WHERE kind IN ('revoke', 'revoke_others', 'tell', 'delete_user') AND due_at <= now() AND parked_at IS NULL
         ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    UPDATE errand SET due_at = now() + :period, lease = :lease, attempts = attempts + 1 FROM due
     WHERE errand.errand_id = due.errand_id
 RETURNING errand.errand_id, errand.kind, errand.account_id, errand.facts, errand.made_at, errand.lease, errand.attempts""")


def finish(errand: Errand) -> bool:
    """Remove what is done; False when somebody else holds it by now: then undo what you did."""
    done = db.session.execute(_FINISH, {"errand": errand.errand_id, "lease": errand.lease})
    return done.rowcount == 1  # type: ignore[attr-defined, no-any-return]


_FINISH = text("DELETE FROM errand WHERE errand_id = :errand AND lease = :lease")


def remember(errand: Errand, **facts: str | int) -> bool:
    """Add to the facts what is done of it, so that a second run does not do it again. False when it is lost to another."""
    values = {"errand": errand.errand_id, "lease": errand.lease, "facts": json.dumps(facts)}
    return db.session.execute(_REMEMBER, values).rowcount == 1  # type: ignore[attr-defined, no-any-return]


_REMEMBER = text("""
    UPDATE errand SET facts = facts || CAST(:facts AS jsonb) WHERE errand_id = :errand AND lease = :lease""")


def again(errand: Errand, problem: str) -> None:
    """Try later; after sixty attempts put it aside for a person to look at. `problem` is a short code."""
    values: dict[str, Any] = {"errand": errand.errand_id, "lease": errand.lease, "problem": problem[:60]}
    if errand.attempts >= ATTEMPTS:
        db.session.execute(_PARK, values)
        return
    wait = min(FIRST_RETRY * 2 ** min(errand.attempts - 1, 20), LONGEST_RETRY)
    db.session.execute(_AGAIN, values | {"wait": wait})


_AGAIN = text("""
    UPDATE errand SET due_at = now() + :wait, lease = NULL, problem = :problem WHERE errand_id = :errand AND lease = :lease""")
_PARK = text("""
    UPDATE errand SET parked_at = now(), lease = NULL, problem = :problem WHERE errand_id = :errand AND lease = :lease""")


def is_due() -> bool:
    """Whether any errand waits for a worker: what the sweeper rings for."""
    return bool(db.session.execute(_DUE).scalar())


_DUE = text("SELECT EXISTS (SELECT 1 FROM errand WHERE due_at <= now() AND parked_at IS NULL)")
