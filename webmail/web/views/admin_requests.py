"""Requests about privacy, for admins: `/admin/requests`. The queue by its clock; who asks; extension; answer."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, abort, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import rows
from webmail.identity import roles
from webmail.identity.viewer import Viewer
from webmail.mail.addresses import AddressError, base_local, parse_spec
from webmail.privacy.requests import asking
from webmail.privacy.requests.asking import RequestRefused
from webmail.privacy.restricting import standing, stopping
from webmail.privacy.restricting.stopping import StopRefused
from webmail.web import request_words as words
from webmail.web import stop_words
from webmail.web.access import requires
from webmail.web.staff import Panel, Waiting, panel, staff_page, staff_transaction
from webmail.web.viewing import leave, more_words
from webmail.web.views.requests import master
from webmail.web.words import gettext as _

blueprint = Blueprint("admin_requests", __name__)

more_words(
    request_entered=_l("Written down. Its clock runs from now."),
    request_changed=_l("Done, and written into the log."),
    stop_announced=_l("The person is told now. The restriction ends in seven days."),
)


@panel("admin", place="admin")
def waiting(_viewer: Viewer) -> Panel | None:
    """How many wait, and which are past their time."""
    [[count, late]] = rows(_WAITING, {})
    if not count:
        return None
    where = url_for("admin_requests.index")
    lines = [Waiting(_("%(num)s past their time", num=late), where, late=True)] if late else []
    return Panel(_("Requests about privacy"), where, int(count), lines)


@panel("admin")
def late(_viewer: Viewer) -> Panel | None:
    """What is past its time, where admins look first, too."""
    [[_count, late]] = rows(_WAITING, {})
    if not late:
        return None
    where = url_for("admin_requests.index")
    said = Waiting(_("%(num)s past their time", num=late), where, late=True)
    return Panel(_("Requests about privacy"), where, int(late), [said])


_WAITING = "SELECT count(*), count(*) FILTER (WHERE due_at < now()) FROM privacy_request WHERE state = 'open'"


@blueprint.get("/admin/requests", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """What is open, by its clock; what was answered; and a form for what came another way."""
    return _index()


@blueprint.post("/admin/requests", endpoint="enter")
@requires("admin")
def enter() -> BaseResponse:
    """Write down what came by mail, on paper, or for somebody."""
    typed = {name: request.form.get(name, "").strip() for name in ("kind", "source", "address", "words")}
    try:
        with staff_transaction():
            account_id = _person(typed["address"])
            asking.enter(
                master(),
                typed["kind"],
                typed["source"],
                typed["words"],
                by=g.viewer.account_id,
                account_id=account_id,
            )
    except RequestRefused as refusal:
        return _index(str(words.REFUSED[refusal.reason]), typed)
    leave(word="request_entered")
    return redirect(url_for("admin_requests.index"), 303)


@blueprint.get("/admin/requests/<id:asked>", endpoint="one")
@requires("admin")
def one(asked: int) -> BaseResponse:
    """One request with what can be done about it."""
    return _one(asked)


@blueprint.post("/admin/requests/<id:asked>", endpoint="act")
@requires("admin")
def act(asked: int) -> BaseResponse:
    """Say that who asks was checked, extend, answer or refuse."""
    do = ACTS.get(request.form.get("act", ""))
    if do is None:
        abort(400)
    try:
        with staff_transaction():
            asking.one(master(), asked)
            do(asked, g.viewer.account_id, request.form.get("words", ""))
    except RequestRefused as refusal:
        return _one(asked, str(words.REFUSED[refusal.reason]))
    except StopRefused as refusal:
        return _one(asked, str(stop_words.REFUSED[refusal.reason]))
    leave(word="request_changed")
    return redirect(url_for("admin_requests.one", asked=asked), 303)


@blueprint.post("/admin/requests/restrictions/<id:restriction>", endpoint="announce")
@requires("admin")
def announce(restriction: int) -> BaseResponse:
    """Say that a restriction ends in a week."""
    try:
        with staff_transaction():
            stopping.announce_end(restriction, by=g.viewer.account_id)
    except StopRefused as refusal:
        return _index(str(stop_words.REFUSED[refusal.reason]))
    leave(word="stop_announced")
    return redirect(url_for("admin_requests.index"), 303)


def _identify(number: int, by: int, said: str) -> None:
    asking.identify(number, by=by, account_id=_person(said.strip()))


def _extend(number: int, by: int, said: str) -> None:
    asking.extend(master(), number, said, by=by)


def _done(number: int, by: int, said: str) -> None:
    asking.answer(master(), number, said, refused=False, by=by)


def _refuse(number: int, by: int, said: str) -> None:
    words_of_it = f"{said.strip()}\n\n{words.COMPLAINT}" if said.strip() else ""
    asking.answer(master(), number, words_of_it, refused=True, by=by)
    stopping.refused(number, by=by)


def _restrict(number: int, by: int, why: str) -> None:
    stopping.restrict_for(number, why, stopping.SCOPES, by=by)


def _object(number: int, by: int, purpose: str) -> None:
    stopping.object_for(number, purpose, by=by)


ACTS: Mapping[str, Callable[[int, int, str], None]] = {
    "identify": _identify,
    "extend": _extend,
    "done": _done,
    "refuse": _refuse,
    "restrict": _restrict,
    "object": _object,
}


def _person(asked: str) -> int | None:
    """The owner of an address; None for none given."""
    if not asked:
        return None
    try:
        address = parse_spec(asked)
    except AddressError:
        raise RequestRefused("unknown") from None
    found = roles.find(base_local(address.local), address.domain.lower())
    if found is None:
        raise RequestRefused("unknown")
    return found.account_id


def _index(problem: str = "", typed: Mapping[str, str] | None = None) -> BaseResponse:
    with staff_transaction():
        lines, past = asking.queue(master()), asking.answered(master())
        restrictions, objections = standing.standing()
    return staff_page(
        "privacy/requests_queue.html", title=_("Requests about privacy"), status=422 if problem else 200, lines=lines, past=past,
        words=words, typed=typed or dict.fromkeys(("kind", "source", "address", "words"), ""), problem=problem, limits=asking,
        restrictions=restrictions, objections=objections, stop_words=stop_words,
    )  # fmt: skip


def _one(number: int, problem: str = "") -> BaseResponse:
    with staff_transaction():
        found = asking.one(master(), number)
        stands = _stands(found)
    context: dict[str, Any] = {"one": found, "words": words, "problem": problem, "limits": asking}
    context |= {"stands": stands, "stop_words": stop_words}
    context["purposes"] = {code: name for code, (name, _about) in stop_words.PURPOSES.items()}
    return staff_page(
        "privacy/request.html", title=str(words.KINDS[found.kind]), status=409 if problem else 200, **context
    )


def _stands(one: asking.Request) -> str:
    """What is in force because of a request, in words; "" where nothing is."""
    if one.account_id is None:
        return ""
    held = standing.restriction(one.account_id)
    if held is not None and held.request_id == one.request_id:
        return str(_("In force: the person’s data is only kept."))
    for against in standing.objections(one.account_id):
        if against.request_id == one.request_id and against.state in stop_words.STATES:
            return f"{stop_words.PURPOSES[against.purpose][0]}: {stop_words.STATES[against.state]}"
    return ""
