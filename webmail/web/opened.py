"""An opened conversation, as templates see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from flask import g, url_for
from flask_babel import format_datetime, ngettext
from flask_babel import gettext as _
from markupsafe import Markup

from webmail.db import show_id
from webmail.keys import MailboxKeys
from webmail.mail import reading
from webmail.mail.messages import Line
from webmail.mail.reading import Person
from webmail.sending import outbox
from webmail.web import downloads


class Who(NamedTuple):
    """A person named in a head."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class FileLine:
    """An attachment in the table below a message."""

    number: int
    name: str
    size: int
    kind: str
    href: str
    previewable: bool


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One recipient of a sent message, in words."""

    recipient: str
    words: str
    state: str
    when: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One message of a conversation: open, or one folded line."""

    id: str
    href: str
    anchor: str
    open: bool
    sender: Who
    when: datetime
    subject: str
    unread: bool
    starred: bool
    snippet: str
    to: Sequence[Who] = ()
    cc: Sequence[Who] = ()
    bcc: Sequence[Who] = ()
    to_words: str = ""
    body: Markup = Markup("")
    body_note: str = ""
    has_formatted: bool = False
    formatted_href: str = ""
    show_formatted: bool = False
    attachments: Sequence[FileLine] = ()
    headers: Sequence[tuple[str, str]] = ()
    source_href: str = ""
    download_href: str = ""
    deliveries: Sequence[DeliveryLine] = ()
    warning: str | None = None
    problems: Sequence[str] = ()


def conversation(keys: MailboxKeys, lines: Sequence[Line], opened_id: int, preference: str) -> list[Shown]:
    """The lines of a conversation, oldest first, with the asked-for message open."""
    states = outbox.statuses(keys.mailbox_id, [line.message_id for line in lines if line.direction == "out"])
    shown = []
    for line in lines:
        if line.message_id == opened_id:
            shown.append(_open(keys, line, states.get(line.message_id, []), preference))
        else:
            shown.append(_folded(line))
    return shown


def _base(line: Line) -> dict[str, object]:
    shown = show_id(line.message_id)
    summary = line.summary
    return {
        "id": shown,
        "href": f"/mail/{line.folder.slug}/{shown}",
        "anchor": f"m-{shown}",
        "sender": Who(*summary.sender) if summary else Who("", ""),
        "when": line.received_at,
        "subject": summary.subject if summary else "",
        "unread": line.unread,
        "starred": line.starred,
        "snippet": summary.snippet if summary else "",
    }


def _folded(line: Line) -> Shown:
    return Shown(open=False, **_base(line))  # type: ignore[arg-type]


def _open(keys: MailboxKeys, line: Line, states: Sequence[outbox.Status], preference: str) -> Shown:
    here: dict[str, Any] = {"folder": line.folder.slug, "message": line.message_id}
    links = {"source_href": url_for("mail.source", **here), "download_href": url_for("mail.download", **here)}
    if line.state == "unreadable":
        note = _("This message cannot be shown. You can download its source.")
        return Shown(open=True, **_base(line) | links | {"body": Markup(""), "warning": note})  # type: ignore[arg-type]
    view = reading.load(keys, line.message_id)
    has_formatted = view.formatted is not None
    more = {
        "to": [Who(*item) for item in view.to],
        "cc": [Who(*item) for item in view.cc],
        "bcc": [Who(*item) for item in view.bcc],
        "to_words": _to_words(view.to + view.cc),
        "body": Markup(view.reading),  # noqa: S704 - the one place that trusts HTML: `sanitize` had the last word on it
        "body_note": _body_note(view),
        "has_formatted": has_formatted,
        "show_formatted": has_formatted and preference == "formatted",
        "formatted_href": url_for("frames.enter", **here),
        "attachments": [_file(here, item) for item in view.files],
        "headers": view.headers,
        "deliveries": [delivery(item) for item in states],
        "problems": _problems(view),
    }
    return Shown(open=True, **_base(line) | links | more)  # type: ignore[arg-type]


def _to_words(people: Sequence[Person]) -> str:
    if not people:
        return _("to nobody that is named")
    mine = [item for item in people if item[1].lower() == (g.viewer.address or "").lower()]
    others = [item for item in people if item not in mine]
    if mine and others:
        return ngettext("to you and %(num)s other", "to you and %(num)s others", len(others))
    if mine:
        return _("to you")
    first = others[0][0] or others[0][1]
    if len(others) == 1:
        return _("to %(name)s", name=first)
    return ngettext(
        "to %(name)s and %(num)s other", "to %(name)s and %(num)s others", len(others) - 1, name=first
    )


def _body_note(view: reading.View) -> str:
    if view.refused:
        return _("Its formatting is too heavy to show safely, so this is its text.")
    parts = []
    if view.remote_images:
        parts.append(ngettext("%(num)s picture left out.", "%(num)s pictures left out.", view.remote_images))
    if view.trackers:
        parts.append(ngettext("%(num)s tracker left out.", "%(num)s trackers left out.", len(view.trackers)))
    return " ".join(parts)


def _problems(view: reading.View) -> list[str]:
    words = {
        "too-deep": _("It is nested deeper than we follow; what lies below is not shown."),
        "too-many-parts": _("It has more parts than we show."),
        "header-cut": _("A very long header was cut."),
        "headers-cut": _("Its headers were cut."),
        "text-cut": _("Its text was cut; the whole of it is in the source."),
    }
    return [words[code] for code in view.problems if code in words]


def _file(here: dict[str, Any], item: reading.File) -> FileLine:
    href = url_for("mail.attachment", **here, number=item.number, name=item.name)
    return FileLine(
        item.number, item.name, item.size, item.content_type, href, downloads.is_previewable(item)
    )


def delivery(status: outbox.Status) -> DeliveryLine:
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
