"""Access to somebody's mail, for the staff: `/staff/access`. Asking for a grant, and what became of it. The reading is in
`access_reader`, the second person's side in `access_decisions`."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask import Blueprint, current_app, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import NotFound
from webmail.governance.access import asking, grants
from webmail.governance.access.asking import Gag, Order, Request
from webmail.governance.access.register import ABUSE_KINDS, MAX_MESSAGES, MINUTES, PARTS, REASONS, Parts
from webmail.identity import stepup
from webmail.keys import MasterKeys
from webmail.web import access_words
from webmail.web.access import may, requires
from webmail.web.confirming import name_act
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.viewing import Notice, leave, more_words
from webmail.web.words import gettext as _

blueprint = Blueprint("access", __name__)

more_words(
    access_asked=_l("Asked for. A lead decides; you see it here."),
    access_emergency=_l("Opened as an emergency. It is the first thing that a reviewer looks at."),
    access_closed=_l("Closed. Nothing more opens under it."),
)
name_act("access.emergency", _l("open somebody’s mail without a second person"))


def master_keys() -> MasterKeys:
    keys: MasterKeys = current_app.extensions["master_keys"]
    return keys


@blueprint.get("/staff/access", endpoint="index")
@requires("staff.access")
def index() -> BaseResponse:
    """My grants: what opens now, what waits, what is over."""
    with staff_transaction():
        mine = grants.held(g.viewer.account_id)
        waiting = grants.requested() if may(g.viewer, "staff.approve") else []
    now = [one for one in mine if one.stage in ("open", "ready")]
    context: dict[str, Any] = {
        "now_open": now,
        "asked": [one for one in mine if one.stage == "requested"],
        "over": [one for one in mine if one.stage in ("over", "refused")],
        "to_decide": [one for one in waiting if one.requested_by != g.viewer.account_id],
        "words": access_words,
    }
    return staff_page("access/index.html", title=_("Access"), **context)


# --- asking --------------------------------------------------------------------------------------------------------------


@blueprint.route("/staff/access/new", methods=["GET", "POST"], endpoint="new")
@requires("staff.access")
def new() -> BaseResponse:
    """Name what is needed, and why. Messages come from a case or from a trace."""
    given = request.form if request.method == "POST" else request.args
    if request.form.get("step") == "ask":
        return _ask()
    return _form(given, "")


def _form(given: Mapping[str, str], problem: str) -> BaseResponse:
    case_id, mailbox_id = _id(given.get("case")), _id(given.get("mailbox"))
    named = [_id(one) for one in request.values.getlist("m")][:MAX_MESSAGES]
    with staff_transaction():
        lines = []
        if case_id and mailbox_id and named:
            lines = grants.lines(case_id, mailbox_id, named, account_id=g.viewer.account_id)
        cases = grants.open_cases()
    kind = dict(cases).get(case_id, "")
    fitting = [name for name, cause in REASONS.items() if not kind or kind in cause.cases]
    chosen = {
        line.message_id: set(request.form.getlist(f"parts-{show_id(line.message_id)}")) or {"headers"}
        for line in lines
    }
    context: dict[str, Any] = {
        "case_id": case_id,
        "case_kind": kind,
        "mailbox_id": mailbox_id,
        "lines": lines,
        "chosen": chosen,
        "reasons": fitting,
        "kinds": ABUSE_KINDS,
        "parts": PARTS,
        "minutes": MINUTES,
        "form": given,
        "default_kind": kind if kind in ABUSE_KINDS else "",
        "today": datetime.now(UTC).date(),
        "latest": (datetime.now(UTC) + timedelta(days=90)).date(),
        "words": access_words,
        "notice": Notice("alert", access_words.refusal(problem)) if problem else None,
    }
    status = 422 if problem else 200
    return staff_page("access/new.html", title=_("Ask to open mail"), status=status, **context)


def _ask() -> BaseResponse:
    asked = _asked()
    with staff_transaction():
        if asked.is_emergency and not asking.problems(asked):
            bound = f"{asked.case_id}:{asked.mailbox_id}:{sorted(asked.messages)}"
            stepup.require(g.viewer, act="access.emergency", target=bound)
        grant_id, refusal = asking.request(master_keys(), asked, account_id=g.viewer.account_id)
    if refusal:
        return _form(request.form, refusal)
    leave(word="access_emergency" if asked.is_emergency else "access_asked")
    return redirect(url_for("access.grant", grant=grant_id), 303)


def _asked() -> Request:
    form = request.form
    messages = {
        _id(shown): Parts.named(set(form.getlist(f"parts-{shown}"))) for shown in form.getlist("m") if shown
    }
    legal = form.get("reason") == "legal"
    order = gag = None
    since, until, again = (_day(form.get(name)) for name in ("legal_from", "legal_until", "gag_until"))
    if legal and since and until:
        order = Order(form.get("reference", ""), form.get("issuer", ""), since, until)
    if legal and form.get("gag") == "1":
        end = again or date(1970, 1, 1)
        gag = Gag(form.get("gag_words", ""), datetime(end.year, end.month, end.day, 12, tzinfo=UTC))
    return Request(
        mailbox_id=_id(form.get("mailbox")),
        case_id=_id(form.get("case")),
        reason=form.get("reason", ""),
        words=form.get("words", ""),
        minutes=int(form["minutes"]) if form.get("minutes", "").isdecimal() else 0,
        messages=messages,
        kind=form.get("kind", "") if form.get("reason") == "abuse" else "",
        order=order,
        is_emergency=legal and form.get("emergency") == "1",
        gag=gag,
    )


def _id(shown: str | None) -> int:
    """The id behind what a form or an address holds; 0 for nothing of the kind."""
    with suppress(NotFound):
        return read_id(shown or "")
    return 0


def _day(typed: str | None) -> date | None:
    with suppress(ValueError):
        return date.fromisoformat(typed or "")
    return None


# --- one grant -----------------------------------------------------------------------------------------------------------


@blueprint.get("/staff/access/<id:grant>", endpoint="grant")
@requires("staff")
def grant(grant: int) -> BaseResponse:
    """A grant: what may be opened, by whom, for how long, what was, and who judged it."""
    return grant_page(grant)


def grant_page(grant_id: int, problem: str = "", status: int = 200) -> BaseResponse:
    """The page of a grant, perhaps with what went wrong."""
    with staff_transaction():
        found = grants.one(grant_id)
        named = grants.named(grant_id)
        acts = grants.acts(found.mailbox_id, grant_id)
        told = grants.words(master_keys(), found)
    mine = found.requested_by == g.viewer.account_id
    context: dict[str, Any] = {
        "grant": found,
        "named": named,
        "acts": acts,
        "told": told,
        "mine": mine,
        "may_decide": not mine and found.stage == "requested" and may(g.viewer, "staff.approve"),
        "may_gag": found.gag in ("asked", "running") and may(g.viewer, "staff.gag"),
        "may_keep": g.viewer.account_id not in (found.requested_by, found.decided_by),
        "may_close": found.stage in ("requested", "ready", "open")
        and (mine or bool(g.viewer.roles & {"support_lead", "reviewer", "admin"})),
        "may_review": may(g.viewer, "staff.review") and bool(found.review_due_at),
        "latest": (datetime.now(UTC) + timedelta(days=89)).date(),
        "words": access_words,
    }
    if problem:
        context["notice"] = Notice("alert", access_words.refusal(problem))
    title = _("Access %(number)s", number=show_id(grant_id))
    return staff_page("access/grant.html", title=title, status=status, **context)


@blueprint.post("/staff/access/<id:grant>/close", endpoint="close")
@requires("staff.close")
def close(grant: int) -> BaseResponse:
    """End it now."""
    with staff_transaction():
        grants.one(grant)
        refusal = asking.close(grant, account_id=g.viewer.account_id)
    if refusal:
        return grant_page(grant, refusal, 409)
    leave(word="access_closed")
    return redirect(url_for("access.grant", grant=grant), 303)
