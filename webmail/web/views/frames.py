"""The formatted view: a message as its sender laid it out, in a sandboxed frame, with the pictures that came along in it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Blueprint, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import transaction
from webmail.errors import NotFound
from webmail.keys import MailboxKeys, open_mailbox
from webmail.mail import reading, remote_pictures
from webmail.mail.mailboxes import OwnerSession
from webmail.web import downloads, passes
from webmail.web.access import requires
from webmail.web.viewing import own_message

blueprint = Blueprint("frames", __name__)


@blueprint.get("/mail/<folder>/<id:message>/formatted", endpoint="enter")
@requires("mail")
def enter(folder: str, message: int) -> BaseResponse:
    """To the frame, with a fresh pass in its address; with `?pictures=1`, to the one that shows fetched pictures."""
    with own_message(folder, message) as (keys, _line):
        token = passes.issue(
            current_app.extensions["pass_key"], g.viewer.account_id, keys.mailbox_id, message, time.time()
        )
    more: dict[str, Any] = {"pictures": 1} if request.args.get("pictures") == "1" else {}
    return redirect(url_for("frames.frame", folder=folder, message=message, token=token, **more), 303)


@blueprint.get("/mail/<folder>/<id:message>/formatted/<token>/", endpoint="frame")
@requires("mail")
def frame(folder: str, message: int, token: str) -> BaseResponse:
    """The document in the frame. Its reader's session lets it in; the pass is for its pictures alone."""
    pictures = request.args.get("pictures") == "1"
    with own_message(folder, message) as (keys, _line):
        if pictures and not remote_pictures.state(keys.mailbox_id, message).fetched:
            pictures = False
        layout = reading.layout(keys, message, pictures=pictures)
    return downloads.frame((layout.pictured if pictures else None) or layout.html)


@blueprint.get("/mail/<folder>/<id:message>/formatted/<token>/i/<int:number>", endpoint="picture")
def picture(folder: str, message: int, token: str, number: int) -> BaseResponse:
    """A raster picture that came with that very message, for whoever's pass it is; anything else is not there."""
    with _by_pass(token, message) as keys:
        file, content = reading.inline_image(keys, message, number)
    return _shown(file.content_type, content)


@blueprint.get(
    "/mail/<folder>/<id:message>/formatted/<token>/r/<int(max=9999):number>", endpoint="remote_picture"
)
def remote_picture(folder: str, message: int, token: str, number: int) -> BaseResponse:
    """A picture that was fetched for that very message, for whoever's pass it is."""
    with _by_pass(token, message) as keys:
        content_type, content = remote_pictures.picture(keys, message, number)
    return _shown(content_type, content)


def _shown(content_type: str, content: bytes) -> BaseResponse:
    response = downloads.picture(content_type, content)
    if response is None:
        raise NotFound("picture")
    return response


@contextmanager
def _by_pass(token: str, message: int) -> Iterator[MailboxKeys]:
    """A transaction on the mailbox that a pass to this message is for. Raises NotFound for a pass that does not hold."""
    known = passes.read(current_app.extensions["pass_key"], token, message, time.time())
    if known is None:
        raise NotFound("picture")
    account_id, mailbox_id = known
    with transaction(mailbox_id):
        yield open_mailbox(current_app.extensions["master_keys"], mailbox_id, OwnerSession(account_id))
