"""An opened conversation, as templates see it."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from flask import g
from markupsafe import Markup

from webmail.db import show_id
from webmail.governance import reports
from webmail.keys import MailboxKeys
from webmail.mail import correspondents, messages, previews, reading, unsubscribing
from webmail.mail.folders import Kind
from webmail.mail.messages import Kept, Line
from webmail.mail.reading import Person, View, build
from webmail.sending import outbox
from webmail.web import deliveries, invites, trust_words
from webmail.web.body_notes import body_note, problems
from webmail.web.boxes import here
from webmail.web.deliveries import DeliveryLine
from webmail.web.pictures import PictureNote, note
from webmail.web.trust_facts import assessed
from webmail.web.words import gettext as _
from webmail.web.words import ngettext


class Who(NamedTuple):
    """A person named in a head."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class FileLine:
    """An attachment in the table below a message. `preview` is "picture", "text", "pdf", "message" or nothing."""

    number: int
    name: str
    size: int
    kind: str
    href: str
    preview: str
    preview_href: str
    thumbnail_href: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of the body; history that was quoted is folded."""

    html: Markup
    quoted: bool


@dataclass(frozen=True, slots=True)
class Leaving:
    """How to leave the list that a message came by, and how far that is."""

    way: str
    name: str
    host: str
    state: str
    page: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """One message of a conversation: open, or one folded line."""

    id: str
    href: str
    anchor: str
    open: bool
    folder: str
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
    trust: trust_words.Shown | None = None
    body: Sequence[Piece] = ()
    body_note: str = ""
    has_formatted: bool = False
    formatted_href: str = ""
    show_formatted: bool = False
    pictures: PictureNote | None = None
    leaving: Leaving | None = None
    invitation: invites.Shown | None = None
    attachments: Sequence[FileLine] = ()
    zip_href: str = ""
    reply_to: Sequence[Who] = ()
    deliveries: Sequence[DeliveryLine] = ()
    warning: str | None = None
    problems: Sequence[str] = ()
    incoming: bool = True
    readable: bool = True
    blocked: bool = False
    reported: str = ""


MAX_UNREAD = 10
"""So many new messages of a conversation open with it; the others wait folded."""


def to_open(lines: Sequence[Line], asked_id: int, *, everything: bool) -> set[int]:
    """Which messages of a conversation open: the one asked for, the newest, and what is new; or all of them."""
    if everything:
        return {line.message_id for line in lines}
    new = [line.message_id for line in lines if line.unread][-MAX_UNREAD:]
    return {asked_id, lines[-1].message_id, *new}


def conversation(
    keys: MailboxKeys,
    lines: Sequence[Line],
    opened_ids: Set[int],
    asked_id: int,
    asked: str,
    kept: Kept | None = None,
) -> list[Shown]:
    """The lines of a conversation, oldest first, with the messages of `opened_ids` open.

    `asked` is the view to open message `asked_id` in, "" for the reader's usual one; `kept` is what was looked up of it.
    """
    sent = [line.message_id for line in lines if line.direction == "out"]
    states = outbox.statuses(keys.mailbox_id, sent) if sent else {}
    shown = []
    for line in lines:
        if line.message_id in opened_ids:
            mine = line.message_id == asked_id
            preference, its = (asked, kept) if mine else ("", None)
            shown.append(_open(keys, line, states.get(line.message_id, []), preference, its))
        else:
            shown.append(Shown(open=False, **_base(line)))  # type: ignore[arg-type]
    return shown


def _base(line: Line) -> dict[str, object]:
    shown = show_id(line.message_id)
    summary = line.summary
    return {
        "id": shown,
        "href": here(f"/mail/{line.folder.slug}/{shown}"),
        "anchor": f"m-{shown}",
        "folder": line.folder.slug,
        "sender": Who(*summary.sender) if summary else Who("", ""),
        "when": line.received_at,
        "subject": summary.subject if summary else "",
        "unread": line.unread,
        "starred": line.starred,
        "snippet": summary.snippet if summary else "",
        "incoming": line.direction == "in",
    }


def _open(
    keys: MailboxKeys, line: Line, states: Sequence[outbox.Status], asked: str, kept: Kept | None
) -> Shown:
    base = _base(line)
    if line.state == "unreadable":
        words = _("This message cannot be shown. You can download its source.")
        return Shown(open=True, **base | {"warning": words, "readable": False})  # type: ignore[arg-type]
    preferences = g.viewer.preferences
    view = reading.load(keys, line.message_id, full_links=preferences.links == "full", kept=kept)
    known = correspondents.known(keys, view.sender[1]) if view.sender[1] else correspondents.NOBODY
    pictures = note(keys, line, view, known)
    show_formatted = view.laid_out and (asked or preferences.reading) == "formatted"
    href = str(base["href"])
    report = reports.of_message(keys.mailbox_id, line.message_id) if line.folder == Kind.JUNK else None
    more = _recipients(view) | {
        "to_words": _to_words(view.to + view.cc),
        "trust": trust_words.shown(
            assessed(keys, line, view, known), view.authentication, f"trust-{base['id']}"
        )
        if line.direction == "in"
        else None,
        "body": pieces(view),
        "body_note": body_note(view),
        "has_formatted": view.laid_out,
        "show_formatted": show_formatted,
        "formatted_href": f"{href}/formatted"
        + ("?pictures=1" if pictures and pictures.state == "shown" else ""),
        "pictures": pictures,
        "leaving": _leaving(keys, line, view),
        "invitation": invites.shown(keys, line.message_id, view),
        "attachments": files(href, view.files),
        "zip_href": f"{href}/all.zip" if len(view.files) > 1 else "",
        "reply_to": [Who(*item) for item in view.reply_to],
        "deliveries": [deliveries.line(item) for item in states],
        "problems": problems(view),
        "blocked": known.blocked,
        "reported": report.kind if report else "",
    }
    return Shown(open=True, **base | more)  # type: ignore[arg-type]


def on_paper(keys: MailboxKeys, line: Line) -> Shown:
    """A message for the printer. Its links are written out, so it is read anew where they were kept short."""
    raw = messages.readable_source(keys, line.message_id)
    view = build(raw, line.message_id, full_links=True).view
    more = _recipients(view) | {
        "body": pieces(view),
        "attachments": files("", view.files),
        "problems": problems(view),
    }
    return Shown(open=True, **_base(line) | more)  # type: ignore[arg-type]


def pieces(view: View) -> list[Piece]:
    """The body: the one place that trusts HTML, which `sanitize` had the last word on."""
    return [Piece(Markup(item.html), item.quoted) for item in view.pieces]  # noqa: S704


def _recipients(view: View) -> dict[str, object]:
    return {name: [Who(*item) for item in getattr(view, name)] for name in ("to", "cc", "bcc")}


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


def _leaving(keys: MailboxKeys, line: Line, view: View) -> Leaving | None:
    """Only for mail that came in: a list's own fields in something that one sent oneself say nothing."""
    if not view.offer or line.direction != "in":
        return None
    offer = view.offer
    asked = unsubscribing.state(keys.mailbox_id, line.message_id)
    way = "post" if offer.post else "mail" if offer.mailto else "page"
    host = urlsplit(offer.post or offer.page).hostname or "" if way != "mail" else ""
    if way == "mail" and offer.mailto:
        host = offer.mailto.to
    name = offer.list_name or offer.list_id
    return Leaving(way, name, host, asked.state if asked else "", offer.page)


MAX_THUMBNAILS = 40
"""Of one message: each is a request that reads all of it."""
_VIEWS = ("preview", "thumbnail")
"""Addresses beside those of files: a file of that name goes by another."""


def files(href: str, items: Sequence[reading.File], *, within: str = "") -> list[FileLine]:
    """Attachments of the message at `href`, as lines of a table. `within`: it is itself attached, so there are no previews but
    of pictures and of what is attached to it."""
    lines, thumbnails = [], 0
    for item in items:
        name = f"file-{item.name}" if item.name in _VIEWS else item.name
        where = f"{href}/{item.number}/{quote(name, safe='')}"
        preview = previews.kind(item.content_type, item.name) or ""
        look = {
            "picture": f"{where}?view=1",
            "message": f"{href}.{item.number}" if within else f"{href}/in/{item.number}",
            **dict.fromkeys(("text", "pdf", "calendar"), "" if within else f"{href}/{item.number}/preview"),
        }.get(preview, "")
        if preview == "message" and within.count(".") + 1 >= reading.MAX_INSIDE:
            look = ""
        small = ""
        if preview == "picture" and not within and thumbnails < MAX_THUMBNAILS:
            small = f"{href}/{item.number}/thumbnail"
            thumbnails += 1
        lines.append(
            FileLine(item.number, item.name, item.size, item.content_type, where, preview, look, small)
        )
    return lines
