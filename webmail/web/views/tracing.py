"""Tracing mail without opening it: `/staff/tracing`, by an address or a Message-ID. A look is sent by a form, so that neither
stands in an address or a log."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask import Blueprint, current_app, g, request
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id
from webmail.errors import NotFound
from webmail.governance.access import grants, tracing
from webmail.governance.access.tracing import Trace
from webmail.governance.cases.sealing import open_secret
from webmail.keys import MasterKeys
from webmail.mail.addresses import Address, AddressError, parse_spec
from webmail.mail.list_rows import Cursor
from webmail.web import access_words
from webmail.web.access import requires
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.viewing import Notice
from webmail.web.words import gettext as _

blueprint = Blueprint("tracing", __name__)


@blueprint.get("/staff/tracing", endpoint="index")
@requires("staff.access")
def index() -> BaseResponse:
    """Whose mail, and when."""
    return _page(None, "")


@blueprint.post("/staff/tracing", endpoint="look")
@requires("staff.access")
def look() -> BaseResponse:
    """What came, left and waits for an address in some days."""
    case_id, address, problem = 0, None, ""
    with suppress(NotFound):
        case_id = read_id(request.form.get("case", ""))
    with suppress(AddressError):
        address = parse_spec(request.form.get("address", "").strip())
    try:
        since = date.fromisoformat(request.form.get("since", ""))
        until = date.fromisoformat(request.form.get("until", ""))
        cursor = Cursor.parse(request.form["c"]) if request.form.get("c") else None
    except (ValueError, NotFound):
        return _page(None, "window")
    if not case_id or address is None:
        return _page(None, "address" if case_id else "case")
    with staff_transaction():
        found = _look(address, case_id, since, until, cursor)
    problem = found.refusal
    return _page(None if problem else found, problem)


@blueprint.post("/staff/tracing/message", endpoint="look_for")
@requires("staff.access")
def look_for() -> BaseResponse:
    """Where one message came in and from where it left, by its Message-ID."""
    case_id = 0
    with suppress(NotFound):
        case_id = read_id(request.form.get("case", ""))
    if not case_id:
        return _page(None, "case")
    typed = request.form.get("message_id", "")
    with staff_transaction():
        secret = open_secret(master_keys())
        found = tracing.look_for(secret, typed, case_id=case_id, account_id=g.viewer.account_id)
    return _page(None if found.refusal else found, found.refusal)


def master_keys() -> MasterKeys:
    """The master keys of this application."""
    keys: MasterKeys = current_app.extensions["master_keys"]
    return keys


def _look(address: Address, case_id: int, since: date, until: date, cursor: Cursor | None) -> Trace:
    begin = datetime(since.year, since.month, since.day, tzinfo=UTC)
    end = datetime(until.year, until.month, until.day, tzinfo=UTC) + timedelta(days=1)
    return tracing.look(
        address,
        case_id=case_id,
        account_id=g.viewer.account_id,
        since=begin,
        until=end,
        other=request.form.get("other", ""),
        cursor=cursor,
    )


def _page(found: Trace | None, problem: str) -> BaseResponse:
    with staff_transaction():
        cases = grants.open_cases()
    today = datetime.now(UTC).date()
    context: dict[str, Any] = {
        "found": found,
        "cases": cases,
        "form": request.values,
        "today": today,
        "before": today - timedelta(days=2),
        "queue_words": {"file": _("to be filed"), "send": _("to be sent"), "submit": _("to be submitted")},
        "states": _states(),
        "words": access_words,
    }
    if problem:
        context["notice"] = Notice("alert", access_words.refusal(problem))
    return staff_page("tracing/index.html", title=_("Trace mail"), status=422 if problem else 200, **context)


def _states() -> dict[str, str]:
    return {
        "queued": _("waits"),
        "claimed": _("leaving"),
        "handed": _("leaving"),
        "sent": _("taken by the next server"),
        "deferred": _("put off"),
        "failed": _("refused"),
        "unknown": _("not known"),
        "cancelled": _("taken back"),
    }
