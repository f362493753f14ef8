"""Who belongs to the mailbox of this address, and who did what in it: `/members` and `/activity`."""

from typing import Any

from flask import Blueprint, abort, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.identity import memberships
from webmail.identity.memberships import MembershipRefused
from webmail.identity.viewer import MEMBER_ROLES
from webmail.mail import folders
from webmail.mail.addresses import AddressError, parse_spec
from webmail.web import name_words
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import leave, left, own_mail, page
from webmail.web.words import gettext as _

blueprint = Blueprint("members", __name__)
_ROWS = 50


@blueprint.get("/members", endpoint="index")
@requires("mail")
def index() -> BaseResponse:
    """Who belongs to this mailbox; for owners, with forms to change that."""
    return _page("", "reader", {})


@blueprint.post("/members", endpoint="invite")
@requires("mail")
def invite() -> BaseResponse:
    """Ask somebody to belong to it."""
    typed, role = request.form.get("address", "").strip()[:320], request.form.get("role", "")
    try:
        address = parse_spec(typed)
        with own_mail("owner") as keys:
            memberships.invite(keys.mailbox_id, g.viewer.account_id, address.local, address.domain, role)
    except AddressError:
        return _page(typed, role, {"address": _("This is not an address: %(piece)s", piece=typed)})
    except MembershipRefused as refusal:
        return _page(typed, role, dict([name_words.refused(refusal)]))
    leave(word="asked_member")
    return redirect(url_for("members.index"), 303)


@blueprint.post("/members/change", endpoint="change")
@requires("mail")
def change() -> BaseResponse:
    """Give a member another role, end the membership, or take an invitation back."""
    who, by = read_id(request.form.get("member", "")), g.viewer.account_id
    try:
        with own_mail("owner") as keys:
            if "remove" in request.form:
                memberships.remove(keys.mailbox_id, by, who)
                word = "member_removed"
            elif "withdraw" in request.form:
                memberships.withdraw(keys.mailbox_id, by, who)
                word = "invitation_withdrawn"
            elif request.form.get("role") in MEMBER_ROLES:
                memberships.change_role(keys.mailbox_id, by, who, request.form["role"])
                word = "member_changed"
            else:
                abort(400)
    except MembershipRefused as refusal:
        return _page("", "reader", {"members": str(name_words.MEMBERS[refusal.reason])})
    leave(word=word, anywhere=who == by)
    return redirect("/mailboxes" if who == by and word == "member_removed" else url_for("members.index"), 303)


@blueprint.get("/activity", endpoint="activity")
@requires("mail")
def activity() -> BaseResponse:
    """Who did what in this mailbox, newest first."""
    before = request.args.get("c", "")
    start = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        acts, after = memberships.activity(keys.mailbox_id, g.viewer.account_id, start, _ROWS)
    context: dict[str, Any] = {
        "acts": [
            (one.at, one.who, name_words.act(one.kind, one.number, one.role, one.other)) for one in acts
        ],
        "older": url_for("members.activity", c=after) if after else None,
        "is_first": start is None,
    }
    return render(
        "accounts/activity.html", None, **page(_("Activity"), counts=counts, notice=left(), **context)
    )


def _page(address: str, role: str, errors: dict[str, str]) -> BaseResponse:
    with own_mail("reader") as keys:
        counts = folders.counts(keys.mailbox_id)
        found = memberships.members(keys.mailbox_id, g.viewer.account_id)
    context: dict[str, Any] = {
        "people": [_shown(one) for one in found],
        "roles": [(name, str(words)) for name, words in name_words.ROLES.items()],
        "form": {"address": address, "role": role, "errors": errors},
        "owns": g.viewer.role == "owner",
        "box": show_id(g.viewer.mailbox_id),
        "notice": left(),
    }
    response = render("accounts/members.html", None, **page(_("Members"), counts=counts, **context))
    response.status_code = 422 if errors else 200
    return response


def _shown(one: memberships.Member) -> dict[str, Any]:
    return {
        "one": one,
        "ident": show_id(one.account_id),
        "me": one.account_id == g.viewer.account_id,
        "role": str(name_words.ROLES[one.role]),
    }
