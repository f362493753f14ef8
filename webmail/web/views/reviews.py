"""Reviews: `/staff/reviews`. Each access waits here for somebody who had no part in it; what is late shows on the first pages."""

from typing import Any

from flask import Blueprint, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import show_id
from webmail.errors import NotFound
from webmail.governance.access import grants, reviewing
from webmail.governance.access.grants import Grant
from webmail.identity.viewer import Viewer
from webmail.web import access_words
from webmail.web.access import may, requires
from webmail.web.staff import Panel, Waiting, panel, staff_page, staff_transaction
from webmail.web.viewing import Notice, leave, more_words
from webmail.web.views.access import master_keys
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

blueprint = Blueprint("reviews", __name__)

more_words(
    review_approved=_l("Reviewed: in order."),
    review_flagged=_l("Flagged. A case is open for leads and admins."),
)
FIRST = 5


@blueprint.get("/staff/reviews", endpoint="index")
@requires("staff.reviews")
def index() -> BaseResponse:
    """What waits for a reviewer: emergencies first, then by deadline."""
    with staff_transaction():
        lines = grants.unreviewed()
        figures = reviewing.waiting()
    mine = may(g.viewer, "staff.review")
    return staff_page(
        "reviews/index.html", title=_("Reviews"), lines=lines, figures=figures, mine=mine, words=access_words
    )


@blueprint.get("/staff/reviews/<id:grant>", endpoint="one")
@requires("staff.reviews")
def one(grant: int) -> BaseResponse:
    """What was opened, by whom and why: everything but the content."""
    return _page(grant, "", 200)


def _page(grant_id: int, problem: str, status: int) -> BaseResponse:
    with staff_transaction():
        found = grants.one(grant_id)
        if found.review_due_at is None:
            raise NotFound("review")
        named, acts = grants.named(grant_id), grants.acts(found.mailbox_id, grant_id)
        told = grants.words(master_keys(), found)
    had_part = g.viewer.account_id in (found.requested_by, found.decided_by)
    context: dict[str, Any] = {
        "grant": found,
        "named": named,
        "acts": acts,
        "told": told,
        "over": found.stage in ("over", "refused"),
        "had_part": had_part,
        "may_judge": may(g.viewer, "staff.review") and not told.verdict and not had_part,
        "typed": request.form.get("words", ""),
        "words": access_words,
    }
    if problem:
        context["notice"] = Notice("alert", access_words.refusal(problem))
    title = _("Review of access %(number)s", number=show_id(grant_id))
    return staff_page("reviews/one.html", title=title, status=status, **context)


@blueprint.post("/staff/reviews/<id:grant>", endpoint="judge")
@requires("staff.review")
def judge(grant: int) -> BaseResponse:
    """Give the verdict, once; then the next one that waits."""
    verdict, words = request.form.get("verdict", ""), request.form.get("words", "")
    me = g.viewer.account_id
    with staff_transaction():
        found = grants.one(grant)
        if verdict == "flag":
            refusal = reviewing.flag(master_keys(), found.mailbox_id, grant, account_id=me, words=words)
        else:
            refusal = reviewing.judge(
                master_keys(), found.mailbox_id, grant, account_id=me, verdict=verdict, words=words
            )
    if refusal:
        return _page(grant, refusal, 422 if refusal in ("words", "verdict") else 409)
    leave(word="review_flagged" if verdict == "flag" else "review_approved")
    return redirect(url_for("reviews.index"), 303)


# --- on the first pages --------------------------------------------------------------------------------------------------


def _line(grant: Grant) -> Waiting:
    note = access_words.cause(grant)
    if grant.is_emergency:
        note = _("emergency: %(cause)s", cause=note)
    if grant.is_late:
        note = _("%(cause)s, overdue", cause=note)
    words = _("Access %(number)s by %(name)s", number=show_id(grant.grant_id), name=grant.requester)
    return Waiting(
        words, url_for("reviews.one", grant=grant.grant_id), note, late=grant.is_late or grant.is_emergency
    )


@panel("staff.review")
def reviews_that_wait(_viewer: Viewer) -> Panel:
    """For reviewers: the queue."""
    figures = reviewing.waiting()
    lines = [_line(one) for one in grants.unreviewed(FIRST)]
    return Panel(
        _("Reviews"), url_for("reviews.index"), figures.reviews, lines, _("Every access is reviewed.")
    )


def _late(viewer: Viewer) -> Panel | None:
    """For leads and admins: reviews and gags that are past their time. Nothing, where none is."""
    if not viewer.roles & {"support_lead", "admin"}:
        return None
    figures = reviewing.waiting()
    count = figures.late + figures.gags_late
    if not count:
        return None
    lines = [_line(one) for one in grants.unreviewed(FIRST, late=True)]
    if figures.gags_late:
        words = ngettext(
            "%(num)s access is kept from its owner beyond its date",
            "%(num)s accesses are kept from their owners beyond their date",
            figures.gags_late,
        )
        lines.append(Waiting(words, url_for("access.gags"), _("overdue"), late=True))
    return Panel(_("Overdue: who checks on us"), url_for("reviews.index"), count, lines)


panel("staff")(_late)
panel("admin", place="admin")(_late)


@panel("staff.approve")
def requests_that_wait(viewer: Viewer) -> Panel | None:
    """For leads: what colleagues ask to open."""
    found = [one for one in grants.requested() if one.requested_by != viewer.account_id]
    lines = [
        Waiting(
            _("%(name)s asks to open mail", name=one.requester),
            url_for("access.grant", grant=one.grant_id),
            access_words.cause(one),
        )
        for one in found[:FIRST]
    ]
    return Panel(_("Access to decide on"), url_for("access.index"), len(found), lines)


@panel("staff.gag")
def gags_that_wait(viewer: Viewer) -> Panel | None:
    """For leads and admins: gags that somebody asks for."""
    found = [one for one in grants.gagged() if one.gag == "asked" and one.requested_by != viewer.account_id]
    if not found:
        return None
    lines = [
        Waiting(
            _("Access %(number)s: may the owner know?", number=show_id(one.grant_id)),
            url_for("access.grant", grant=one.grant_id),
        )
        for one in found[:FIRST]
    ]
    return Panel(_("Kept from the owner"), url_for("access.gags"), len(found), lines)
