"""Absence: what is answered while a reader is away, and to which messages (RFC 3834 section 2, RFC 5230 section 4).

`why_not` is pure and decides by the message alone; `allowed` remembers who was answered, so that a sender gets one answer in a
week. Whatever is in doubt is not answered: an answer that is missing harms nobody, a loop or a letter to a stranger does.
"""

import json
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import text

from webmail.db import db, rows
from webmail.errors import MtumailError
from webmail.keys import MailboxKeys, Place
from webmail.mail.addresses import AddressError, base_local, fold, parse_spec
from webmail.mail.charsets import clean_line, clean_text
from webmail.mail.identities import Own
from webmail.mail.view import View

PERIOD = timedelta(days=7)
"""RFC 5230 section 4.1: a week between two answers to one sender is the usual."""
MOST_ANSWERS = 200
"""In a day: a flood of senders makes no flood of answers."""
MAX_SUBJECT, MAX_TEXT = 200, 10_000


class VacationError(MtumailError):
    """What was asked for cannot be kept. `field` is text, subject, first_day, last_day or zone; `reason` a code."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


@dataclass(frozen=True, slots=True)
class Vacation:
    """What is answered, and from which day to which in a time zone (None: open), both included. An empty `subject` is that of
    the message, behind "Auto:"."""

    is_on: bool = False
    first_day: date | None = None
    last_day: date | None = None
    zone: str = "UTC"
    subject: str = ""
    text: str = ""

    def covers(self, moment: datetime) -> bool:
        """Whether a message that came in at `moment` is answered."""
        day = moment.astimezone(_zone(self.zone)).date()
        return (
            self.is_on
            and (self.first_day is None or self.first_day <= day)
            and (self.last_day is None or day <= self.last_day)
        )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise VacationError("zone", "unknown") from None


# --- what is set ---------------------------------------------------------------------------------------------------------


def load(keys: MailboxKeys) -> Vacation:
    """What is set; nothing, switched off, where nobody has set anything."""
    found = rows(_LOAD, {"mailbox": keys.mailbox_id})
    if not found:
        return Vacation()
    is_on, first_day, last_day, zone, sealed = found[0]
    told = json.loads(keys.open_value(sealed, _place(keys)))
    return Vacation(is_on, first_day, last_day, zone, told["subject"], told["text"])


_LOAD = "SELECT is_on, first_day, last_day, zone, sealed FROM vacation WHERE mailbox_id = %(mailbox)s"


def is_on(mailbox_id: int) -> bool:
    """Whether anything may be answered at all: what filing asks of every message."""
    return bool(rows(_IS_ON, {"mailbox": mailbox_id}))


_IS_ON = "SELECT 1 FROM vacation WHERE mailbox_id = %(mailbox)s AND is_on"


def set_to(keys: MailboxKeys, wanted: Vacation) -> None:
    """Keep what is wanted. Who was answered is forgotten when it is switched on: a new absence is told to everybody anew.

    Raises VacationError: "empty" text while on, "too-long", "order" of days, "unknown" zone.
    """
    made = _checked(wanted)
    before = load(keys)
    told = json.dumps({"subject": made.subject, "text": made.text}, ensure_ascii=False).encode()
    values = {
        "mailbox": keys.mailbox_id, "is_on": made.is_on, "first_day": made.first_day, "last_day": made.last_day,
        "zone": made.zone, "sealed": keys.seal_value(told, _place(keys)),
    }  # fmt: skip
    db.session.execute(_SET, values)
    if made.is_on and not before.is_on:
        db.session.execute(text("DELETE FROM vacation_answer WHERE mailbox_id = :mailbox"), values)


_SET = text("""
    INSERT INTO vacation (mailbox_id, is_on, first_day, last_day, zone, sealed)
    VALUES (:mailbox, :is_on, :first_day, :last_day, :zone, :sealed)
    ON CONFLICT (mailbox_id) DO UPDATE SET is_on = excluded.is_on, first_day = excluded.first_day, last_day = excluded.last_day,
        zone = excluded.zone, sealed = excluded.sealed, changed_at = now()""")


def _checked(wanted: Vacation) -> Vacation:
    subject, words = clean_line(wanted.subject), clean_text(wanted.text).strip()
    if wanted.is_on and not words:
        raise VacationError("text", "empty")
    if len(words) > MAX_TEXT:
        raise VacationError("text", "too-long")
    if len(subject) > MAX_SUBJECT:
        raise VacationError("subject", "too-long")
    if wanted.first_day and wanted.last_day and wanted.last_day < wanted.first_day:
        raise VacationError("last_day", "order")
    _zone(wanted.zone)
    return Vacation(wanted.is_on, wanted.first_day, wanted.last_day, wanted.zone, subject, words)


def _place(keys: MailboxKeys) -> Place:
    return Place("vacation", keys.mailbox_id, keys.mailbox_id, "sealed")


# --- whether a message is answered ---------------------------------------------------------------------------------------

_NOBODY = re.compile(
    r"(?:no|donot|do-not|dont|never)[-_.]?(?:reply|answer|respond|response)s?\b.*|.*[-_.+]no-?reply|mailer[-_.]?daemon|postmaster|"
    r"listserv|majordomo|mailman|listproc|owner-.*|.*-owner|.*-request|.*-relay|.*-(?:un)?subscribe|bounces?(?:[-+=_.].*)?|"
    r".*[-+_]bounces?(?:[-+=_.].*)?|nobody|null|devnull|auto(?:mat(?:ic|ed))?[-_.]?(?:reply|response|responder|mailer)?",
    re.IGNORECASE,
)
_BULK = frozenset(("bulk", "junk", "list", "auto_reply", "auto-reply"))
_HEADERS_READ = 200  # of a message's header fields are kept in a view


def why_not(view: View, envelope_from: str, mine: Own) -> str | None:
    """A code for why a message is not answered; None when it may be. Pure.

    `envelope_from` is where an answer goes (RFC 3834 section 4): the return path, never what From or Reply-To say.
    """
    if not envelope_from:
        return "bounce"
    try:
        parse_spec(envelope_from)
    except AddressError:
        return "bad-sender"
    senders = [address for address in (envelope_from, view.sender[1]) if address]
    if any(address in mine for address in senders):
        return "oneself"
    if any(_NOBODY.fullmatch(address.rpartition("@")[0]) for address in senders):
        return "nobody-reads"
    if len(view.headers) >= _HEADERS_READ or {"headers-cut", "too-many-headers"} & set(view.problems):
        return "odd"
    return _automatic(view) or _forged(view, envelope_from) or _not_addressed(view, mine)


def _automatic(view: View) -> str | None:
    for name, value in ((name.lower(), value.strip().lower()) for name, value in view.headers):
        if name.startswith("list-") or name in ("mailing-list", "x-mailing-list", "feedback-id", "x-loop"):
            return "list"
        if name == "precedence" and value.partition(";")[0].strip() in _BULK:
            return "bulk"
        if name == "auto-submitted" and value.partition(";")[0].partition("(")[0].strip() != "no":
            return "automatic"
        if name in ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply-from") and value != "no":
            return "automatic"
        if name == "x-auto-response-suppress" and set(re.findall(r"[a-z]+", value)) & {
            "all",
            "oof",
            "autoreply",
        }:
            return "automatic"
        if name == "content-type" and value.startswith("multipart/report"):
            return "report"
    return None


def _forged(view: View, envelope_from: str) -> str | None:
    """The answer goes to the return path: where that was made up, it would go to somebody who wrote nothing."""
    told = view.authentication
    if told is None:
        return None
    if told.dmarc == "fail":
        return "unauthenticated"
    vouched = told.dmarc == "pass" and fold(envelope_from).endswith(f"@{told.from_domain}")
    return "unauthenticated" if told.spf in ("fail", "softfail") and not vouched else None


def _not_addressed(view: View, mine: Own) -> str | None:
    """RFC 3834 section 2: a message that names the reader nowhere came by a list, a blind copy or a mistake."""
    return None if own_recipient(view, mine) else "not-addressed"


def own_recipient(view: View, mine: Own) -> str:
    """The reader's address in To or Cc, as it was written there; "" where there is none."""
    return next((address for _, address in (*view.to, *view.cc) if address in mine), "")


# --- once a sender -------------------------------------------------------------------------------------------------------


def allowed(keys: MailboxKeys, return_path: str, author: str) -> bool:
    """Note that whoever wrote is answered now; False when that was done within a week, or too many were answered today.

    Known again by either address, tags apart: a return path may be another with every message (RFC 5230 section 4.2 leaves to us
    who is the same). In the transaction that makes the answer: two messages at once, a job that runs twice or dies in between
    make one answer at the most.
    """
    mine = {"mailbox": keys.mailbox_id, "period": PERIOD, "most": MOST_ANSWERS}
    [[count]] = rows(_TODAY, mine)
    if count >= MOST_ANSWERS:
        return False
    # In one order, so that two messages at once do not wait for each other in turn.
    tokens = sorted(
        {keys.blind("vacation\0" + _untagged(address)) for address in (return_path, author) if address}
    )
    noted = [bool(rows(_ONCE, mine | {"token": token})) for token in tokens]
    db.session.execute(_FORGET, mine)
    return all(noted)


def _untagged(address: str) -> str:
    local, at, domain = fold(address).rpartition("@")
    return f"{base_local(local)}{at}{domain}"


_TODAY = """
    SELECT count(*) FROM (SELECT 1 FROM vacation_answer
     WHERE mailbox_id = %(mailbox)s AND answered_at > now() - interval '1 day' LIMIT %(most)s) today"""
_ONCE = """
    INSERT INTO vacation_answer AS v (mailbox_id, token) VALUES (%(mailbox)s, %(token)s)
    ON CONFLICT (mailbox_id, token) DO UPDATE SET answered_at = now() WHERE v.answered_at <= now() - %(period)s
    RETURNING 1"""
_FORGET = text("DELETE FROM vacation_answer WHERE mailbox_id = :mailbox AND answered_at <= now() - :period")
