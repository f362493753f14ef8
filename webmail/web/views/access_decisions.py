"""The second person: approving or refusing what a colleague asks for, and what an owner may not know yet."""

from datetime import UTC, date, datetime

from flask import g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.governance.access import asking, grants
from webmail.identity import stepup
from webmail.web import access_words
from webmail.web.access import requires
from webmail.web.confirming import name_act
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.viewing import leave, more_words
from webmail.web.views.access import blueprint, grant_page, master_keys
from webmail.web.words import gettext as _

__all__ = ["blueprint"]

more_words(
    access_approved=_l("Approved. It opens for its minutes, and is reviewed afterwards."),
    access_refused=_l("Refused."),
    access_gag_approved=_l("The owner does not see this for now."),
    access_gag_extended=_l("Looked at. It is looked at again on that day."),
    access_gag_ended=_l("Ended. The owner is told."),
)
name_act("access.approve", _l("let a colleague open somebody’s mail"))
name_act("access.gag", _l("decide what an owner may not know yet"))


@blueprint.post("/staff/access/<id:grant>/decide", endpoint="decide")
@requires("staff.approve")
def decide(grant: int) -> BaseResponse:
    """Approve a request, or refuse it."""
    approved = request.form.get("decision") == "approve"
    if not approved and request.form.get("decision") != "refuse":
        return grant_page(grant, "verdict", 422)
    with staff_transaction():
        found = grants.one(grant)
        if approved:
            stepup.require(g.viewer, act="access.approve", target=grant)
        refusal = asking.decide(
            master_keys(),
            found.mailbox_id,
            grant,
            account_id=g.viewer.account_id,
            approved=approved,
            words=request.form.get("words", ""),
        )
    if refusal:
        return grant_page(grant, refusal, 409)
    leave(word="access_approved" if approved else "access_refused")
    return redirect(url_for("access.index"), 303)


@blueprint.get("/staff/access/gags", endpoint="gags")
@requires("staff.gag")
def gags() -> BaseResponse:
    """Accesses that their owners do not know of yet, by when that is looked at again."""
    with staff_transaction():
        lines = [(one, grants.words(master_keys(), one)) for one in grants.gagged()]
    now = datetime.now(UTC)
    return staff_page(
        "access/gags.html", title=_("Kept from the owner"), lines=lines, now_is=now, words=access_words
    )


@blueprint.post("/staff/access/<id:grant>/gag", endpoint="gag")
@requires("staff.gag")
def gag(grant: int) -> BaseResponse:
    """Approve a gag, keep it for a while longer, or end it."""
    what = request.form.get("what", "")
    again = None
    try:
        day = date.fromisoformat(request.form.get("again", ""))
        again = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    except ValueError:
        if what == "extend":
            return grant_page(grant, "gag-dates", 422)
    with staff_transaction():
        grants.one(grant)
        if what != "end":
            stepup.require(g.viewer, act="access.gag", target=f"{grant}:{what}")
        refusal = asking.decide_gag(grant, account_id=g.viewer.account_id, what=what, again_at=again)
    if refusal:
        return grant_page(grant, refusal, 409)
    leave(
        word={"approve": "access_gag_approved", "extend": "access_gag_extended"}.get(what, "access_gag_ended")
    )
    return redirect(url_for("access.grant", grant=grant), 303)
