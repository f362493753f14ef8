"""Acting on people, for the staff: `/staff/actions`. Always from a case; what is grave takes a fresh factor, and often two."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask import Blueprint, current_app, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail import jobs, schedules
from webmail.db import read_id, show_id
from webmail.errors import NotFound
from webmail.governance.actions import acting, reading
from webmail.governance.actions.acting import Act
from webmail.governance.actions.register import APPEAL_DAYS, KINDS, RULES, WITHHELD_DAYS
from webmail.governance.actions.words import open_words
from webmail.governance.cases import subjects
from webmail.identity import stepup
from webmail.identity.viewer import Viewer
from webmail.keys import MasterKeys
from webmail.web import action_words
from webmail.web.access import may, requires
from webmail.web.confirming import name_act
from webmail.web.staff import Panel, Waiting, panel, staff_page, staff_transaction
from webmail.web.viewing import Notice, leave, more_words
from webmail.web.words import gettext as _

blueprint = Blueprint("actions", __name__)
name_act("action.grave", _l("suspend somebody, or take a name"))
more_words(
    action_done=_l("Done. The person is told, and may object."),
    action_proposed=_l("Proposed. A lead decides; nothing is done before."),
    action_approved=_l("Approved. It is in force, and the person is told."),
    action_approved_later=_l("Approved. It is in force; the person is told on the day that was chosen."),
    action_declined=_l("Declined. Nothing was done."),
    action_lifted=_l("Undone. The person is told."),
)
FIRST = 5


def master_keys() -> MasterKeys:
    """The master keys of this application."""
    keys: MasterKeys = current_app.extensions["master_keys"]
    return keys


def send_soon() -> None:
    """Have what was written be mailed now, and not at the next turn of the clock. In the open transaction."""
    schedules.soon(schedules.ACTIONS)
    jobs.ring_after_commit(jobs.KEEP)


@blueprint.get("/staff/actions", endpoint="index")
@requires("staff.people")
def index() -> BaseResponse:
    """What waits for a second person."""
    with staff_transaction():
        waiting = reading.proposed()
    return staff_page("actions/index.html", title=_("Actions"), waiting_actions=waiting, words=action_words)


# --- acting --------------------------------------------------------------------------------------------------------------


@blueprint.route("/staff/actions/new", methods=["GET", "POST"], endpoint="new")
@requires("staff.people")
def new() -> BaseResponse:
    """Choose whom, what and why. The person comes from the case, or by an address."""
    if request.form.get("step") == "act":
        return _act()
    return _form(request.values, "")


def _form(given: Mapping[str, str], problem: str) -> BaseResponse:
    case_id = _id(given.get("case"))
    with staff_transaction():
        state, about = reading.case_of(case_id)
        address = given.get("address", "").strip()
        account_id = _id(given.get("account")) or (subjects.account_of(address) if address else about)
        person = reading.person(account_id, by=g.viewer.account_id) if account_id else None
        targets = reading.targets(case_id, account_id, by=g.viewer.account_id) if account_id else []
        past = reading.of_account(account_id) if account_id else []
    if not problem:
        problem = (
            "case-closed" if state == "closed" else person.refusal if person else "unknown" if address else ""
        )
    today = datetime.now(UTC).date()
    context: dict[str, Any] = {
        "case_id": case_id,
        "person": person,
        "targets": targets,
        "past": past,
        "strikes": reading.strikes(past),
        "kinds": KINDS,
        "rules": RULES,
        "form": given,
        "tomorrow": today + timedelta(days=1),
        "latest": today + timedelta(days=729),
        "withheld_latest": today + timedelta(days=WITHHELD_DAYS - 1),
        "appeal_days": APPEAL_DAYS,
        "is_lead": bool(g.viewer.roles & {"support_lead", "admin"}),
        "words": action_words,
        "notice": Notice("alert", action_words.refusal(problem)) if problem else None,
    }
    return staff_page(
        "actions/new.html", title=_("Act on somebody"), status=422 if problem else 200, **context
    )


def _act() -> BaseResponse:
    act = _asked()
    with staff_transaction():
        if not acting.problems(act) and KINDS[act.kind].is_grave:
            target = f"{act.case_id}:{act.kind}:{act.account_id}:{act.mailbox_id}"
            stepup.require(g.viewer, act="action.grave", target=target)
        action_id, answer = acting.take(master_keys(), act, by=g.viewer.account_id)
        if answer == "done":
            send_soon()
    if answer not in ("done", "proposed"):
        return _form(request.form, answer)
    leave(word=f"action_{answer}")
    return redirect(url_for("actions.action", action=action_id), 303)


def _asked() -> Act:
    form = request.form
    kind = form.get("kind", "")
    of_mailbox = kind in KINDS and KINDS[kind].of_mailbox
    amount = form.get("amount", "").strip()
    return Act(
        case_id=_id(form.get("case")),
        kind=kind,
        account_id=_id(form.get("account")),
        rule=form.get("rule", ""),
        words=form.get("words", ""),
        mailbox_id=(_id(form.get("mailbox")) or None) if of_mailbox else None,
        amount=(int(amount) if amount.isdecimal() and len(amount) < 9 else 0) if kind == "limit" else None,
        until=_day(form.get("until")) if kind in KINDS and KINDS[kind].ends else None,
        withheld=form.get("withheld", ""),
        withheld_until=_day(form.get("withheld_until")) if form.get("withheld", "").strip() else None,
        then_reserved=kind == "reclaim" and form.get("then_reserved") == "1",
    )


def _id(shown: str | None) -> int:
    with suppress(NotFound):
        return read_id(shown or "")
    return 0


def _day(typed: str | None) -> datetime | None:
    """The end of that day (UTC)."""
    with suppress(ValueError):
        day = date.fromisoformat(typed or "")
        return datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC)
    return None


# --- one action ----------------------------------------------------------------------------------------------------------


@blueprint.get("/staff/actions/<id:action>", endpoint="action")
@requires("staff")
def action(action: int) -> BaseResponse:
    """What was done to whom, why, who agreed, whether they know, and whether they objected."""
    return _page(action, "", 200)


def _page(action_id: int, problem: str, status: int) -> BaseResponse:
    with staff_transaction():
        found = reading.one(action_id)
    mine, is_lead = found.acted_by == g.viewer.account_id, bool(g.viewer.roles & {"support_lead", "admin"})
    context: dict[str, Any] = {
        "one": found,
        "said": found.said(master_keys()),
        "withheld": open_words(master_keys(), found.withheld, action_id, "withheld"),
        "may_decide": found.state == "proposed" and is_lead and not mine,
        "may_lift": found.state == "in_force"
        and found.quarantine_id is None
        and found.name_freed_at is None
        and may(g.viewer, "staff.people")
        and (mine or is_lead),
        "words": action_words,
    }
    if problem:
        context["notice"] = Notice("alert", action_words.refusal(problem))
    return staff_page(
        "actions/one.html", title=action_words.what(found.kind, found.amount), status=status, **context
    )


@blueprint.post("/staff/actions/<id:action>/decide", endpoint="decide")
@requires("staff.people")
def decide(action: int) -> BaseResponse:
    """Approve what a colleague proposes, or decline it."""
    approved = request.form.get("decision") == "approve"
    if not approved and request.form.get("decision") != "decline":
        return _page(action, "verdict", 422)
    with staff_transaction():
        is_withheld = reading.one(action).withheld_until is not None
        if approved:
            stepup.require(g.viewer, act="action.grave", target=f"approve:{action}")
        answer = acting.decide(action, by=g.viewer.account_id, approved=approved)
        if approved and not answer:
            send_soon()
    if answer:
        return _page(action, answer, 409)
    later = "_later" if approved and is_withheld else ""
    leave(word=f"action_approved{later}" if approved else "action_declined")
    return redirect(url_for("actions.action", action=action), 303)


@blueprint.post("/staff/actions/<id:action>/lift", endpoint="lift")
@requires("staff.people")
def lift(action: int) -> BaseResponse:
    """Undo it."""
    with staff_transaction():
        # A hold is one of many: what ends is its quarantine.
        is_hold = reading.one(action).quarantine_id is not None
        answer = "none" if is_hold else acting.lift(action, by=g.viewer.account_id)
        if not answer:
            send_soon()
    if answer:
        return _page(action, answer, 409)
    leave(word="action_lifted")
    return redirect(url_for("actions.action", action=action), 303)


# --- on the first page ---------------------------------------------------------------------------------------------------


@panel("staff.people")
def actions_that_wait(viewer: Viewer) -> Panel | None:
    """For leads and admins: what colleagues propose."""
    if not viewer.roles & {"support_lead", "admin"}:
        return None
    found = [one for one in reading.proposed() if one.acted_by != viewer.account_id]
    if not found:
        return None
    lines = [
        Waiting(
            _("%(name)s proposes: %(what)s", name=one.actor, what=action_words.what(one.kind, one.amount)),
            url_for("actions.action", action=one.action_id),
            _("case %(number)s", number=show_id(one.case_id)),
        )
        for one in found[:FIRST]
    ]
    return Panel(_("Actions to decide on"), url_for("actions.index"), len(found), lines)
