"""Invitations to take a name, for admins: `/admin/invitations`. The code is shown once, in the answer that made it."""

from typing import Any

from flask import Blueprint, current_app, g, request
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import Refused
from webmail.identity import invitations
from webmail.settings import domains, kept
from webmail.web.access import requires
from webmail.web.staff import actor, staff_page, staff_transaction
from webmail.web.words import gettext as _

blueprint = Blueprint("admin_invitations", __name__)
_ROWS = 50


@blueprint.get("/admin/invitations", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """The invitations there are, and a form for one more."""
    return _page()


@blueprint.post("/admin/invitations", endpoint="change")
@requires("admin")
def change() -> BaseResponse:
    """Make one, or withdraw one."""
    form = request.form
    if "withdraw" in form:
        with staff_transaction():
            invitations.withdraw(read_id(form["withdraw"]), actor())
        return _page(said=_("Withdrawn: nobody gets in by it any more."))
    typed = {name: form.get(name, "").strip()[:320] for name in ("domain", "uses", "days", "contact")}
    try:
        with staff_transaction():
            code = invitations.make(
                current_app.extensions["master_keys"],
                _domain(typed["domain"]),
                actor=actor(),
                uses=_number(typed["uses"]),
                days=_number(typed["days"]),
                contact=typed["contact"],
                made_by=g.viewer.account_id,
            )
    except Refused as refusal:
        words = {
            "domain": _("Choose one of the domains."),
            "number": _("Use 1 to 1000 people and 1 to 365 days."),
        }
        return _page(typed, problem=words[str(refusal)])
    return _page(typed, code=code)


def _domain(name: str) -> int:
    found = domains.find(name)
    if found is None:
        raise Refused("domain")
    return found


def _number(typed: str) -> int:
    if not (typed.isascii() and typed.isdigit() and len(typed) < 5):
        raise Refused("number")
    return int(typed)


def _page(
    typed: dict[str, str] | None = None, *, code: str = "", problem: str = "", said: str = ""
) -> BaseResponse:
    before = request.args.get("c", "") if request.method == "GET" else ""
    with staff_transaction():
        usual = kept.text("registration.mode")
        hosted = domains.hosted()
        found = invitations.listed(read_id(before) if before else None, _ROWS)
    origin = current_app.extensions["settings"].origin
    context: dict[str, Any] = {
        "places": [(one.name, one.mode(usual)) for one in hosted],
        "lines": [(show_id(one.invitation_id), one) for one in found],
        "older": show_id(found[-1].invitation_id) if len(found) == _ROWS else "",
        "typed": typed or {"domain": "", "uses": "1", "days": str(invitations.DAYS), "contact": ""},
        "code": code,
        "link": f"{origin}/welcome?code={code}",
        "problem": problem,
        "said": said,
    }
    return staff_page(
        "staff/invitations.html", title=_("Invitations"), status=422 if problem else 200, **context
    )
