"""One message: within its conversation, its links, its files, its source, and how far it got."""

from typing import Any

from flask import g, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import show_id
from webmail.errors import NotFound
from webmail.mail import folders, messages, reading
from webmail.sending import outbox
from webmail.web import downloads, opened
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import (
    FOLDER_NAMES,
    FolderLine,
    is_looked_at,
    left,
    own_mail,
    page,
)
from webmail.web.views.mail import blueprint, line_in

__all__ = ["blueprint"]


@blueprint.get("/mail/<folder>/<id:message>", endpoint="message")
@requires("mail")
def message_page(folder: str, message: int) -> BaseResponse:
    """A message within its conversation. Opening it marks it as read."""
    kind = folders.by_slug(folder)
    with own_mail() as keys:
        line = line_in(keys, message, kind)
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
        line_in(keys, message, folders.by_slug(folder))
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
        line_in(keys, message, folders.by_slug(folder))
        part, content = reading.part(keys, message, number)
    return downloads.part(part, content, inline=request.args.get("view") == "1")


@blueprint.get("/mail/<folder>/<id:message>/source", endpoint="source")
@requires("mail")
def source(folder: str, message: int) -> BaseResponse:
    """The message as it came over the wire, as text to read."""
    with own_mail() as keys:
        line = line_in(keys, message, folders.by_slug(folder))
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
        line_in(keys, message, folders.by_slug(folder))
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
