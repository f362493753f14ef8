"""Lists of mail: `/`, `/mail/<folder>`, `/search`. The blueprint is shared with `messages` and `acts`."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from flask import Blueprint, Response, g, make_response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.governance.quarantine import reading as quarantined
from webmail.keys import MailboxKeys
from webmail.mail import conversations, folders, messages, search
from webmail.mail.folders import Kind
from webmail.sending import outbox, pending
from webmail.web import boxes, listing, zones
from webmail.web.access import requires
from webmail.web.htmx import is_fragment, render
from webmail.web.viewing import (
    BUILD,
    FOLDER_NAMES,
    FolderLine,
    Notice,
    left,
    own_mail,
    page,
)
from webmail.web.words import gettext as _

blueprint = Blueprint("mail", __name__)


@blueprint.get("/", endpoint="home")
@requires("mail")
def home() -> BaseResponse:
    """The inbox; without a mailbox, where to get one."""
    if g.viewer.mailbox_id is None:
        return redirect(boxes.start(g.viewer), 303)
    return folder_list(Kind.INBOX, left())


@blueprint.get("/mail/<folder>", endpoint="folder")
@requires("mail")
def folder_page(folder: str) -> BaseResponse:
    """One page of a folder, newest first."""
    return folder_list(folders.by_slug(folder), left())


def folder_list(kind: Kind, notice: Notice | None, cursor_text: str | None = None) -> BaseResponse:
    cursor_text = request.args.get("c", "") if cursor_text is None else cursor_text
    cursor = messages.Cursor.parse(cursor_text) if cursor_text else None
    with own_mail() as keys:
        counter = messages.change_counter(keys.mailbox_id)
        part, leaving = None, None
        states: Mapping[int, str | pending.Mark] = {}
        if kind in (Kind.SENT, Kind.DRAFTS):
            # How far a message got is in the list and not in the counter, so it is looked up before the answer can be 304.
            part = messages.in_folder(keys, kind, cursor, _rows())
            states, leaving = _states(keys, kind, part.lines), pending.counts(keys.mailbox_id)
        view = (kind.slug, cursor_text, repr(leaving), *map(repr, sorted(states.items())))
        polled, etag = (_etag(counter, fragment, *view) for fragment in (True, is_fragment(request)))
        if (
            notice is None
            and request.method == "GET"
            and etag in (request.if_none_match.as_set(include_weak=True))
        ):
            return _fresh(make_response("", 304), etag)
        counts = folders.counts(keys.mailbox_id)
        if part is None:
            part = messages.in_folder(keys, kind, cursor, _rows(), grouped=is_grouped(kind))
        held = quarantined.held_count() if kind == Kind.INBOX else 0
    unread = next(item.unread for item in counts if item.kind == kind)
    line = FolderLine(kind.slug, str(FOLDER_NAMES[kind]), unread, current=True, etag=polled)
    where = url_for("mail.folder", folder=kind.slug)
    context: dict[str, Any] = {
        "folder": line,
        "rows": [listing.row(item, states.get(item.message_id)) for item in part.lines],
        "leaving": leaving,
        "held": held,
        "older": f"{where}?c={part.older}" if part.older else None,
        "newer": f"{where}?c={part.newer}" if part.newer else None,
        "query": "",
        "search_note": None,
        "notice": notice,
    }
    response = render(
        "mail/folder.html",
        "mail/_list.html",
        **page(str(FOLDER_NAMES[kind]), current=kind, counts=counts, **context),
    )
    return response if notice else _fresh(response, etag)


def is_grouped(kind: Kind) -> bool:
    """Whether the reader sees a folder by conversation: then a line, and what is done to it, stands for all of it there."""
    return kind in conversations.GROUPED and g.viewer.preferences.conversations == "threads"


def _rows() -> int:
    """Rows of one page: what the person chose, and few where the browser asks to save data (the Save-Data header)."""
    chosen: int = g.viewer.preferences.rows
    return min(chosen, 20) if request.headers.get("Save-Data", "").lower() == "on" else chosen


def _states(
    keys: MailboxKeys, kind: Kind, lines: Sequence[messages.Line]
) -> Mapping[int, str | pending.Mark]:
    """How far messages in Sent got, and when drafts leave."""
    if kind == Kind.DRAFTS:
        return pending.marks(keys.mailbox_id, [item.message_id for item in lines])
    found = outbox.statuses(keys.mailbox_id, [item.message_id for item in lines], timeline=False)
    return {message_id: outbox.overall(states) for message_id, states in found.items()}


def _etag(counter: int, fragment: bool, *view: str) -> str:
    """Changes with the mailbox, the day (times are relative to it), the person's settings, the session and the build.

    The page carries its fragment's, so that the first poll already costs nothing.
    """
    viewer = g.viewer
    parts = (
        counter,
        listing.today(),
        zones.current(),
        viewer.preferences,
        viewer.news,
        viewer.told,
        viewer.banner,
        viewer.locale,
        viewer.memberships,
        _rows(),
        viewer.session_id,
        BUILD,
        fragment,
        view,
    )
    return sha256(repr(parts).encode()).hexdigest()[:16]


def _fresh(response: Response, etag: str) -> Response:
    response.set_etag(etag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


# --- search --------------------------------------------------------------------------------------------------------------


@blueprint.get("/search", endpoint="search")
@requires("mail")
def search_page() -> BaseResponse:
    """Messages that match what was typed, newest first."""
    typed = request.args.get("q", "").strip()[:500]
    cursor = messages.Cursor.parse(request.args["c"]) if request.args.get("c") else None
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        query = search.parse(keys, typed)
        part = messages.Page([], None, None)
        if query.conditions:
            part = messages.found(keys, query.conditions, cursor, _rows())
    where = url_for("mail.search", q=typed)
    note = _("Not understood: %(terms)s", terms=" ".join(query.ignored)) if query.ignored else None
    context: dict[str, Any] = {
        "folder": FolderLine("search", _("Search"), 0),
        "rows": [listing.row(item, None, folder_name=str(FOLDER_NAMES[item.folder])) for item in part.lines],
        "older": f"{where}&c={part.older}" if part.older else None,
        "newer": f"{where}&c={part.newer}" if part.newer else None,
        "query": typed,
        "search_note": note,
        "notice": left(),
    }
    return render("mail/folder.html", "mail/_list.html", **page(_("Search"), counts=counts, **context))
