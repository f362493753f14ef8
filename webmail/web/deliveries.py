"""How far a sent message got, in plain words."""

from dataclasses import dataclass
from datetime import datetime

from flask_babel import format_datetime

from webmail.sending.outbox import Status
from webmail.web.words import gettext as _


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One recipient of a sent message, in words."""

    recipient: str
    words: str
    state: str
    when: datetime
    detail: str


def line(status: Status) -> DeliveryLine:
    """A recipient's state in plain words."""
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
    if status.repeated and status.state == "failed":
        words = _("Given up: the relay never answered, so it may have arrived")
    state = "sending" if status.state in ("claimed", "handed") else status.state
    return DeliveryLine(status.recipient, words, state, status.changed_at, status.reply)
