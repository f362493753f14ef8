"""Folders, messages, search: `/`, `/mail/...`, `/search`."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Blueprint, Response, abort, g, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import NotFound
from webmail.keys import MailboxKeys
from webmail.mail import folders, messages, reading, search
from webmail.mail.folders import Kind
from webmail.sending import outbox
from webmail.web import downloads, listing, opened
from webmail.web.access import requires
from webmail.web.htmx import is_fragment, render, steer
from webmail.web.viewing import (
    BUILD,
    FOLDER_NAMES,
    FolderLine,
    Notice,
    acted,
    is_looked_at,
    leave,
    left,
    own_mail,
    page,
)

blueprint = Blueprint("mail", __name__)
MAX_SELECTED = 200


@blueprint.get("/", endpoint="home")
@requires("mail")
def home() -> BaseResponse:
    """The inbox; without a mailbox, where to get one."""
    if g.viewer.mailbox_id is None:
        return redirect(url_for("accounts.welcome"), 303)
    return _folder(Kind.INBOX, left())


@blueprint.get("/mail/<folder>", endpoint="folder")
@requires("mail")
def folder_page(folder: str) -> BaseResponse:
    """One page of a folder, newest first."""
    return _folder(folders.by_slug(folder), left())


def _folder(kind: Kind, notice: Notice | None, cursor_text: str | None = None) -> BaseResponse:
    cursor_text = request.args.get("c", "") if cursor_text is None else cursor_text
    cursor = messages.Cursor.parse(cursor_text) if cursor_text else None
    with own_mail() as keys:
        counter = messages.change_counter(keys.mailbox_id)
        part, states = None, {}
        if kind == Kind.SENT:
            # How far a message got is in the list and not in the counter, so it is looked up before the answer can be 304.
            part = messages.in_folder(keys, kind, cursor, _rows())
            states = _states(keys, part.lines)
        view = (kind.slug, cursor_text, *map(repr, sorted(states.items())))
        polled, etag = (_etag(counter, fragment, *view) for fragment in (True, is_fragment(request)))
        if (
            notice is None
            and request.method == "GET"
            and etag in (request.if_none_match.as_set(include_weak=True))
        ):
            return _fresh(make_response("", 304), etag)
        counts = folders.counts(keys.mailbox_id)
        if part is None:
            part = messages.in_folder(keys, kind, cursor, _rows())
    unread = next(item.unread for item in counts if item.kind == kind)
    line = FolderLine(kind.slug, str(FOLDER_NAMES[kind]), unread, current=True, etag=polled)
    where = url_for("mail.folder", folder=kind.slug)
    context: dict[str, Any] = {
        "folder": line,
        "rows": [listing.row(item, states.get(item.message_id)) for item in part.lines],
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


def _rows() -> int:
    """Rows of one page: what the person chose, and few where the browser asks to save data (the Save-Data header)."""
    chosen: int = g.viewer.preferences.rows
    return min(chosen, 20) if request.headers.get("Save-Data", "").lower() == "on" else chosen


def _states(keys: MailboxKeys, lines: Sequence[messages.Line]) -> dict[int, str]:
    found = outbox.statuses(keys.mailbox_id, [item.message_id for item in lines])
    return {message_id: outbox.overall(states) for message_id, states in found.items()}


def _etag(counter: int, fragment: bool, *view: str) -> str:
    """Changes with the mailbox, the day (times are relative to it), the person's settings, the session and the build.

    The page carries its fragment's, so that the first poll already costs nothing.
    """
    viewer = g.viewer
    parts = (
        counter,
        listing.today(),
        viewer.preferences,
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


# --- one message ---------------------------------------------------------------------------------------------------------


@blueprint.get("/mail/<folder>/<id:message>", endpoint="message")
@requires("mail")
def message_page(folder: str, message: int) -> BaseResponse:
    """A message within its conversation. Opening it marks it as read."""
    kind = folders.by_slug(folder)
    with own_mail() as keys:
        line = _line_in(keys, message, kind)
        if line.state == "draft":
            return redirect(url_for("compose.new", draft=show_id(message)), 303)
        if line.unread and is_looked_at():
            messages.act(keys.mailbox_id, [message], "read")
        lines = (
            messages.conversation(keys, line.thread_id)
            if line.thread_id and line.thread_count > 1
            else [line]
        )
        if all(item.message_id != message for item in lines):
            lines = [line]
        counts = folders.counts(keys.mailbox_id)
        shown = opened.conversation(
            keys, lines, message, request.args.get("view") or g.viewer.preferences.reading
        )
    title = shown[-1].subject or _("(no subject)")
    context: dict[str, Any] = {
        "folder": FolderLine(kind.slug, str(FOLDER_NAMES[kind]), 0, current=True),
        "conversation": shown,
        "notice": left(),
    }
    return render(
        "mail/message.html", "mail/_message.html", **page(title, current=kind, counts=counts, **context)
    )


def _line_in(keys: MailboxKeys, message_id: int, kind: Kind) -> messages.Line:
    line = messages.line(keys, message_id)
    if line.folder != kind:
        raise NotFound("message")
    return line


@blueprint.get("/mail/<folder>/<id:message>/l/<int:number>", endpoint="link")
@requires("mail")
def link(folder: str, message: int, number: int) -> BaseResponse:
    """Follow link `number` of a message's reading view: for its reader alone, without a referrer, never logged."""
    return _follow(folder, message, number, "links")


@blueprint.get("/mail/<folder>/<id:message>/f/<int:number>", endpoint="formatted_link")
@requires("mail")
def formatted_link(folder: str, message: int, number: int) -> BaseResponse:
    """The same for its formatted view, which numbers its links for itself."""
    return _follow(folder, message, number, "formatted_links")


def _follow(folder: str, message: int, number: int, which: str) -> BaseResponse:
    with own_mail() as keys:
        _line_in(keys, message, folders.by_slug(folder))
        targets: tuple[str, ...] = getattr(reading.load(keys, message), which)
    if not 1 <= number <= len(targets):
        raise NotFound("link")
    target = targets[number - 1]
    if target.startswith("mailto:"):
        return redirect(url_for("compose.new", mailto=target), 303)
    response = redirect(target, 303)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@blueprint.get("/mail/<folder>/<id:message>/<int:number>/<path:name>", endpoint="attachment")
@requires("mail")
def attachment(folder: str, message: int, number: int, name: str) -> BaseResponse:
    """One attachment, as a download; an image or a text may be looked at with `?view=1`."""
    with own_mail() as keys:
        _line_in(keys, message, folders.by_slug(folder))
        part, content = reading.part(keys, message, number)
    return downloads.part(part, content, inline=request.args.get("view") == "1")


@blueprint.get("/mail/<folder>/<id:message>/source", endpoint="source")
@requires("mail")
def source(folder: str, message: int) -> BaseResponse:
    """The message as it came over the wire, as text to read."""
    with own_mail() as keys:
        line = _line_in(keys, message, folders.by_slug(folder))
        raw = messages.source(keys, message)
        counts = folders.counts(keys.mailbox_id)
    here: dict[str, Any] = {"folder": folder, "message": message}
    text = raw[: 512 << 10].decode("utf-8", "replace").replace("\0", "\ufffd")
    context: dict[str, Any] = {
        "source": text,
        "back": url_for("mail.message", **here),
        "download_href": url_for("mail.download", **here),
    }
    return render(
        "mail/source.html", None, **page(_("Message source"), current=line.folder, counts=counts, **context)
    )


@blueprint.get("/mail/<folder>/<id:message>/message.eml", endpoint="download")
@requires("mail")
def download(folder: str, message: int) -> BaseResponse:
    """The message as it came over the wire, as a file."""
    with own_mail() as keys:
        _line_in(keys, message, folders.by_slug(folder))
        raw = messages.source(keys, message)
    return downloads.attachment("message.eml", "message/rfc822", raw)


@blueprint.get("/deliveries/<id:message>", endpoint="deliveries")
@requires("mail")
def deliveries(message: int) -> BaseResponse:
    """How far a sent message got with each recipient: the part of its page that is asked for again while it is under way."""
    with own_mail() as keys:
        states = outbox.statuses(keys.mailbox_id, [message]).get(message)
    if not states:
        raise NotFound("message")
    shown = {"id": show_id(message), "deliveries": [opened.delivery(item) for item in states]}
    return make_response(render_template("mail/_deliveries.html", message=shown))


# --- acts ----------------------------------------------------------------------------------------------------------------


@blueprint.post("/mail/<folder>/act", endpoint="act")
@requires("mail")
def act(folder: str) -> BaseResponse:
    """Do one thing to the selected messages, and show the list again."""
    action = request.form.get("action", "")
    ids = [read_id(item) for item in request.form.getlist("id")[:MAX_SELECTED]]
    if action == "delete" and ids and not request.form.get("confirm"):
        return _confirm(folder, ids)
    done = _do(ids, action)
    return _after(folder, done, list_page=True)


@blueprint.post("/mail/<folder>/<id:message>", endpoint="act_one")
@requires("mail")
def act_one(folder: str, message: int) -> BaseResponse:
    """Do one thing to the opened message; what moves it away leads back to the list."""
    action = request.form.get("action", "")
    if action == "delete":
        return _confirm(folder, [message])
    with own_mail() as keys:
        _line_in(keys, message, folders.by_slug(folder))
    done = _do([message], action)
    if action in ("star", "unstar"):
        leave(act=(folder, done.action, done.message_ids, done.undo))
        return redirect(url_for("mail.message", folder=folder, message=message), 303)
    return _after(folder, done, list_page=False)


def _do(ids: Sequence[int], action: str) -> messages.Done:
    if action not in messages.ACTIONS:
        abort(400)
    with own_mail() as keys:
        return messages.act(keys.mailbox_id, ids, action)


def _confirm(folder: str, ids: Sequence[int]) -> BaseResponse:
    kind = folders.by_slug(folder)
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
    context: dict[str, Any] = {
        "folder": FolderLine(kind.slug, str(FOLDER_NAMES[kind]), 0),
        "ids": [show_id(item) for item in ids],
    }
    return render(
        "mail/confirm_delete.html", None, **page(_("Delete for ever"), current=kind, counts=counts, **context)
    )


def _after(folder: str, done: messages.Done, *, list_page: bool) -> BaseResponse:
    """The list that the act was made in: at once for a fragment, by way of a redirect for a plain form."""
    query = request.form.get("q", "")
    cursor = _cursor_here() if list_page else ""
    if folder == "search":
        leave(act=("inbox", done.action, done.message_ids, done.undo))
        return redirect(url_for("mail.search", q=query), 303)
    where = url_for("mail.folder", folder=folder) + (f"?c={cursor}" if cursor else "")
    if is_fragment(request):
        notice = acted(folder, done.action, done.message_ids, done.undo)
        response = _folder(folders.by_slug(folder), notice, cursor)
        return steer(response, push_url=where) if isinstance(response, Response) else response
    leave(act=(folder, done.action, done.message_ids, done.undo))
    return redirect(where, 303)


def _cursor_here() -> str:
    """The cursor of the list page that the form was on."""
    here = urlsplit(request.headers.get("HX-Current-URL") or request.headers.get("Referer") or "")
    value = parse_qs(here.query).get("c", [""])[0]
    try:
        return str(messages.Cursor.parse(value)) if value else ""
    except NotFound:
        return ""


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
