"""Rows of a list, as templates see them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import url_for
from flask_babel import to_user_timezone

from webmail.db import show_id
from webmail.mail.folders import Kind
from webmail.mail.messages import Line
from webmail.sending.pending import Mark
from webmail.web.boxes import here
from webmail.web.leaving import moment
from webmail.web.words import gettext as _


@dataclass(slots=True)
class Row:
    """One message in a list. Not frozen: fifty are made for each page, and that takes three times as long."""

    id: str
    href: str
    unread: bool
    starred: bool
    answered: bool
    who: str
    who_title: str
    count: int
    subject: str
    snippet: str
    when: datetime
    files: int
    size: int
    status: str | None
    folder: str
    note: str = ""


def row(line: Line, status: str | Mark | None, folder_name: str = "") -> Row:
    """A list row for a message; `folder_name` is shown where rows of several folders stand together, `status` is how far it
    got, or when a draft leaves by itself."""
    who, title = _who(line)
    draft = line.state == "draft"
    shown = show_id(line.message_id)
    return Row(
        id=shown,
        href=url_for("compose.new", draft=shown) if draft else here(f"/mail/{line.folder.slug}/{shown}"),
        unread=line.unread,
        starred=line.starred,
        answered=line.answered,
        who=who,
        who_title=title,
        count=line.thread_count,
        subject=line.summary.subject if line.summary else _("A message that cannot be shown"),
        snippet=line.summary.snippet if line.summary else _("Open it to download its source."),
        when=line.received_at,
        files=line.attachments,
        size=line.size_bytes,
        status=_code(status) or ("draft" if draft else None),
        folder=folder_name,
        note=moment(status.send_at) if isinstance(status, Mark) else "",
    )


def _who(line: Line) -> tuple[str, str]:
    if line.summary is None:
        return "", ""
    if line.direction == "out" or line.folder in (Kind.SENT, Kind.DRAFTS):
        people = line.summary.recipients
        names = ", ".join(name or email for name, email in people) or _("nobody yet")
        return _("To: %(names)s", names=names), ", ".join(email for _name, email in people)
    name, email = line.summary.sender
    return name or email, email


def _code(status: str | Mark | None) -> str | None:
    if isinstance(status, Mark):
        return "held" if status.held else "waits"
    return status


def today() -> str:
    """The reader's date: times in lists are relative to it."""
    return str(to_user_timezone(datetime.now(UTC)).date())
