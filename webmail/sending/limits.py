"""How many recipients somebody may write to in an hour and in a day. Over it nothing is lost: the message waits for room.

Only what is written in the composer is held, for it has a draft to wait in. An answer to an invitation has none, and can be changed
any number of times: it is refused. Leaving a list by mail, once a message, leaves at once and is counted. What answers by itself is
sent by nobody and not counted; `vacation` says how seldom it answers.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import text

from webmail import audit
from webmail.db import db, rows

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NEW_FOR = timedelta(days=7)
NEW_SHARE = 5
"""An account that is new may write to a fifth."""

Windows = Sequence[tuple[timedelta, int]]
"""Periods and how many recipients go into each; 0 is any number."""


def allowed() -> Windows:
    """The limits of this installation, as its settings say."""
    settings = current_app.extensions["settings"]
    return ((HOUR, settings.send_hour), (DAY, settings.send_day))


def room_at(mailbox_id: int, account_id: int, wanted: int) -> datetime | None:
    """When there is room for a message to `wanted` recipients; None when there is now.

    Holds until the open transaction ends: two messages at once never share the last room. A message to more people than a whole
    period may have waits until the period is empty, and not for ever.
    """
    windows = allowed()
    if not any(limit for _period, limit in windows):
        return None
    db.session.execute(_LOCK, {"mailbox": mailbox_id})
    now, is_new = rows(_ACCOUNT, {"account": account_id, "period": NEW_FOR})[0]
    if is_new:
        windows = [(period, -(-limit // NEW_SHARE)) for period, limit in windows]
    sent = rows(_SENT, {"mailbox": mailbox_id, "account": account_id, "period": DAY})
    return room(sent, wanted, now, windows)


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('mtumail sending limit', :mailbox))")
# The clock and not the transaction's beginning, which is before the lock was had.
_ACCOUNT = """
    SELECT clock_timestamp(), created_at > now() - %(period)s FROM account WHERE account_id = %(account)s"""
# By submission_by_time and the delivery's key: what it reads is bounded by the limit itself.
_SENT = """
    SELECT s.created_at, count(*) FROM submission s JOIN delivery d USING (mailbox_id, submission_id)
     WHERE s.mailbox_id = %(mailbox)s AND s.created_at > now() - %(period)s AND s.account_id = %(account)s
     GROUP BY s.submission_id, s.created_at ORDER BY s.created_at"""


def room(
    sent: Sequence[tuple[datetime, int]], wanted: int, now: datetime, windows: Windows
) -> datetime | None:
    """When `wanted` more fit after those of `sent`, oldest first, into every window; None for now."""
    latest = None
    for period, limit in windows:
        inside = [(at, count) for at, count in sent if at > now - period]
        over = sum(count for _at, count in inside) + min(wanted, limit) - limit
        if not limit or over <= 0:
            continue
        for at, count in inside:
            over -= count
            if over <= 0:
                moment = at + period
                break
        latest = moment if latest is None else max(latest, moment)
    return latest


def tell(mailbox_id: int, account_id: int) -> None:
    """Write into the audit log that somebody reached the limit: once an hour, however often they try."""
    if db.session.execute(_TOLD, {"mailbox": mailbox_id}).scalar():
        audit.record("sending.limited", f"account:{account_id}", mailbox=mailbox_id, account=account_id)


_TOLD = text("""
    INSERT INTO limit_told (mailbox_id) VALUES (:mailbox)
        ON CONFLICT (mailbox_id) DO UPDATE SET told_at = now() WHERE limit_told.told_at <= now() - interval '1 hour'
 RETURNING mailbox_id""")
