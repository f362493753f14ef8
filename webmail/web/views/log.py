"""The audit log: `/staff/log` for those who check on others, and its signed root at `/privacy/log` for everybody."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, Response, g, request, url_for
from flask_babel import get_timezone
from sqlalchemy import text
from werkzeug.wrappers import Response as BaseResponse

from webmail import audit
from webmail.db import db, read_id, show_id, transaction
from webmail.errors import NotFound
from webmail.web import downloads
from webmail.web.access import requires
from webmail.web.log_words import actor_words, fact_words, id_words, is_id, kind_words
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.words import gettext as _

blueprint = Blueprint("log", __name__)
LINES = 50
_MAX_NUMBER = 2**53


@blueprint.get("/staff/log", endpoint="index")
@requires("staff.log")
def index() -> BaseResponse:
    """A page of the log, newest first, as far as this viewer's roles may see it."""
    asked, problem = _asked()
    filters = _filters(asked)
    with staff_transaction():
        lines = audit.page(filters, before=_number("before"), limit=LINES + 1)
        names, state = _names(lines), audit.state()
    older = {**asked, "before": str(lines[LINES - 1].number)} if len(lines) > LINES else None
    return staff_page(
        "staff/log/index.html",
        title=_("Log"),
        lines=[_shown(line, names) for line in lines[:LINES]],
        kinds=[(kind, kind_words(kind)) for kind in _readable()],
        asked=asked,
        state=state,
        problem=problem,
        older=_address(older) if older else None,
        newer=_address(asked) if "before" in request.args else None,
    )


@blueprint.get("/staff/log/<int:number>", endpoint="event")
@requires("staff.log")
def event(number: int) -> BaseResponse:
    """One event with its hashes, and whether it is signed."""
    with staff_transaction():
        line = _line(number)
        names, state = _names([line]), audit.state()
    return staff_page(
        "staff/log/event.html",
        title=_("Event %(number)s", number=number),
        line=_shown(line, names),
        leaf=line.leaf.hex(),
        state=state,
    )


@blueprint.get("/staff/log/<int:number>/proof", endpoint="proof")
@requires("staff.log")
def proof(number: int) -> BaseResponse:
    """A proof of one event, as a file that holds without us."""
    with staff_transaction():
        _line(number)
        made = audit.proof(number)
    if made is None:
        raise NotFound("proof")
    return downloads.attachment(f"event-{number}.tlog-proof", "text/plain", made.encode())


@blueprint.get("/privacy/log", endpoint="signed")
def signed() -> BaseResponse:
    """The log's last signed root and the key that signed it: for whoever wants to hold us to it later."""
    with transaction():
        key, note = audit.verifier(), audit.last_checkpoint()
    body = f"{note or ''}\n{key or ''}\n" if note else "\n"
    response = Response(body, content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "public, max-age=60"
    return response


# --- what was asked ------------------------------------------------------------------------------------------------------


def _address(values: Mapping[str, Any]) -> str:
    return url_for("log.index", **values)


def _readable() -> list[str]:
    kinds = audit.read_by(g.viewer.roles)
    return sorted(audit.KINDS) if kinds is None else kinds


def _asked() -> tuple[dict[str, str], str]:
    """The filters of the address that make sense, and what to say of the first that does not."""
    asked, problem = {}, ""
    for name in ("kind", "actor", "case", "from", "to"):
        value = request.args.get(name, "").strip()[:200]
        if not value:
            continue
        try:
            _CHECKS[name](value)
        except (ValueError, NotFound):
            problem = problem or _("“%(value)s” is not what this filter takes.", value=value)
            continue
        asked[name] = value
    return asked, problem


def _known(kind: str) -> str:
    if kind not in _readable():
        raise ValueError("unknown kind")
    return kind


def _printable(actor: str) -> None:
    if not actor.isprintable():
        raise ValueError("no actor")


_CHECKS: Mapping[str, Callable[[str], object]] = {
    "kind": _known,
    "actor": _printable,
    "case": read_id,
    "from": date.fromisoformat,
    "to": date.fromisoformat,
}


def _filters(asked: Mapping[str, str]) -> audit.Filters:
    actor = asked.get("actor", "")
    with suppress(NotFound):  # an account's id as pages show it; else an actor as the log has it
        actor = f"account:{read_id(actor)}"
    return audit.Filters(
        kinds=[asked["kind"]] if "kind" in asked else audit.read_by(g.viewer.roles),
        actor=actor,
        case_id=read_id(asked["case"]) if "case" in asked else None,
        since=_midnight(asked["from"]) if "from" in asked else None,
        until=_midnight(asked["to"], days=1) if "to" in asked else None,
    )


def _midnight(day: str, days: int = 0) -> datetime:
    """When the day begins on the reader's calendar, or so many days after it."""
    try:
        begins = datetime.combine(date.fromisoformat(day) + timedelta(days=days), time(), get_timezone())
        return begins.astimezone(UTC)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if days else datetime.min.replace(tzinfo=UTC)


def _number(name: str) -> int | None:
    value = request.args.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and int(value) < _MAX_NUMBER else None


# --- what is shown -------------------------------------------------------------------------------------------------------


def _line(number: int) -> audit.Line:
    found = audit.one(number, audit.read_by(g.viewer.roles)) if number < _MAX_NUMBER else None
    if found is None:
        raise NotFound("event")
    return found


def _names(lines: list[audit.Line]) -> dict[int, str]:
    """Names of colleagues among the actors: of others, the log shows ids alone."""
    actors = {line.actor.removeprefix("account:") for line in lines if line.actor.startswith("account:")}
    ids = [int(one) for one in actors if is_id(one)]
    found = db.session.execute(_COLLEAGUES, {"ids": ids}) if ids else ()
    return {row.account_id: row.name for row in found}


_COLLEAGUES = text("""
    SELECT account_id, name FROM account a
     WHERE account_id = ANY (:ids) AND EXISTS (SELECT FROM account_role r WHERE r.account_id = a.account_id)""")


def _shown(line: audit.Line, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "number": line.number,
        "at": line.at,
        "kind": line.kind,
        "words": kind_words(line.kind),
        "actor": line.actor,
        "who": actor_words(line.actor, names),
        "facts": None if line.facts is None else fact_words(line.facts),
        "case": show_id(line.case_id) if line.case_id is not None else "",
        "about": [id_words(one) for one in line.about],
        "commitments": line.commitments,
        "role": line.role,
        "is_sealed": line.is_sealed,
        "opened_at": line.opened_at,
    }
