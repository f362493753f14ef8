"""What a person does with messages: from a list or from an opened one, as a fragment or as a plain form."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Response, abort, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import NotFound, Refused
from webmail.keys import MailboxKeys
from webmail.mail import conversations, folders, messages
from webmail.mail.folders import Kind
from webmail.sending import drafts
from webmail.web.access import requires
from webmail.web.beginnings import again, passed_on_whole
from webmail.web.htmx import is_fragment, render, steer
from webmail.web.viewing import FOLDER_NAMES, FolderLine, acted, leave, own_mail, own_message, page
from webmail.web.views.mail import blueprint, folder_list, is_grouped
from webmail.web.words import gettext as _

__all__ = ["blueprint"]

MAX_SELECTED = 200


@blueprint.post("/mail/<folder>/act", endpoint="act")
@requires("mail")
def act(folder: str) -> BaseResponse:
    """Do one thing to the selected messages, and show the list again."""
    action = request.form.get("action", "")
    ids = [read_id(item) for item in request.form.getlist("id")[:MAX_SELECTED]]
    if action == "delete" and ids and not request.form.get("confirm"):
        return _confirm(folder, ids)
    with own_mail() as keys:
        if (
            request.form.get("whole") != "0" and folder != "search"
        ):  # an undo names exactly what it takes back
            ids = _whole(keys, folders.by_slug(folder), ids, action)
        done = _do(keys, ids, action)
    return _after(folder, done, list_page=True)


@blueprint.post("/mail/<folder>/<id:message>", endpoint="act_one")
@requires("mail")
def act_one(folder: str, message: int) -> BaseResponse:
    """Do one thing to the opened message; what moves it away leads back to the list."""
    action = request.form.get("action", "")
    if action == "delete":
        return _confirm(folder, [message])
    if action in _BEGINNINGS:
        return _begin(_BEGINNINGS[action], folder, message)
    with own_message(folder, message) as (keys, line):
        ids = [message]
        if request.form.get("whole") == "1":
            ids = _whole(keys, line.folder, ids, action)
        done = _do(keys, ids, action)
    if action in ("star", "unstar"):
        leave(act=(folder, done.action, done.message_ids, done.undo))
        return redirect(url_for("mail.message", folder=folder, message=message), 303)
    return _after(folder, done, list_page=False)


_OF_ONE = frozenset({"star", "unread", "back"})
"""What is done to the message that stands for its conversation, and to no other of it."""


def _whole(keys: MailboxKeys, kind: Kind, ids: list[int], action: str) -> list[int]:
    """With the rest of their conversations in this folder, where the reader sees those as one."""
    if action in _OF_ONE or not is_grouped(kind) or not ids:
        return ids
    return list(conversations.members(keys.mailbox_id, ids))


_BEGINNINGS = {"again": again, "forward-whole": passed_on_whole}


def _begin(make: Callable[[MailboxKeys, int], drafts.Opened], folder: str, message: int) -> BaseResponse:
    """To the composer, with a draft that the message and its files went into."""
    try:
        with own_message(folder, message) as (keys, _line):
            draft = make(keys, message)
    except Refused:
        leave(word="too_large")
        return redirect(url_for("mail.message", folder=folder, message=message), 303)
    return redirect(url_for("compose.new", draft=show_id(draft.message_id)), 303)


def _do(keys: MailboxKeys, ids: Sequence[int], action: str) -> messages.Done:
    if action not in messages.ACTIONS:
        abort(400)
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
        response = folder_list(folders.by_slug(folder), notice, cursor)
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
