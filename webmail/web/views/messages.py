"""One message: within its conversation, on paper, its links, and how far it got."""

from typing import Any

from flask import g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import show_id
from webmail.errors import NotFound
from webmail.keys import MailboxKeys
from webmail.mail import folders, messages, reading
from webmail.mail.messages import Line
from webmail.sending import outbox
from webmail.web import deliveries, opened
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import FOLDER_NAMES, FolderLine, is_looked_at, left, own_mail, own_message, page
from webmail.web.views.mail import blueprint
from webmail.web.words import gettext as _

__all__ = ["blueprint"]

VIEWS = ("reading", "formatted")


@blueprint.get("/mail/<folder>/<id:message>", endpoint="message")
@requires("mail")
def message_page(folder: str, message: int) -> BaseResponse:
    """A message within its conversation, or by itself where the reader prefers that. Opening it marks it as read."""
    kind = folders.by_slug(folder)
    asked = request.args.get("view", "")
    with own_mail() as keys:
        line, kept = messages.line_and_view(keys, message)
        if line.folder != kind:
            raise NotFound("message")
        if line.state == "draft":
            return redirect(url_for("compose.new", draft=show_id(message)), 303)
        lines = _lines(keys, line)
        opened_ids = opened.to_open(lines, message, everything=request.args.get("all") == "1")
        new = [item.message_id for item in lines if item.unread and item.message_id in opened_ids]
        if new and is_looked_at():
            messages.act(keys.mailbox_id, new, "read")
        counts = folders.counts(keys.mailbox_id)
        shown = opened.conversation(keys, lines, opened_ids, message, asked if asked in VIEWS else "", kept)
    asked_for = next(item for item in shown if item.id == show_id(message))
    context: dict[str, Any] = {
        "folder": FolderLine(kind.slug, str(FOLDER_NAMES[kind]), 0, current=True),
        "conversation": shown,
        "asked": asked_for,
        "notice": left(),
    }
    title = asked_for.subject or _("(no subject)")
    return render(
        "mail/message.html", "mail/_message.html", **page(title, current=kind, counts=counts, **context)
    )


def _lines(keys: MailboxKeys, line: Line) -> list[Line]:
    if not line.thread_id or line.thread_count < 2 or g.viewer.preferences.conversations == "flat":
        return [line]
    lines = messages.conversation(keys, line.thread_id)
    if all(item.message_id != line.message_id for item in lines):
        return [line]  # junk and trash are no part of a conversation
    return lines


@blueprint.get("/m/<id:message>", endpoint="permanent")
@requires("mail")
def permanent(message: int) -> BaseResponse:
    """The address of a message that stays when it is moved."""
    with own_mail() as keys:
        line = messages.line(keys, message)
    return redirect(url_for("mail.message", folder=line.folder.slug, message=message), 303)


@blueprint.get("/mail/<folder>/<id:message>/print", endpoint="print")
@requires("mail")
def on_paper(folder: str, message: int) -> BaseResponse:
    """A message as a letter: no frame around it, whole addresses, links written out."""
    with own_message(folder, message) as (keys, line):
        if line.state == "unreadable":
            raise NotFound("message")
        shown = opened.on_paper(keys, line)
    return render("mail/print.html", None, **page(shown.subject or _("(no subject)"), message=shown))


@blueprint.get("/mail/<folder>/<id:message>/l/<int:number>", endpoint="link")
@requires("mail")
def link(folder: str, message: int, number: int) -> BaseResponse:
    """Follow link `number` of a message's reading view: for its reader alone, without a referrer, never logged."""
    with own_message(folder, message) as (keys, _line):
        targets = reading.load(keys, message, full_links=False).links
    return _follow(targets, number)


@blueprint.get("/mail/<folder>/<id:message>/f/<int:number>", endpoint="formatted_link")
@requires("mail")
def formatted_link(folder: str, message: int, number: int) -> BaseResponse:
    """The same for its formatted view, which numbers its links for itself."""
    with own_message(folder, message) as (keys, _line):
        targets = reading.layout(keys, message).links
    return _follow(targets, number)


def _follow(targets: tuple[str, ...], number: int) -> BaseResponse:
    if not 1 <= number <= len(targets):
        raise NotFound("link")
    target = targets[number - 1]
    if target.startswith("mailto:"):
        return redirect(url_for("compose.new", mailto=target), 303)
    response = redirect(target, 303)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@blueprint.get("/deliveries/<id:message>", endpoint="deliveries")
@requires("mail")
def how_far(message: int) -> BaseResponse:
    """How far a sent message got with each recipient: the part of its page that is asked for again while it is under way."""
    with own_mail() as keys:
        states = outbox.statuses(keys.mailbox_id, [message]).get(message)
    if not states:
        raise NotFound("message")
    shown = {"id": show_id(message), "deliveries": [deliveries.line(item) for item in states]}
    return make_response(render_template("mail/_deliveries.html", message=shown))
