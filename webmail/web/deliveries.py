"""How far a sent message got, and how, in plain words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import url_for
from flask_babel import format_datetime, to_user_timezone

from webmail.mail import idn
from webmail.sending.events import Event
from webmail.sending.outbox import Status
from webmail.web.words import gettext as _


@dataclass(frozen=True, slots=True)
class EventLine:
    """Something that happened to a copy: when, in the reader's zone, what, in whose words, and the message that told it."""

    at: datetime
    when: str
    words: str
    detail: str
    report_href: str


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One recipient of a sent message, in words; `timeline` is empty where it would say no more than the line does."""

    recipient: str
    words: str
    state: str
    when: datetime
    detail: str
    timeline: Sequence[EventLine] = ()


def line(status: Status) -> DeliveryLine:
    """A recipient's state in plain words, with what led to it."""
    host = _host(status.recipient)
    state = "sending" if status.state in ("claimed", "handed") else status.state
    words = _state_words(status)
    told = _last_report(status)
    if told is not None and status.state in ("sent", "failed"):
        state, words = _reported(told, host)
    shown = [_event(event, host) for event in status.timeline]
    has_more = len(shown) > 1 or any(event.report_href for event in shown)
    return DeliveryLine(
        status.recipient, words, state, status.changed_at, status.reply, shown if has_more else ()
    )


def _state_words(status: Status) -> str:
    words = {
        "queued": _("Waiting to leave"),
        "claimed": _("Leaving now"),
        "handed": _("Leaving now"),
        "sent": _("Handed to the relay"),
        "deferred": _("Not taken yet; trying again"),
        "failed": _("Not delivered"),
        "unknown": _("The relay did not answer; trying again"),
        "cancelled": _("Cancelled"),
    }[status.state]
    if status.state in ("deferred", "unknown") and status.next_at:
        words = _("Not taken yet; trying again at %(time)s", time=format_datetime(status.next_at, "HH:mm"))
    if status.repeated and status.state == "sent":
        words = _("Handed to the relay, perhaps twice")
    if status.state == "failed" and any(event.reason == "restored" for event in status.timeline[-1:]):
        words = _("Not sent again after a restore: it may have arrived")
    elif status.repeated and status.state == "failed":
        words = _("Given up: the relay never answered, so it may have arrived")
    return words


def _last_report(status: Status) -> Event | None:
    """What reports say in the end: a failure is final, else the latest counts."""
    told = [event for event in status.timeline if event.kind in ("bounced", "delayed", "delivered")]
    failures = [event for event in told if event.kind == "bounced"]
    if status.state == "failed":
        return failures[-1] if failures else None
    return told[-1] if told else None


def _reported(event: Event, host: str) -> tuple[str, str]:
    """State and words of a copy that a report told of."""
    if event.kind == "delivered":
        return "delivered", _("Delivered")
    if event.kind == "delayed":
        return "delayed", _("On its way: %(what)s", what=_event_words(event, host))
    return "failed", _("Not delivered: %(why)s", why=_why(event.reason, host))


# --- the timeline --------------------------------------------------------------------------------------------------------


def _event(event: Event, host: str) -> EventLine:
    detail = event.reply if event.kind != "queued" else ""
    href = url_for("mail.permanent", message=event.report_id) if event.report_id is not None else ""
    return EventLine(event.at, _moment(event.at), _event_words(event, host), detail, href)


def _event_words(event: Event, host: str) -> str:
    by_relay = event.kind in ("deferred", "failed")
    why = _why(event.reason, _("the relay") if by_relay else host)
    match event.kind:
        case "queued":
            return _("put into the outbox")
        case "handed" if event.report_id is not None:
            return _("passed on; whoever has it now sends no reports")
        case "handed":
            return _("handed to the relay")
        case "deferred" if not event.reply:
            return _("the relay could not be reached, or did not answer; trying again")
        case "deferred":
            return _("%(why)s; trying again", why=why)
        case "failed" if event.reason == "restored" or not event.reply:
            return _given_up(event.reason)
        case "delayed" if event.until is not None:
            return _("%(why)s; it keeps trying until %(time)s", why=why, time=_day(event.until))
        case "delayed":
            return _("%(why)s; it keeps trying", why=why)
        case "delivered":
            return _("%(host)s delivered it", host=host)
        case "cancelled":
            return _("cancelled by you")
    return why


def _given_up(reason: str) -> str:
    """What ended without an answer of the relay's."""
    if reason == "restored":
        return _("not sent again after the service was restored from a backup; it may have arrived")
    return _("given up after five days") if reason == "expired" else _("given up")


def _why(reason: str, host: str) -> str:
    """A reason as a sentence about who gave it."""
    sentence: Callable[..., str] = {
        "mailbox-full": lambda: _("%(host)s says the mailbox is full", host=host),
        "no-such-user": lambda: _("%(host)s says there is no such address", host=host),
        "host-unknown": lambda: _("%(host)s says the domain takes no mail, or does not exist", host=host),
        "policy": lambda: _("%(host)s refuses it by its rules", host=host),
        "spam": lambda: _("%(host)s takes it for spam", host=host),
        "too-large": lambda: _("%(host)s says it is too large", host=host),
        "blocked": lambda: _("%(host)s blocks mail from where it came", host=host),
        "expired": lambda: _("%(host)s did not take it in time", host=host),
        "relay-denied": lambda: _("%(host)s does not take mail for this address", host=host),
        "suspended": lambda: _("%(host)s says the account is closed or suspended", host=host),
        "content": lambda: _("%(host)s refuses what is in it", host=host),
        "network": lambda: _("%(host)s could not be reached, or has trouble", host=host),
    }.get(reason, lambda: _("%(host)s did not take it", host=host))
    return sentence()


def _host(recipient: str) -> str:
    return idn.to_display(recipient.rpartition("@")[2])


def _moment(moment: datetime) -> str:
    """`10:42` today, `14 Nov 10:42` on any other day."""
    is_today = to_user_timezone(moment).date() == to_user_timezone(datetime.now(UTC)).date()
    return format_datetime(moment, "HH:mm" if is_today else "d MMM HH:mm")


def _day(moment: datetime) -> str:
    """`10:42` today, `Thursday` within six days, `14 November` beyond."""
    days = (to_user_timezone(moment).date() - to_user_timezone(datetime.now(UTC)).date()).days
    return format_datetime(moment, "HH:mm" if days == 0 else "EEEE" if 0 < days < 7 else "d MMMM")
