"""What Clerk tells, taken in: each message once, and nothing that is older than what we know.

A message and its effect are one transaction, so that whatever fails in between is delivered again and done then. Clerk decides who
may sign in, and nothing here touches mail: a person who is banned or deleted there is kept out, and erasing his mail is a matter
of its own (`webmail.privacy`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert

from webmail import audit
from webmail.db import db, new_id
from webmail.identity import accounts
from webmail.identity.clerk.webhooks import (
    Effect,
    KnownUser,
    SessionEnded,
    SignedIn,
    UserChanged,
    UserDeleted,
    WebhookEvent,
    effect_of,
    is_news,
)
from webmail.identity.models import Account, SessionDenial
from webmail.identity.webhook_models import WebhookEvent as Kept

Outcome = Literal["applied", "late", "nothing"]
"""`late`: we knew better already; `nothing`: it concerns nothing that we keep."""
ACTOR = "system:clerk"
REMEMBER_DELETED = timedelta(days=30)
"""Clerk repeats an event for 28 hours. The rest is for replays by hand from its dashboard."""
PAGE = 50


def take(event: WebhookEvent) -> Outcome | None:
    """Do what a genuine event says; None when this message came before, and was done then."""
    effect = effect_of(event)
    user_id, session_id = _about(effect)
    statement = insert(Kept).values(
        message_id=event.message_id,
        kind=event.kind,
        user_id=user_id,
        session_id=session_id,
        outcome="nothing",
        occurred_at=datetime.fromtimestamp(event.occurred_at, UTC),
    )
    # Two deliveries of one message at once: the second waits here until the first is done, or takes its place if that failed.
    statement = statement.on_conflict_do_update(
        index_elements=["message_id"], set_={"deliveries": Kept.deliveries + 1}
    )
    number, deliveries = db.session.execute(statement.returning(Kept.number, Kept.deliveries)).one()
    if deliveries > 1:
        return None
    outcome = _apply(effect)
    if outcome != "nothing":
        db.session.execute(_SETTLE, {"number": number, "outcome": outcome})
    return outcome


_SETTLE = text("UPDATE webhook_event SET outcome = :outcome WHERE number = :number")


def _about(effect: Effect | None) -> tuple[str | None, str | None]:
    match effect:
        case UserChanged(user_id=user_id) | UserDeleted(user_id=user_id):
            return user_id, None
        case (
            SessionEnded(session_id=session_id, user_id=user_id)
            | SignedIn(session_id=session_id, user_id=user_id)
        ):
            return user_id, session_id
        case _:
            return None, None


def _apply(effect: Effect | None) -> Outcome:
    match effect:
        case UserChanged():
            return _change(effect)
        case UserDeleted():
            return _delete(effect)
        case SessionEnded():
            accounts.deny(effect.session_id, "ended-at-clerk")
            return "applied"
        case SignedIn(impersonated=True):
            audit.record("clerk.impersonation_begun", ACTOR, user=effect.user_id, session=effect.session_id)
            return "applied"
        case _:
            return "nothing"


# --- people ---


@dataclass(frozen=True, slots=True)
class _Row:
    account_id: int | None
    state: str
    known: KnownUser | None


def _change(effect: UserChanged) -> Outcome:
    """Name, contact address and ban as Clerk has them now; who is not known yet becomes an account without a mailbox."""
    row = _locked(effect.user_id)
    if not is_news(effect, row.known):
        return "late"
    state = "banned" if effect.banned else "present"
    values = {
        "name": effect.name,
        "contact_email": effect.contact or "",
        "clerk_updated_at": effect.updated_at,
        "clerk_state": state,
    }
    statement = insert(Account).values(account_id=new_id(), clerk_user_id=effect.user_id, **values)
    statement = statement.on_conflict_do_update(index_elements=["clerk_user_id"], set_=values)
    account_id = db.session.execute(statement.returning(Account.account_id)).scalar_one()
    if state != row.state:
        kind = "clerk.user_banned" if effect.banned else "clerk.user_unbanned"
        audit.record(kind, ACTOR, account=account_id)
    return "applied"


def _delete(effect: UserDeleted) -> Outcome:
    """Final. The deny-list remembers who never had an account here, for as long as anything older may still arrive."""
    row = _locked(effect.user_id)
    if not is_news(effect, row.known):
        return "late"
    accounts.deny(effect.user_id, "deleted-at-clerk", REMEMBER_DELETED)
    if row.account_id is not None:
        db.session.execute(_MARK_DELETED, {"account": row.account_id})
        audit.record("clerk.user_deleted", ACTOR, account=row.account_id)
    return "applied"


_MARK_DELETED = text("UPDATE account SET clerk_state = 'deleted' WHERE account_id = :account")


def _locked(user_id: str) -> _Row:
    """What we know of a user, with the events of this user waiting in line until the transaction ends."""
    db.session.execute(_LOCK, {"user": user_id})
    columns = (Account.account_id, Account.clerk_state, Account.clerk_updated_at)
    found = db.session.execute(select(*columns).where(Account.clerk_user_id == user_id)).first()
    if found is not None:
        known = KnownUser(found.clerk_updated_at, deleted=found.clerk_state == "deleted")
        return _Row(found.account_id, found.clerk_state, known)
    gone = select(SessionDenial.subject).where(
        SessionDenial.subject == user_id,
        SessionDenial.reason == "deleted-at-clerk",
        SessionDenial.until > func.now(),
    )
    deleted = db.session.execute(gone).first() is not None
    return _Row(None, "present", KnownUser(0, deleted=True) if deleted else None)


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:user, 20481))")


# --- looking back ---


@dataclass(frozen=True, slots=True)
class Line:
    """One message as staff see it: ids, times and a code."""

    number: int
    message_id: str
    kind: str
    user_id: str | None
    session_id: str | None
    outcome: str
    occurred_at: datetime
    received_at: datetime
    deliveries: int


def recent(before: int | None = None, limit: int = PAGE) -> Sequence[Line]:
    """The last messages, the newest first; `before` is the number of the last line of the page before."""
    statement = select(
        Kept.number, Kept.message_id, Kept.kind, Kept.user_id, Kept.session_id, Kept.outcome,
        Kept.occurred_at, Kept.received_at, Kept.deliveries,
    ).order_by(Kept.number.desc()).limit(limit)  # fmt: skip
    if before is not None:
        statement = statement.where(Kept.number < before)
    return [Line(*row) for row in db.session.execute(statement)]
