"""The formatted view: a message as its sender laid it out, in a sandboxed frame, with the pictures that came along in it."""

import time

from flask import Blueprint, current_app, g, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import transaction
from webmail.errors import NotFound
from webmail.keys import open_mailbox
from webmail.mail import folders, messages, reading
from webmail.mail.mailboxes import OwnerSession
from webmail.web import downloads, passes
from webmail.web.access import requires
from webmail.web.viewing import own_mail

blueprint = Blueprint("frames", __name__)


@blueprint.get("/mail/<folder>/<id:message>/formatted", endpoint="enter")
@requires("mail")
def enter(folder: str, message: int) -> BaseResponse:
    """To the frame, with a fresh pass in its address."""
    with own_mail() as keys:
        if messages.line(keys, message).folder != folders.by_slug(folder):
            raise NotFound("message")
    viewer = g.viewer
    token = passes.issue(
        current_app.extensions["pass_key"], viewer.account_id, viewer.mailbox_id, message, time.time()
    )
    return redirect(url_for("frames.frame", folder=folder, message=message, token=token), 303)


@blueprint.get("/mail/<folder>/<id:message>/formatted/<token>/", endpoint="frame")
@requires("mail")
def frame(folder: str, message: int, token: str) -> BaseResponse:
    """The document in the frame. Its reader's session lets it in; the pass is for its pictures alone."""
    with own_mail() as keys:
        if messages.line(keys, message).folder != folders.by_slug(folder):
            raise NotFound("message")
        view = reading.load(keys, message)
    if view.formatted is None:
        raise NotFound("message")
    return downloads.frame(view)


@blueprint.get("/mail/<folder>/<id:message>/formatted/<token>/i/<int:number>", endpoint="picture")
def picture(folder: str, message: int, token: str, number: int) -> BaseResponse:
    """A raster picture of that very message, for whoever's pass it is; anything else is not there."""
    known = passes.read(current_app.extensions["pass_key"], token, message, time.time())
    if known is None:
        raise NotFound("picture")
    account_id, mailbox_id = known
    with transaction(mailbox_id):
        keys = open_mailbox(current_app.extensions["master_keys"], mailbox_id, OwnerSession(account_id))
        file, content = reading.inline_image(keys, message, number)
    response = downloads.picture(file, content)
    if response is None:
        raise NotFound("picture")
    return response
