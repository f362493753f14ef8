"""Holding a reported message wherever it lies: `/staff/quarantines`. From a case; support proposes, a lead decides."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask import Blueprint, current_app, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail import jobs
from webmail.db import read_id, show_id
from webmail.errors import NotFound
from webmail.governance.quarantine import acting, reading
from webmail.governance.quarantine.acting import DAYS, MOST_DAYS, RULES, Choice, Hold
from webmail.identity import stepup
from webmail.identity.viewer import Viewer
from webmail.keys import MasterKeys
from webmail.web import action_words, quarantine_words
from webmail.web.access import may, requires
from webmail.web.confirming import name_act
from webmail.web.staff import Panel, Waiting, panel, staff_page, staff_transaction
from webmail.web.viewing import Notice, leave, more_words
from webmail.web.views.actions import send_soon
from webmail.web.words import gettext as _

blueprint = Blueprint("quarantine", __name__)
name_act("quarantine.hold", _l("hold a message in every mailbox"))
more_words(
    quarantine_done=_l("Held. Each owner is told, and may object."),
    quarantine_proposed=_l("Proposed. A lead decides; nothing is held before."),
    quarantine_approved=_l("Approved. It is held, and each owner is told."),
    quarantine_declined=_l("Declined. Nothing is held."),
    quarantine_released=_l("Given back as it was. Each owner is told."),
)
FIRST = 5


def master_keys() -> MasterKeys:
    """The master keys of this application."""
    keys: MasterKeys = current_app.extensions["master_keys"]
    return keys


@blueprint.get("/staff/quarantines", endpoint="index")
@requires("staff.people")
def index() -> BaseResponse:
    """What waits for a second person, and what was held lately."""
    with staff_transaction():
        waiting, lately = reading.proposed(), reading.lately()
    return staff_page(
        "quarantine/index.html",
        title=_("Held mail"),
        proposed=waiting,
        lately=lately,
        words=quarantine_words,
        rules=action_words.RULES,
    )


# --- holding -------------------------------------------------------------------------------------------------------------


@blueprint.post("/staff/quarantines/new", endpoint="new")
@requires("staff.people")
def new() -> BaseResponse:
    """Look how often what was reported in a case came, which is written down; then hold one of it, or propose that."""
    case_id = _id("case")
    if request.form.get("step") == "act":
        return _act(case_id)
    return _form(case_id, "")


def _form(case_id: int, problem: str, status: int = 200) -> BaseResponse:
    with staff_transaction():
        found, refusal = acting.choices(case_id, by=g.viewer.account_id)
    problem = problem or ("case" if not case_id else refusal)
    today = datetime.now(UTC).date()
    context: dict[str, Any] = {
        "case_id": case_id,
        "choices": _shown(found),
        "refused": bool(refusal),
        "form": request.form,
        "rules": {code: action_words.RULES[code] for code in RULES},
        "tomorrow": today + timedelta(days=1),
        "usual": today + timedelta(days=DAYS),
        "latest": today + timedelta(days=MOST_DAYS),
        "is_lead": bool(g.viewer.roles & {"support_lead", "admin"}),
        "notice": Notice("alert", quarantine_words.refusal(problem)) if problem else None,
    }
    status = 422 if problem else status
    return staff_page("quarantine/new.html", title=_("Hold a message everywhere"), status=status, **context)


def _shown(found: Sequence[Choice]) -> list[tuple[Choice, str]]:
    return [(one, quarantine_words.size(one.messages, one.mailboxes)) for one in found]


def _act(case_id: int) -> BaseResponse:
    until = datetime.min.replace(tzinfo=UTC)
    with suppress(ValueError):
        day = date.fromisoformat(request.form.get("until", ""))
        until = datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC)
    hold = Hold(case_id, _id("item"), request.form.get("rule", ""), request.form.get("words", ""), until)
    wrong = acting.problem(hold)
    if wrong:
        return _form(case_id, wrong)
    with staff_transaction():
        stepup.require(g.viewer, act="quarantine.hold", target=f"{case_id}:{hold.item_id}")
        quarantine_id, answer = acting.take(master_keys(), hold, by=g.viewer.account_id)
        if answer == "done":
            _go_on()
    if answer not in ("done", "proposed"):
        return _form(case_id, answer)
    leave(word=f"quarantine_{answer}")
    return redirect(url_for("quarantine.one", quarantine=quarantine_id), 303)


def _go_on() -> None:
    """Have the worker do what a page leaves to it, and notices be mailed. In the open transaction."""
    send_soon()
    jobs.ring_after_commit(jobs.QUARANTINE)


def _id(name: str) -> int:
    with suppress(NotFound):
        return read_id(request.form.get(name, ""))
    return 0


# --- one quarantine ------------------------------------------------------------------------------------------------------


@blueprint.get("/staff/quarantines/<id:quarantine>", endpoint="one")
@requires("staff.people")
def one(quarantine: int) -> BaseResponse:
    """What is held and why, in how many mailboxes; never in whose."""
    return _page(quarantine, "", 200)


def _page(quarantine_id: int, problem: str, status: int) -> BaseResponse:
    with staff_transaction():
        found, counts = reading.one(quarantine_id), reading.counts(quarantine_id)
    mine, is_lead = found.acted_by == g.viewer.account_id, bool(g.viewer.roles & {"support_lead", "admin"})
    context: dict[str, Any] = {
        "one": found,
        "said": found.said(master_keys()),
        "size": quarantine_words.size(*counts),
        "may_decide": found.state == "proposed" and is_lead and not mine,
        "may_release": found.state == "in_force" and (mine or is_lead),
        "may_case": may(g.viewer, "staff.cases"),
        "words": quarantine_words,
        "rules": action_words.RULES,
    }
    if problem:
        context["notice"] = Notice("alert", quarantine_words.refusal(problem))
    return staff_page("quarantine/one.html", title=_("Held mail"), status=status, **context)


@blueprint.post("/staff/quarantines/<id:quarantine>/decide", endpoint="decide")
@requires("staff.people")
def decide(quarantine: int) -> BaseResponse:
    """Approve what a colleague proposes, or decline it."""
    approved = request.form.get("decision") == "approve"
    if not approved and request.form.get("decision") != "decline":
        return _page(quarantine, "decision", 422)
    with staff_transaction():
        reading.one(quarantine)
        if approved:
            stepup.require(g.viewer, act="quarantine.hold", target=f"approve:{quarantine}")
        answer = acting.decide(quarantine, by=g.viewer.account_id, approved=approved)
        if approved and not answer:
            _go_on()
    if answer:
        return _page(quarantine, answer, 409)
    leave(word="quarantine_approved" if approved else "quarantine_declined")
    return redirect(url_for("quarantine.one", quarantine=quarantine), 303)


@blueprint.post("/staff/quarantines/<id:quarantine>/release", endpoint="release")
@requires("staff.people")
def release(quarantine: int) -> BaseResponse:
    """Give everything back."""
    with staff_transaction():
        reading.one(quarantine)
        answer = acting.release(quarantine, by=g.viewer.account_id)
        if not answer:
            _go_on()
    if answer:
        return _page(quarantine, answer, 409)
    leave(word="quarantine_released")
    return redirect(url_for("quarantine.one", quarantine=quarantine), 303)


# --- on the first page ---------------------------------------------------------------------------------------------------


@panel("staff.people")
def quarantines_that_wait(viewer: Viewer) -> Panel | None:
    """For leads and admins: what colleagues propose."""
    if not viewer.roles & {"support_lead", "admin"}:
        return None
    found = [item for item in reading.proposed() if item.acted_by != viewer.account_id]
    if not found:
        return None
    lines = [
        Waiting(
            _("%(name)s proposes to hold a message everywhere", name=item.actor),
            url_for("quarantine.one", quarantine=item.quarantine_id),
            _("case %(number)s", number=show_id(item.case_id)),
        )
        for item in found[:FIRST]
    ]
    return Panel(_("Messages to hold"), url_for("quarantine.index"), len(found), lines)
