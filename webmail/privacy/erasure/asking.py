"""Asking for deletion, taking it back, and what is told of it: to the person, and to whoever has the link."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from webmail import audit
from webmail.db import db, new_id, rows
from webmail.errors import MtumailError, NotFound
from webmail.identity import memberships
from webmail.keys import MasterKeys
from webmail.settings import kept

ACCOUNT_ACT, MAILBOX_ACT = "account.delete", "mailbox.delete"
"""What a fresh proof is asked for; its target is the account or the mailbox."""


class ErasureRefused(MtumailError):
    """Nothing was changed. `reason`: "asked" (it waits already), "last-owner" (others belong to a mailbox that nobody else owns),
    "not-owner", "other-owners" (of this mailbox: one leaves it), "last-admin"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Erasure:
    """A deletion as it is told. `destroyed` are counts by table; `event` is its last entry in the audit log."""

    erasure_id: int
    kind: str
    state: str
    mailboxes: Sequence[int]
    asked_at: datetime
    due_at: datetime
    undone_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    destroyed: Mapping[str, int]
    event: int | None
    is_held: bool


_SELECT = """
    SELECT erasure_id, kind, state, mailboxes, asked_at, due_at, undone_at, started_at, finished_at, destroyed, event,
           state = 'waiting' AND erasure_is_held(account_id, mailboxes) FROM erasure"""


def ask(account_id: int, mailbox_id: int | None = None, *, actor: str = "") -> int:
    """Have a mailbox erased, or without one the whole account, when the time to undo is over; the erasure's id.

    Prove first who asks (`identity.stepup`); `actor`: who does it for them. Raises ErasureRefused.
    """
    check(account_id, mailbox_id)
    erasure_id = new_id()
    kind = "account" if mailbox_id is None else "mailbox"
    values = {
        "erasure": erasure_id,
        "kind": kind,
        "account": account_id,
        "mailboxes": [] if mailbox_id is None else [mailbox_id],
        "grace": timedelta(days=kept.whole("privacy.grace_days")),
    }
    try:
        with db.session.begin_nested():
            db.session.execute(_ASK, values)
    except IntegrityError:
        raise ErasureRefused("asked") from None
    audit.record(
        "erasure.asked", actor or f"account:{account_id}", about=account_id, erasure=erasure_id, kind=kind
    )
    return erasure_id


_ASK = text("""
    INSERT INTO erasure (erasure_id, kind, account_id, mailboxes, due_at)
    VALUES (:erasure, :kind, :account, CAST(:mailboxes AS bigint[]), now() + :grace)""")


def check(account_id: int, mailbox_id: int | None = None) -> None:
    """Raise ErasureRefused if it cannot be asked for now: before anybody has to prove who asks."""
    if any(
        one.state == "waiting" and list(one.mailboxes) == ([mailbox_id] if mailbox_id is not None else [])
        for one in mine(account_id)
    ):
        raise ErasureRefused("asked")
    if mailbox_id is None:
        _refuse_account(account_id)
    else:
        _refuse_mailbox(account_id, mailbox_id)


def _refuse_account(account_id: int) -> None:
    waiting = {
        one.mailboxes[0] for one in mine(account_id) if one.kind == "mailbox" and one.state == "waiting"
    }
    for box in memberships.mine(account_id):
        if box.is_last_owner and box.others and box.mailbox_id not in waiting:
            raise ErasureRefused("last-owner")
    if rows(_LAST_ADMIN, {"account": account_id}):
        raise ErasureRefused("last-admin")


_LAST_ADMIN = """
    SELECT 1 FROM account_role WHERE account_id = %(account)s AND role = 'admin' AND NOT EXISTS (
        SELECT 1 FROM account_role r JOIN account a USING (account_id)
         WHERE r.role = 'admin' AND r.account_id <> %(account)s AND a.status = 'active')"""


def _refuse_mailbox(account_id: int, mailbox_id: int) -> None:
    box = next((one for one in memberships.mine(account_id) if one.mailbox_id == mailbox_id), None)
    if box is None or box.role != "owner":
        raise ErasureRefused("not-owner")
    if not box.is_last_owner:
        raise ErasureRefused("other-owners")


def undo(account_id: int, erasure_id: int | None = None, *, actor: str = "") -> None:
    """Take a deletion back that has not begun; without an id, that of the whole account. Raises NotFound for any other."""
    done = rows(_UNDO, {"account": account_id, "erasure": erasure_id})
    if not done:
        raise NotFound("erasure")
    audit.record("erasure.undone", actor or f"account:{account_id}", about=account_id, erasure=done[0][0])


_UNDO = """
    UPDATE erasure SET state = 'undone', undone_at = now()
     WHERE account_id = %(account)s AND state = 'waiting'
       AND CASE WHEN %(erasure)s::bigint IS NULL THEN kind = 'account' ELSE erasure_id = %(erasure)s END RETURNING erasure_id"""


def mine(account_id: int) -> list[Erasure]:
    """The last twenty deletions that a person asked for, newest first."""
    found = rows(
        f"{_SELECT} WHERE account_id = %(account)s ORDER BY asked_at DESC LIMIT 20", {"account": account_id}
    )
    return [Erasure(*row) for row in found]


def under_way(limit: int = 500) -> list[Erasure]:
    """What waits, or is being erased, by its time."""
    where = "WHERE state NOT IN ('undone', 'done') ORDER BY due_at LIMIT %(limit)s"
    return [Erasure(*row) for row in rows(f"{_SELECT} {where}", {"limit": limit})]


# --- the link ------------------------------------------------------------------------------------------------------------


def link(master: MasterKeys, erasure_id: int) -> str:
    """The secret in the address of an erasure's certificate: made from the master key, kept nowhere."""
    return _secret(master.derive(_PURPOSE), erasure_id)


def by_link(master: MasterKeys, erasure_id: int, secret: str) -> Erasure:
    """The erasure that a link is of. Raises NotFound for a wrong one."""
    keys = master.derivations(_PURPOSE)
    right = [hmac.compare_digest(_secret(key, erasure_id).encode(), secret.encode()) for key in keys]
    found = rows(f"{_SELECT} WHERE erasure_id = %(erasure)s", {"erasure": erasure_id}) if any(right) else []
    if not found:
        raise NotFound("erasure")
    return Erasure(*found[0])


_PURPOSE = "erasure certificates"


def _secret(key: bytes, erasure_id: int) -> str:
    mac = hmac.new(key, erasure_id.to_bytes(6, "big"), sha256).digest()[:18]
    return base64.urlsafe_b64encode(mac).decode()
