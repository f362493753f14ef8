"""How many recipients somebody may write to in an hour and in a day. Over it nothing is lost: the message waits for room.

What is written in the composer, or to a list to leave it, has a draft to wait in and is held. An answer to an invitation has none,
and can be changed any number of times: it is refused. What answers by itself is sent by nobody, and so takes nobody's room, which a
flood of strangers' mail could fill: it has as much room of its own in a day, and is not sent beyond.

Both what reaches a limit and what is sudden (`spam.sudden` times what somebody writes to on a usual day) stand in the audit log as
`security.` events, once an hour and once a day, with ids and numbers alone.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text

from webmail import audit
from webmail.db import db, rows
from webmail.settings import kept

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LEAST_USUAL = 5
"""What is usual for somebody who has hardly written to anybody."""

Windows = Sequence[tuple[timedelta, int]]
"""Periods and how many recipients go into each; 0 is any number."""


def allowed() -> Windows:
    """The limits of this installation, as its settings say now."""
    return ((HOUR, kept.whole("limits.send_hour")), (DAY, kept.whole("limits.send_day")))


def _new_for() -> timedelta:
    """How long an account is new."""
    return timedelta(days=kept.whole("spam.new_days"))


def _of_new(limit: int) -> int:
    """What of a limit an account has that is new: a fifth, where nobody set anything else."""
    return -(-limit * kept.whole("spam.new_percent") // 100)


def room_at(mailbox_id: int, account_id: int, wanted: int) -> datetime | None:
    """When there is room for a message to `wanted` recipients; None when there is now.

    Holds until the open transaction ends: two messages at once never share the last room. A message to more people than a whole
    period may have waits until the period is empty, and not for ever.
    """
    windows = allowed()
    [[is_new, own_day]] = rows(_ACCOUNT, {"account": account_id, "period": _new_for()})
    if own_day is None and not any(limit for _period, limit in windows):
        return None
    db.session.execute(_LOCK, {"mailbox": mailbox_id})
    [[now]] = rows(_CLOCK, {})
    if is_new:
        windows = [(period, _of_new(limit)) for period, limit in windows]
    if own_day is not None:
        windows = [*windows, (DAY, own_day)]
    sent = rows(_SENT, {"mailbox": mailbox_id, "account": account_id, "period": DAY})
    return room(sent, wanted, now, windows)


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('mtumail sending limit', :mailbox))")
# The clock and not the transaction's beginning, which is before the lock was had.
_CLOCK = "SELECT clock_timestamp()"
_ACCOUNT = """
    SELECT created_at > now() - %(period)s, send_day FROM account WHERE account_id = %(account)s"""
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
        audit.record(
            "security.sending_limit", f"account:{account_id}", mailbox=mailbox_id, account=account_id
        )


_TOLD = text("""
    INSERT INTO limit_told (mailbox_id) VALUES (:mailbox)
        ON CONFLICT (mailbox_id) DO UPDATE SET told_at = now() WHERE limit_told.told_at <= now() - interval '1 hour'
 RETURNING mailbox_id""")


def may_answer(mailbox_id: int) -> bool:
    """Whether what answers by itself may do so once more today: no more often than the mailbox's owner may write."""
    limit = dict(allowed())[DAY]
    if not limit:
        return True
    asked = {"mailbox": mailbox_id, "period": DAY, "new": _new_for(), "most": limit}
    [[count, is_new]] = rows(_ANSWERED, asked)
    return bool(count < (_of_new(limit) if is_new else limit))


_ANSWERED = """
    SELECT (SELECT count(*) FROM (SELECT 1 FROM submission WHERE mailbox_id = %(mailbox)s AND created_at > now() - %(period)s
               AND account_id IS NULL AND envelope_from = '' LIMIT %(most)s) answers), created_at > now() - %(new)s
      FROM mailbox WHERE mailbox_id = %(mailbox)s"""


def watch(mailbox_id: int, account_id: int, recipients: int) -> None:
    """Count what somebody sends, in the transaction that submits it; write into the audit log when it is a sudden lot for a day."""
    counted = {"mailbox": mailbox_id, "more": recipients}
    [[today, is_told, usual]] = rows(_COUNT, counted)
    if today == recipients:
        db.session.execute(_FORGET, counted)
    usual = max(LEAST_USUAL, usual or 0)
    if is_told or today < kept.whole("spam.sudden") * usual:
        return
    db.session.execute(_SUDDEN, counted)
    facts = {"mailbox": mailbox_id, "account": account_id, "recipients": today, "usual": usual}
    audit.record("security.sending_surge", f"account:{account_id}", **facts)


_TODAY = "(now() AT TIME ZONE 'UTC')::date"
# Usual is the mean of the days of the last month on which anything was sent.
_COUNT = f"""
    WITH today AS (
        INSERT INTO sending_day (mailbox_id, day, recipients) VALUES (%(mailbox)s, {_TODAY}, %(more)s)
            ON CONFLICT ON CONSTRAINT sending_day_key DO UPDATE SET recipients = sending_day.recipients + excluded.recipients
        RETURNING recipients, is_told)
    SELECT recipients, is_told, (SELECT round(avg(recipients))::int FROM sending_day
                                  WHERE mailbox_id = %(mailbox)s AND day < {_TODAY} AND day >= {_TODAY} - 30)
      FROM today"""
_SUDDEN = text(f"UPDATE sending_day SET is_told = true WHERE mailbox_id = :mailbox AND day = {_TODAY}")
_FORGET = text(f"DELETE FROM sending_day WHERE mailbox_id = :mailbox AND day < {_TODAY} - 30")
