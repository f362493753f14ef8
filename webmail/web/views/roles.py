"""Roles of the staff: `/admin/roles`. Who has which, since when and by whom; giving and taking them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.errors import NotFound
from webmail.identity import roles, stepup
from webmail.identity.roles import RoleRefused
from webmail.identity.viewer import Viewer
from webmail.mail.addresses import AddressError, base_local, parse_spec
from webmail.web.access import requires
from webmail.web.staff import Panel, Waiting, actor, panel, staff_page, staff_transaction
from webmail.web.viewing import leave, more_words
from webmail.web.words import gettext as _

blueprint = Blueprint("roles", __name__)

NAMES = {
    "support": _l("Support"),
    "support_lead": _l("Support lead"),
    "reviewer": _l("Reviewer"),
    "admin": _l("Admin"),
    "auditor": _l("Auditor"),
}
DUTIES = {
    "support": _l("works on cases, and asks for access to what a case is about"),
    "support_lead": _l("does that, and approves what others ask for"),
    "reviewer": _l("looks at what others did, never at their own"),
    "admin": _l("runs the service and gives roles; needs a second admin to become one"),
    "auditor": _l("reads the log and changes nothing; has no other role"),
}
NO_FORM = {"role": "", "verb": "", "reason": "", "problem": ""}
_REFUSED = {
    "unknown": _l("There is no such role."),
    "own": _l("Nobody changes their own roles, or decides on themselves."),
    "reason": _l("Please say why, in 3 to 500 characters."),
    "held": _l("They have this role already."),
    "not-held": _l("They do not have this role any more."),
    "not-admin": _l("Only an admin can do this."),
    "not-active": _l("This account is suspended or closed."),
    "auditor": _l("An auditor has no other role: take the other one first."),
    "over": _l("This proposal is over."),
    "waits": _l("This is proposed already, and waits for a second admin."),
}

more_words(
    role_granted=_l("Role given. They are told."),
    role_proposed=_l("Proposed. Another admin has to confirm it within three days."),
    role_revoked=_l("Role taken, from their next page on. They are told."),
    role_declined=_l("Declined."),
)


@panel("admin", place="admin")
def waiting(viewer: Viewer) -> Panel | None:
    """New admins that wait for a second one."""
    mine = [one for one in roles.proposals() if viewer.account_id not in (one.proposed_by, one.account_id)]
    if not mine:
        return None
    lines = [
        Waiting(one.name, url_for("roles.index"), _("proposed by %(name)s", name=one.proposed_by_name))
        for one in mine[:5]
    ]
    return Panel(_("New admins to confirm"), url_for("roles.index"), len(mine), lines)


@blueprint.get("/admin/roles", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """Who has which role; and somebody by address, to give them one."""
    return _index()


@blueprint.get("/admin/roles/<id:account>", endpoint="person")
@requires("admin")
def person(account: int) -> BaseResponse:
    """One person's roles, and what became of them."""
    return _person(account, NO_FORM)


@blueprint.post("/admin/roles/<id:account>", endpoint="change")
@requires("admin")
def change(account: int) -> BaseResponse:
    """Give or take a role."""
    role, verb = request.form.get("role", ""), request.form.get("verb", "")
    if verb not in ("grant", "revoke"):
        raise NotFound("verb")
    reason = " ".join(request.form.get("reason", "").split())
    me = g.viewer.account_id
    try:
        with staff_transaction():
            roles.person(account)
            roles.check(account, role, verb, me, reason)
            stepup.require(g.viewer, act=f"roles.{verb}", target=f"{account}:{role}")
            if verb == "grant":
                became = roles.grant(account, role, by=me, reason=reason, actor=actor())
            else:
                roles.revoke(account, role, by=me, reason=reason, actor=actor())
                became = "revoked"
    except RoleRefused as refused:
        return _person(account, {"role": role, "verb": verb, "reason": reason, "problem": refused.code})
    leave(word=f"role_{became}")
    return redirect(url_for("roles.person", account=account), 303)


@blueprint.post("/admin/roles/proposals/<id:proposal>", endpoint="decide")
@requires("admin")
def decide(proposal: int) -> BaseResponse:
    """Confirm somebody as an admin, as the second one; or decline."""
    is_yes = request.form.get("answer") == "confirm"
    try:
        with staff_transaction():
            if is_yes:
                roles.check_proposal(proposal)
                stepup.require(g.viewer, act="roles.confirm", target=proposal)
                roles.confirm(proposal, by=g.viewer.account_id, actor=actor())
            else:
                roles.decline(proposal, by=g.viewer.account_id, actor=actor())
    except RoleRefused as refused:
        return _index(str(_REFUSED[refused.code]))
    leave(word="role_granted" if is_yes else "role_declined")
    return redirect(url_for("roles.index"), 303)


# --- pages ---------------------------------------------------------------------------------------------------------------


def _index(problem: str = "") -> BaseResponse:
    asked = request.args.get("address", "").strip()
    with staff_transaction():
        found = _find(asked) if asked else None
        if found is not None:
            return redirect(url_for("roles.person", account=found.account_id), 303)
        context: dict[str, Any] = {
            "holders": roles.holders(),
            "proposals": roles.proposals(),
            "history": roles.history(before=_before()),
        }
    status = 404 if asked else 409 if problem else 200
    if asked:
        problem = _("Nobody here has this address.")
    return staff_page(
        "admin/roles.html",
        title=_("Roles"),
        status=status,
        names=NAMES,
        duties=DUTIES,
        problem=problem,
        asked=asked,
        page_size=roles.PAGE,
        **context,
    )


def _person(account: int, form: Mapping[str, str]) -> BaseResponse:
    with staff_transaction():
        found = roles.person(account)
        held = roles.held(account)
        history = roles.history(account, _before())
    problem = str(_REFUSED[form["problem"]]) if form["problem"] else ""
    return staff_page(
        "admin/role.html",
        title=found.name or _("Somebody without a name"),
        status=409 if problem else 200,
        person=found,
        held=sorted(held),
        names=NAMES,
        duties=DUTIES,
        history=history,
        form=form,
        problem=problem,
        is_me=account == g.viewer.account_id,
        page_size=roles.PAGE,
    )


def _find(asked: str) -> roles.Person | None:
    try:
        address = parse_spec(asked)
    except AddressError:
        return None
    return roles.find(base_local(address.local), address.domain.lower())


def _before() -> tuple[datetime, int] | None:
    """Where a list goes on: `?before=` holds the time and the number of the line before. NotFound for what is none."""
    told = request.args.get("before")
    if told is None:
        return None
    moment, _dot, number = told.partition("_")
    try:
        return datetime.fromisoformat(moment), int(number)
    except ValueError:
        raise NotFound("before") from None
