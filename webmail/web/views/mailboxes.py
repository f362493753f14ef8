"""My mailboxes: `/mailboxes`. Which I belong to and as what, who asks me to share one, what I am told, and leaving."""

from typing import Any

from flask import Blueprint, abort, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id, transaction
from webmail.errors import NotFound
from webmail.identity import memberships
from webmail.identity.memberships import MembershipRefused
from webmail.mail import mailboxes
from webmail.web import name_words
from webmail.web.access import requires
from webmail.web.boxes import path_in
from webmail.web.htmx import render
from webmail.web.viewing import leave, left, page
from webmail.web.words import gettext as _

blueprint = Blueprint("mailboxes", __name__)


@blueprint.get("/mailboxes", endpoint="index")
@requires("account")
def index() -> BaseResponse:
    """The list of them."""
    return _page()


@blueprint.post("/mailboxes/answer", endpoint="answer")
@requires("account")
def answer() -> BaseResponse:
    """Accept or decline an invitation to share a mailbox."""
    said, mailbox_id = request.form.get("answer", ""), read_id(request.form.get("mailbox", ""))
    if said not in ("accept", "decline"):
        abort(400)
    with transaction(mailbox_id):
        memberships.answer(mailbox_id, g.viewer.account_id, accepts=said == "accept")
    leave(word="joined" if said == "accept" else "not_joined")
    return redirect(url_for("mailboxes.index"), 303)


@blueprint.post("/mailboxes/leave", endpoint="leave")
@requires("account")
def leave_one() -> BaseResponse:
    """Ask whether somebody wants to leave a shared mailbox; with `sure`, leave it now."""
    mailbox_id = read_id(request.form.get("mailbox", ""))
    with transaction():
        mine = next(
            (one for one in memberships.mine(g.viewer.account_id) if one.mailbox_id == mailbox_id), None
        )
    if mine is None:
        raise NotFound("mailbox")
    if not request.form.get("sure") and not mine.is_last_owner:
        context: dict[str, Any] = {"one": mine, "ident": show_id(mailbox_id)}
        return render(
            "accounts/leave.html", None, **page(_("Leave %(address)s?", address=mine.address), **context)
        )
    try:
        with transaction(mailbox_id):
            memberships.leave(mailbox_id, g.viewer.account_id)
    except MembershipRefused as refusal:
        return _page(str(name_words.MEMBERS[refusal.reason]), 409)
    leave(word="left", anywhere=True)
    # The address that this was asked under may have been of the very mailbox.
    return redirect("/mailboxes", 303)


@blueprint.post("/mailboxes/seen", endpoint="seen")
@requires("account")
def seen() -> BaseResponse:
    """Put away what one was told."""
    last = request.form.get("last", "")
    if not (last.isascii() and last.isdigit() and len(last) < 19):
        abort(400)
    with transaction():
        memberships.put_away(g.viewer.account_id, int(last))
    leave(word="put_away")
    return redirect(url_for("mailboxes.index"), 303)


def _page(problem: str = "", code: int = 200) -> BaseResponse:
    account_id = g.viewer.account_id
    with transaction():
        mine = memberships.mine(account_id)
        asked = memberships.asked(account_id)
        notices = memberships.notices(account_id)
        owned = mailboxes.owned(account_id)
    context: dict[str, Any] = {
        "mine": [
            {
                "one": one,
                "ident": show_id(one.mailbox_id),
                "href": path_in(g.viewer, one.mailbox_id),
                "members": path_in(g.viewer, one.mailbox_id, "/members"),
                "role": str(name_words.ROLES[one.role]),
            }
            for one in mine
        ],
        "asked": [
            {"one": one, "ident": show_id(one.mailbox_id), "role": str(name_words.ROLES[one.role])}
            for one in asked
        ],
        "notices": [(one.at, name_words.told(one.kind, one.address, one.role, one.by)) for one in notices],
        "last_notice": notices[0].notice_id if notices else 0,
        "may_make": owned < current_app.extensions["settings"].person_mailboxes,
        "problem": problem,
        "notice": left(),
    }
    response = render("accounts/mailboxes.html", None, **page(_("Mailboxes"), **context))
    response.status_code = code
    return response
