"""Files of a draft, and of other messages to put into it: `/compose/files`, `/compose/<draft>/<number>`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import Refused
from webmail.keys import MailboxKeys
from webmail.mail import folders, messages, reading, search
from webmail.mail.messages import Line
from webmail.sending import drafts
from webmail.web import downloads
from webmail.web.access import requires
from webmail.web.beginnings import take
from webmail.web.composer import Offer, blueprint, path_of
from webmail.web.htmx import render
from webmail.web.viewing import Notice, own_mail, page
from webmail.web.words import gettext as _

__all__ = ["blueprint"]
ROWS = 15
MAX_CHOSEN = 50


@dataclass(frozen=True, slots=True)
class Carrier:
    """A message with files, to choose from."""

    subject: str
    who: str
    when: datetime
    files: list[Offer]


@blueprint.get("/compose/files", endpoint="browse")
@requires("mail")
def browse() -> BaseResponse:
    """Files of the latest messages that have some, or of those that a search (`q`) finds, for a draft (`draft`)."""
    return _page(read_id(request.args.get("draft", "")), None)


@blueprint.post("/compose/files", endpoint="take_files")
@requires("mail")
def take_files() -> BaseResponse:
    """Attach what was chosen (`take`, each `<message>.<part>`) to the draft, and go on writing."""
    draft_id = read_id(request.form.get("draft", ""))
    try:
        with own_mail() as keys:
            drafts.load(keys, draft_id)
            take(keys, draft_id, request.form.getlist("take")[:MAX_CHOSEN])
    except Refused as refusal:
        response = _page(draft_id, Notice("alert", str(refusal)))
        response.status_code = 422
        return response
    return redirect(path_of(draft_id), 303)


@blueprint.get("/compose/<id:draft>/<int:number>", endpoint="file")
@requires("mail")
def file(draft: int, number: int) -> BaseResponse:
    """One file of a draft: a picture or a text to look at, anything else as a download."""
    with own_mail() as keys:
        found = drafts.file(keys, draft, number)
    told = reading.File(
        number, found.name, found.content_type.partition(";")[0].strip().lower(), len(found.content)
    )
    return downloads.part(told, found.content, inline=True)


def _page(draft_id: int, notice: Notice | None) -> BaseResponse:
    typed = request.values.get("q", "").strip()[:500]
    cursor_text = request.args.get("c", "")
    cursor = messages.Cursor.parse(cursor_text) if cursor_text else None
    with own_mail() as keys:
        drafts.load(keys, draft_id)
        counts = folders.counts(keys.mailbox_id)
        query = search.parse(keys, f"has:attachment {typed}")
        part = messages.found(keys, query.conditions, cursor, ROWS)
        carriers = [one for line in part.lines if (one := _carrier(keys, line)).files]
    shown = show_id(draft_id)
    context: dict[str, Any] = {
        "draft_id": shown,
        "typed": typed,
        "carriers": carriers,
        "older": url_for("compose.browse", draft=shown, q=typed, c=part.older) if part.older else None,
        "newer": url_for("compose.browse", draft=shown, q=typed, c=part.newer) if part.newer else None,
        "back": path_of(draft_id),
        "notice": notice,
    }
    return render("compose/files.html", None, **page(_("Attach from a message"), counts=counts, **context))


def _carrier(keys: MailboxKeys, line: Line) -> Carrier:
    summary = line.summary
    files: tuple[reading.File, ...] = ()
    if summary is not None and line.state not in ("unreadable", "draft"):
        files = reading.load(keys, line.message_id).files
    offers = [Offer(f"{show_id(line.message_id)}.{item.number}", item.name, item.size) for item in files]
    people = (
        summary.recipients[:1]
        if summary and line.direction == "out"
        else (summary.sender,)
        if summary
        else ()
    )
    who = next((name or address for name, address in people), "")
    if line.direction == "out":
        who = _("To: %(names)s", names=who)
    return Carrier(summary.subject if summary else "", who, line.received_at, offers)
