"""Cases, for the staff: `/staff/cases`. The queue and one case; what is done with it is in `case_acts`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, current_app, g, redirect, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import NotFound, Refused
from webmail.governance.actions import reading as action_reading
from webmail.governance.cases import acts, answering, clocks, queue, reading
from webmail.governance.cases.sealing import open_secret
from webmail.governance.quarantine import reading as quarantined
from webmail.identity.viewer import Viewer
from webmail.keys import MasterKeys
from webmail.web import action_words, case_words, quarantine_words
from webmail.web.access import requires
from webmail.web.staff import Panel, Waiting, panel, staff_page, staff_transaction
from webmail.web.viewing import Notice
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

blueprint = Blueprint("cases", __name__)

EPOCH, TICK = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
LABEL = 80
"""Characters of what a case is about that a line of the queue shows."""


def master_keys() -> MasterKeys:
    """The master keys of this application."""
    keys: MasterKeys = current_app.extensions["master_keys"]
    return keys


@blueprint.get("/staff/cases", endpoint="index")
@requires("staff.cases")
def index() -> BaseResponse:
    """The queue."""
    filters = _filters(request.args)
    edge = _edge(request.args.get("after", ""))
    with staff_transaction():
        secret = open_secret(master_keys())
        page = queue.page(secret, g.viewer.account_id, filters, edge, g.viewer.preferences.rows)
        counts = queue.counts(g.viewer.account_id)
    chosen: dict[str, Any] = {
        name: value for name, value in request.args.items() if name != "after" and value
    }
    older = url_for("cases.index", **chosen, after=_shown(page.older)) if page.older else ""
    return staff_page(
        "case/index.html",
        title=_("Cases"),
        lines=page.lines,
        filters=filters,
        waits=counts,
        older=older,
        first=edge is None,
        words=case_words,
        label_length=LABEL,
        filtered=bool(chosen),
    )


def _filters(args: "MultiDict[str, str]") -> queue.Filters:
    """What was asked for; what is no filter of ours shows everything."""
    state, kind, who = args.get("state", ""), args.get("kind", ""), args.get("who", "")
    return queue.Filters(
        state=state if state in queue.STATES else "",
        kind=kind if kind in clocks.KINDS else "",
        who=who if who in ("me", "nobody") else "",
        overdue=args.get("overdue") == "1",
        subject=args.get("subject", "").strip()[:1000],
    )


def _shown(edge: tuple[datetime, int]) -> str:
    return f"{(edge[0] - EPOCH) // TICK}.{show_id(edge[1])}"


def _edge(shown: str) -> tuple[datetime, int] | None:
    if not shown:
        return None
    ticks, _dot, number = shown.partition(".")
    if not ticks.isdecimal() or len(ticks) > 17:
        raise NotFound("page")
    return EPOCH + int(ticks) * TICK, read_id(number)


# --- one case ------------------------------------------------------------------------------------------------------------


@blueprint.get("/staff/cases/<id:case>", endpoint="case")
@requires("staff.cases")
def case(case: int) -> BaseResponse:
    """A case: what was brought, what was said and done, and what can be done."""
    typed = {"answer": ""}
    if request.args.get("canned"):
        typed["canned"] = str(read_id(request.args["canned"]))
    return show(case, typed)


NO_WORDS = {"note": "", "answer": "", "close": "", "canned": ""}


def show(
    case_id: int, typed: Mapping[str, str] | None = None, alert: str = "", status: int = 200
) -> BaseResponse:
    """The page of a case. `typed` is what was in its forms, so that nothing is lost where an act could not be done."""
    edge = _edge(request.args.get("after", "")) if request.method == "GET" else None
    with staff_transaction():
        secret = open_secret(master_keys())
        found = reading.load(secret, case_id, edge)
        acts.refuse_about(case_id, g.viewer.account_id)
        context: dict[str, Any] = {
            "case": found,
            "related": reading.related(secret, found),
            "colleagues": acts.colleagues(),
            "canned": answering.all_canned(),
            "reach": answering.reach(case_id),
            "actions": action_reading.of_case(case_id),
            "action_words": action_words,
            "quarantines": quarantined.of_case(case_id),
            "quarantine_words": quarantine_words,
        }
    filled = NO_WORDS | dict(typed or {})
    for one in context["canned"]:
        if filled["canned"] == str(one.canned_id):
            kind, state = str(case_words.KINDS[found.kind]), str(case_words.STATES[found.state])
            filled["answer"] = answering.filled(one.words, case_id, kind, state)
    last = found.items[-1] if found.items and found.more else None
    context |= {
        "more": url_for("cases.case", case=case_id, after=_shown((last.arrived_at, last.item_id)))
        if last
        else "",
        "typed": filled,
        "words": case_words,
        "outcomes": acts.OUTCOMES,
        "once": show_id(acts.fresh_id()),
        "soon": clocks.SOON,
    }
    if alert:
        context["notice"] = Notice("alert", alert)
    title = _("Case %(case)s", case=show_id(case_id))
    return staff_page("case/page.html", title=title, status=status, **context)


# --- by hand -------------------------------------------------------------------------------------------------------------


@blueprint.get("/staff/cases/new", endpoint="new")
@requires("staff.cases")
def new() -> BaseResponse:
    """Open a case for what one saw oneself."""
    return _new({"kind": "", "label": "", "words": "", "once": show_id(acts.fresh_id())})


@blueprint.post("/staff/cases/new", endpoint="create")
@requires("staff.cases")
def create() -> BaseResponse:
    """Open it."""
    form = {name: request.form.get(name, "") for name in ("kind", "label", "words", "once")}
    try:
        with staff_transaction():
            made = acts.open_by_hand(
                master_keys(),
                g.viewer.account_id,
                read_id(form["once"]),
                form["kind"],
                form["label"],
                form["words"],
            )
    except Refused as refusal:
        return _new(form, str(refusal))
    return redirect(url_for("cases.case", case=made), 303)


def _new(form: Mapping[str, str], error: str = "") -> BaseResponse:
    notice = Notice("alert", error) if error else None
    return staff_page(
        "case/new.html",
        title=_("New case"),
        status=422 if error else 200,
        form=form,
        words=case_words,
        notice=notice,
        max_words=acts.MAX_WORDS,
    )


# --- the first page of the staff -------------------------------------------------------------------------------------------


@panel("staff.cases")
def late(viewer: Viewer) -> Panel:
    """What is past its time, and how much waits for somebody."""
    counts = queue.counts(viewer.account_id)
    lines = [
        Waiting(
            f"{case_words.KINDS[one.kind]}: {one.label[:LABEL] or show_id(one.case_id)}",
            url_for("cases.case", case=one.case_id),
            _("overdue"),
            late=True,
        )
        for one in queue.first_late(open_secret(master_keys()))
    ]
    if counts.mine:
        words = ngettext("%(num)s case is yours", "%(num)s cases are yours", counts.mine)
        lines.append(Waiting(words, url_for("cases.index", who="me")))
    if counts.nobodys:
        words = ngettext("%(num)s case is nobody’s", "%(num)s cases are nobody’s", counts.nobodys)
        lines.append(Waiting(words, url_for("cases.index", who="nobody")))
    return Panel(
        _("Cases"), url_for("cases.index"), counts.late or counts.nobodys, lines, _("No case waits.")
    )
