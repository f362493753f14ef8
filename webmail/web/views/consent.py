"""What a reader agrees to, or asks for, from an opened message: its pictures, leaving its list, its sender kept out."""

from typing import Any

from flask import abort, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import show_id
from webmail.errors import NotFound
from webmail.identity import accounts
from webmail.keys import MailboxKeys
from webmail.mail import correspondents, reading, remote_pictures, unsubscribing
from webmail.mail.unsubscribe import Offer
from webmail.sending import drafts, later, submitting
from webmail.web import pictures
from webmail.web.access import requires
from webmail.web.beginnings import author
from webmail.web.boxes import here
from webmail.web.viewing import Undo, leave, own_message
from webmail.web.views.mail import blueprint

__all__ = ["blueprint"]


@blueprint.post("/mail/<folder>/<id:message>/pictures", endpoint="agree")
@requires("mail")
def agree(folder: str, message: int) -> BaseResponse:
    """Have a message's remote pictures fetched: this once, from now on for this sender, or always. `stop` takes that back."""
    choice = request.form.get("agree", "")
    if choice not in ("once", "sender", "always", "stop"):
        abort(400)
    with own_message(folder, message) as (keys, _line):
        view = reading.load(keys, message)
        if choice in ("sender", "stop") and view.sender[1]:
            correspondents.allow_pictures(keys, view.sender[1], choice == "sender")
        if choice == "always":
            accounts.prefer(g.viewer.account_id, {"pictures": "always"})
        if choice != "stop":
            remote_pictures.want(keys, message, reading.layout(keys, message).images, again=True)
    leave(word="pictures_" + choice)
    where: dict[str, Any] = {"folder": folder, "message": message, "view": "formatted"}
    return redirect(url_for("mail.message", **where), 303)


@blueprint.get("/mail/<folder>/<id:message>/pictures", endpoint="pictures")
@requires("mail")
def how_far(folder: str, message: int) -> BaseResponse:
    """How far fetching is: the part of the page that is asked for again while pictures are on their way."""
    with own_message(folder, message) as (keys, line):
        view = reading.load(keys, message)
        known = correspondents.known(keys, view.sender[1]) if view.sender[1] else correspondents.NOBODY
        note = pictures.note(keys, line, view, known)
    if note is None:
        raise NotFound("pictures")
    shown = {"id": show_id(message), "href": here(f"/mail/{folder}/{show_id(message)}"), "pictures": note}
    return make_response(render_template("mail/_pictures.html", message=shown, token="", ask=False))


@blueprint.post("/mail/<folder>/<id:message>/unsubscribe", endpoint="unsubscribe")
@requires("mail")
def unsubscribe(folder: str, message: int) -> BaseResponse:
    """Leave the list that a message came by: RFC 8058 where it offers that, else by a message to the address it names."""
    with own_message(folder, message) as (keys, line):
        offer = reading.load(keys, message).offer
        if line.direction != "in" or not offer or not (offer.post or offer.mailto):
            raise NotFound("offer")
        if offer.post:
            unsubscribing.ask(keys, message, offer)
        elif unsubscribing.state(keys.mailbox_id, message) is None:
            _by_mail(keys, message, offer)
    leave(word="unsubscribing")
    return redirect(url_for("mail.message", folder=folder, message=message), 303)


def _by_mail(keys: MailboxKeys, message: int, offer: Offer) -> None:
    """What the list asks for, sent as one's own message: it is kept in Sent, with its delivery."""
    assert offer.mailto is not None
    subject = offer.mailto.subject or "unsubscribe"
    fields = drafts.Fields(to=offer.mailto.to, subject=subject, body=offer.mailto.body or subject)
    submitting.begin(keys)
    draft = drafts.create(keys, author(), fields)
    # Where there is no room under the limit it waits in the outbox, as any other mail does.
    later.send(
        keys,
        draft.message_id,
        draft.revision,
        account_id=g.viewer.account_id,
        author=author(),
        limit=submitting.most_bytes(),
    )
    unsubscribing.mailed(keys, message)


@blueprint.post("/mail/<folder>/<id:message>/block", endpoint="block")
@requires("mail")
def block(folder: str, message: int) -> BaseResponse:
    """Keep the sender of a message out: what they write from now on goes to Junk. `block=0` takes that back."""
    with own_message(folder, message) as (keys, line):
        address = reading.load(keys, message).sender[1]
        if line.direction != "in" or not address or address.lower() == (g.viewer.address or "").lower():
            raise NotFound("sender")
        allowed = request.form.get("block") == "0"
        (correspondents.unblock if allowed else correspondents.block)(keys, address)
    if allowed:
        leave(word="unblocked")
    else:
        where = url_for("mail.block", folder=folder, message=message)
        leave(word="blocked", undo=Undo(where, [("block", "0")]))
    return redirect(url_for("mail.message", folder=folder, message=message), 303)
