"""People, for the staff: `/staff/people`. A search is sent by a form, so that no name or address stands in an address or a log."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, current_app, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail import audit
from webmail.db import transaction
from webmail.errors import Refused
from webmail.governance.actions import reading
from webmail.keys import MasterKeys
from webmail.operations import people
from webmail.privacy.restricting import standing
from webmail.web import action_words, case_words, people_words, stop_words
from webmail.web.access import may, requires
from webmail.web.htmx import render
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.viewing import Notice, leave, left, more_words, page
from webmail.web.words import gettext as _

blueprint = Blueprint("people", __name__)
more_words(person_noted=_l("Noted."), person_unnoted=_l("The note is gone."))


def _master() -> MasterKeys:
    keys: MasterKeys = current_app.extensions["master_keys"]
    return keys


@blueprint.get("/staff/people", endpoint="index")
@requires("staff.people")
def index() -> BaseResponse:
    """Whom do you look for?"""
    return _search(people.Answer(), "")


@blueprint.post("/staff/people", endpoint="find")
@requires("staff.people")
def find() -> BaseResponse:
    """Look, and have that written down; one person alone is shown at once."""
    typed = request.form.get("who", "")
    with staff_transaction():
        answer = people.find(typed, by=g.viewer.account_id)
    if len(answer.found) == 1:
        return redirect(url_for("people.person", account=answer.found[0].account_id), 303)
    return _search(answer, typed)


def _search(answer: people.Answer, typed: str) -> BaseResponse:
    context: dict[str, Any] = {"answer": answer, "typed": typed, "words": people_words}
    if answer.refusal:
        context["notice"] = Notice("alert", people_words.refusal(answer.refusal))
    status = 429 if answer.refusal == "too-many" else 422 if answer.refusal else 200
    return staff_page("people/index.html", title=_("People"), status=status, **context)


@blueprint.get("/staff/people/<id:account>", endpoint="person")
@requires("staff.people")
def person(account: int) -> BaseResponse:
    """Somebody, without anything of his mail; that he was looked at is written down."""
    return _person(account)


def _person(account: int, problem: str = "", typed: str = "") -> BaseResponse:
    with staff_transaction():
        found = people.show(_master(), account, by=g.viewer.account_id)
        actions = reading.of_account(account)
        refusal = reading.person(account, by=g.viewer.account_id).refusal
        restriction = standing.restriction(account)
        objections = [one for one in standing.objections(account) if one.state in ("weighed", "upheld")]
    today = datetime.now(UTC).date()
    context: dict[str, Any] = {
        "one": found,
        "open_cases": [case for case in found.cases if case.state != "closed"],
        "listed": actions,
        "strikes": reading.strikes(actions),
        "refusal": refusal,
        "restriction": restriction,
        "objections": objections,
        "stop_words": stop_words,
        "is_lead": bool(g.viewer.roles & {"support_lead", "admin"}),
        "may_trace": may(g.viewer, "staff.access"),
        "may_open_cases": may(g.viewer, "staff.cases"),
        "today": today,
        "before": today - timedelta(days=2),
        "typed": typed,
        "words": people_words,
        "action_words": action_words,
        "case_words": case_words,
    }
    if problem:
        context["notice"] = Notice("alert", people_words.refusal(problem))
    title = found.name or _("Somebody without a name")
    return staff_page("people/person.html", title=title, status=422 if problem else 200, **context)


@blueprint.post("/staff/people/<id:account>/notes", endpoint="note")
@requires("staff.people")
def note(account: int) -> BaseResponse:
    """Note something about somebody."""
    words = request.form.get("words", "")
    try:
        with staff_transaction():
            people.note(_master(), account, words, by=g.viewer.account_id)
    except Refused as refusal:
        return _person(account, str(refusal), words)
    leave(word="person_noted")
    return redirect(url_for("people.person", account=account), 303)


@blueprint.post("/staff/people/<id:account>/notes/<id:note>/drop", endpoint="unnote")
@requires("staff.people")
def unnote(account: int, note: int) -> BaseResponse:
    """Drop a note."""
    try:
        with staff_transaction():
            people.unnote(account, note, by=g.viewer.account_id)
    except Refused as refusal:
        return _person(account, str(refusal))
    leave(word="person_unnoted")
    return redirect(url_for("people.person", account=account), 303)


# --- for whom it is about ------------------------------------------------------------------------------------------------

_READ = 500
"""So many of the latest events about somebody are gone through."""


@blueprint.get("/access-log/looks", endpoint="mine")
@requires("account")
def mine() -> BaseResponse:
    """When our staff looked me up: told by my own part of the audit log."""
    with transaction():
        events = audit.about(g.viewer.account_id, limit=_READ)
    looks = [one for one in events if one.kind in people_words.LOOKS][:50]
    return render(
        "people/mine.html",
        None,
        **page(_("When our staff looked you up"), looks=looks, words=people_words.LOOKS, notice=left()),
    )
