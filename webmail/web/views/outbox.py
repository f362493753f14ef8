"""`/outbox`: what waits to leave, and taking it back; what is still tried, and what was not delivered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import NotFound
from webmail.mail import folders, messages
from webmail.mail.folders import Kind
from webmail.sending import later, pending
from webmail.sending.later import Waiting
from webmail.web import deliveries
from webmail.web.access import requires
from webmail.web.deliveries import DeliveryLine
from webmail.web.htmx import render
from webmail.web.viewing import Notice, Undo, leave, left, own_mail, page
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

blueprint = Blueprint("outbox", __name__)
MAX_SELECTED = 200


@dataclass(frozen=True, slots=True)
class Left:
    """A message that has left, and the people it has not reached."""

    href: str
    subject: str
    sent_at: datetime
    is_open: bool
    people: Sequence[DeliveryLine]


@blueprint.get("/outbox", endpoint="index")
@requires("mail")
def index() -> BaseResponse:
    """What waits to leave, soonest first; after Send, with the way back. Below, what has not reached everybody."""
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        lines = later.listed(keys)
        stuck = [_left(one) for one in pending.stuck(keys)]
    notice = left()
    if request.args.get("sent"):
        notice = _just_sent(read_id(request.args["sent"]), lines)
    context: dict[str, Any] = {
        "lines": lines,
        "tried": [one for one in stuck if one.is_open],
        "failed": [one for one in stuck if not one.is_open],
        "days": pending.DAYS,
    }
    return render("outbox/index.html", None, **page(_("Outbox"), counts=counts, notice=notice, **context))


def _left(one: pending.Stuck) -> Left:
    href = url_for("mail.message", folder=Kind.SENT.slug, message=one.message_id)
    subject = one.summary.subject if one.summary else ""
    return Left(href, subject, one.sent_at, one.is_open, [deliveries.line(status) for status in one.statuses])


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


@blueprint.post("/outbox/cancel", endpoint="cancel_some")
@requires("mail")
def cancel_some() -> BaseResponse:
    """Make those that were selected in the list of drafts mere drafts again, and show that list."""
    ids = [read_id(item) for item in request.form.getlist("id")[:MAX_SELECTED]]
    with own_mail() as keys:
        done = [later.cancel(keys, message_id) for message_id in sorted(ids)]
    leave(word="draft_again" if any(done) else "nothing_waited")
    return redirect(url_for("mail.folder", folder=Kind.DRAFTS.slug), 303)


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
