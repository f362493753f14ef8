"""Legal holds: what law says must be kept is not erased while one stands. An admin sets it for a case, and never on oneself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from webmail import audit
from webmail.db import db, new_id, rows
from webmail.errors import MtumailError, NotFound


class HoldRefused(MtumailError):
    """Nothing was changed. `reason`: "own", "no-case", "held" (for this case already)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold as admins see it. `waits`: a deletion of the person's is due and waits for it."""

    hold_id: int
    account_id: int
    name: str
    case_id: int
    set_by: str
    set_at: datetime
    ended_at: datetime | None
    ended_by: str
    waits: bool


def listed(limit: int = 200) -> Sequence[Hold]:
    """Holds that stand, then the last that ended; in a transaction of the staff."""
    return [Hold(*row) for row in rows(_LISTED, {"limit": limit})]


_LISTED = """
    SELECT h.hold_id, h.account_id, a.name, h.case_id, b.name, h.set_at, h.ended_at, coalesce(c.name, ''),
           h.ended_at IS NULL AND EXISTS (SELECT FROM erasure e WHERE e.account_id = h.account_id AND e.state = 'waiting'
                                             AND e.due_at <= now())
      FROM legal_hold h JOIN account a USING (account_id) JOIN account b ON b.account_id = h.set_by
      LEFT JOIN account c ON c.account_id = h.ended_by
     ORDER BY h.ended_at DESC NULLS FIRST, h.set_at DESC LIMIT %(limit)s"""


def set_hold(account_id: int, case_id: int, *, by: int) -> int:
    """Keep an account and its mailboxes from being erased; the hold's id. Raises HoldRefused."""
    hold_id = new_id()
    with _refusals():
        db.session.execute(_SET, {"hold": hold_id, "account": account_id, "case": case_id, "by": by})
    audit.record("hold.set", f"account:{by}", about=account_id, hold=hold_id, case=case_id)
    return hold_id


_SET = text(
    "INSERT INTO legal_hold (hold_id, account_id, case_id, set_by) VALUES (:hold, :account, :case, :by)"
)
_CODES = {
    "legal_hold_nobody_holds_himself": "own",
    "legal_hold_case_id_exists": "no-case",
    "legal_hold_once_a_case": "held",
}


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        if name not in _CODES:
            raise
        raise HoldRefused(_CODES[name]) from None


def end(hold_id: int, *, by: int) -> None:
    """End a hold: what waits is erased with the next run. Raises NotFound, HoldRefused."""
    with _refusals():
        found = db.session.execute(_END, {"hold": hold_id, "by": by}).first()
    if found is None:
        raise NotFound("hold")
    audit.record("hold.ended", f"account:{by}", about=found.account_id, hold=hold_id, case=found.case_id)


_END = text("""
    UPDATE legal_hold SET ended_by = :by, ended_at = now() WHERE hold_id = :hold AND ended_at IS NULL
 RETURNING account_id, case_id""")
