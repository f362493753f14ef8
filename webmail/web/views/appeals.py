"""Appeals, for the staff: `/staff/appeals`. Judged by somebody who had no part in it; what is late shows on the first pages."""

from typing import Any

from flask import Blueprint, current_app, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail import jobs
from webmail.db import show_id
from webmail.governance.actions import reading
from webmail.governance.appeals import appealing
from webmail.governance.appeals.appealing import Appeal
from webmail.identity.viewer import Viewer
from webmail.keys import MasterKeys
from webmail.web import action_words
from webmail.web.access import requires
from webmail.web.staff import Panel, Waiting, panel, staff_page, staff_transaction
from webmail.web.viewing import Notice, leave, more_words
from webmail.web.views.actions import send_soon
from webmail.web.words import gettext as _

blueprint = Blueprint("appeals", __name__)
more_words(
    appeal_upheld=_l("Upheld. The action is undone, and the person has your answer."),
    appeal_rejected=_l("Rejected. The person has your answer."),
)
FIRST = 5


def master_keys() -> MasterKeys:
    """The master keys of this application."""
    keys: MasterKeys = current_app.extensions["master_keys"]
    return keys


@blueprint.get("/staff/appeals", endpoint="index")
@requires("staff.appeals")
def index() -> BaseResponse:
    """What waits, by deadline, and what was judged last."""
    with staff_transaction():
        waiting = appealing.waiting(by=g.viewer.account_id)
        judged = appealing.judged(by=g.viewer.account_id)
    return staff_page(
        "appeals/index.html", title=_("Appeals"), waiting_appeals=waiting, judged=judged, words=action_words
    )


@blueprint.get("/staff/appeals/<id:appeal>", endpoint="appeal")
@requires("staff.appeals")
def appeal(appeal: int) -> BaseResponse:
    """What was done and why, what the person says, and the verdict."""
    return _page(appeal, "", 200)


def _page(appeal_id: int, problem: str, status: int) -> BaseResponse:
    with staff_transaction():
        found = appealing.one(appeal_id, by=g.viewer.account_id)
        action = reading.one(found.action_id)
    said, answer = found.said(master_keys())
    context: dict[str, Any] = {
        "appeal": found,
        "one": action,
        "reason": action.said(master_keys()),
        "said": said,
        "answer": answer,
        "typed": request.form.get("answer", ""),
        "refusal": action_words.refusal(found.refusal) if found.refusal else "",
        "words": action_words,
    }
    if problem:
        context["notice"] = Notice("alert", action_words.refusal(problem))
    title = _("Appeal of %(name)s", name=found.name)
    return staff_page("appeals/one.html", title=title, status=status, **context)


@blueprint.post("/staff/appeals/<id:appeal>", endpoint="judge")
@requires("staff.appeals")
def judge(appeal: int) -> BaseResponse:
    """Give the verdict, once, with reasons for the person."""
    verdict, answer = request.form.get("verdict", ""), request.form.get("answer", "")
    with staff_transaction():
        appealing.one(appeal, by=g.viewer.account_id)
        problem = appealing.judge(
            master_keys(), appeal, by=g.viewer.account_id, verdict=verdict, answer=answer
        )
        if not problem:
            send_soon()
            jobs.ring_after_commit(jobs.QUARANTINE)  # mail that was held is given back
    if problem:
        return _page(appeal, problem, 422 if problem in ("words", "verdict") else 409)
    leave(word="appeal_upheld" if verdict == "upheld" else "appeal_rejected")
    return redirect(url_for("appeals.index"), 303)


# --- on the first pages --------------------------------------------------------------------------------------------------


def _line(one: Appeal) -> Waiting:
    note = _("overdue") if one.is_late else str(action_words.KINDS[one.kind])
    words = _("Appeal %(number)s by %(name)s", number=show_id(one.appeal_id), name=one.name)
    return Waiting(words, url_for("appeals.appeal", appeal=one.appeal_id), note, late=one.is_late)


@panel("staff.appeals")
def appeals_that_wait(viewer: Viewer) -> Panel:
    """For those who judge: what they may judge first."""
    count, late = appealing.counts()
    found = sorted(appealing.waiting(by=viewer.account_id), key=lambda one: bool(one.refusal))
    title = _("Appeals, some overdue") if late else _("Appeals")
    return Panel(
        title, url_for("appeals.index"), count, [_line(one) for one in found[:FIRST]], _("No appeal waits.")
    )


@panel("staff")
def appeals_that_are_late(viewer: Viewer) -> Panel | None:
    """For everybody of the staff: an appeal that nobody answered in time."""
    if viewer.roles & {"support_lead", "reviewer"}:
        return None
    late = appealing.counts()[1]
    if not late:
        return None
    line = Waiting(_("Leads and reviewers owe somebody an answer"), "/staff", _("overdue"), late=True)
    return Panel(_("Overdue appeals"), "/staff", late, [line])
