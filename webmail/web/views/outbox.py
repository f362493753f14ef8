"""`/outbox`: what waits to leave, and taking it back."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import NotFound
from webmail.mail import folders, messages
from webmail.sending import later
from webmail.sending.later import Waiting
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import Notice, Undo, leave, left, own_mail, page
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

blueprint = Blueprint("outbox", __name__)


@blueprint.get("/outbox", endpoint="index")
@requires("mail")
def index() -> BaseResponse:
    """What waits to leave, soonest first; after Send, with the way back."""
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        lines = later.listed(keys)
    notice = left()
    if request.args.get("sent"):
        notice = _just_sent(read_id(request.args["sent"]), lines)
    return render("outbox/index.html", None, **page(_("Outbox"), counts=counts, notice=notice, lines=lines))


def _just_sent(message_id: int, lines: Sequence[Waiting]) -> Notice:
    """What to say after Send, as things stand at this moment."""
    line = next((line for line in lines if line.message_id == message_id), None)
    if line is None:
        return Notice("status", _("It does not wait here any more."))
    if line.held == "limit":
        words = _(
            "Too many people were written to in a short time. The message is kept and leaves by itself, see below."
        )
        return Notice("status", words)
    if line.way != "undo" or line.held:
        return Notice("status", _("It leaves at the time below."))
    seconds = max(1, ceil((line.send_at - datetime.now(UTC)).total_seconds()))
    words = ngettext("Sending in %(num)s second.", "Sending in %(num)s seconds.", seconds)
    return Notice("status", words, Undo(url_for("outbox.cancel", message=message_id), [("edit", "1")]))


@blueprint.post("/outbox/<id:message>/cancel", endpoint="cancel")
@requires("mail")
def cancel(message: int) -> BaseResponse:
    """Make it a mere draft again, and go on writing if that was asked for."""
    with own_mail() as keys:
        later.cancel(keys, message)
        # Looked up after: whoever was first is known now. A second press finds the draft, and is told the same.
        is_draft = messages.line(keys, message).state == "draft"
    if not is_draft:
        leave(word="left_already")
        return redirect(url_for("outbox.index"), 303)
    leave(word="draft_again")
    if "edit" in request.form:
        return redirect(url_for("compose.new", draft=show_id(message)), 303)
    return redirect(url_for("outbox.index"), 303)


@blueprint.post("/outbox/<id:message>/now", endpoint="now")
@requires("mail")
def now(message: int) -> BaseResponse:
    """Have it leave at once, as it stands."""
    with own_mail() as keys:
        is_leaving = later.send_now(keys, message)
        is_draft = messages.line(keys, message).state == "draft"
    if not is_leaving and is_draft:
        raise NotFound("scheduled")
    leave(word="leaving_now" if is_leaving else "left_already")
    return redirect(url_for("outbox.index"), 303)
