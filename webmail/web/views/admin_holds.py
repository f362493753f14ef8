"""Legal holds: `/admin/holds`. Who must not be erased now, because of which case, set by whom."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id
from webmail.errors import NotFound
from webmail.identity import roles, stepup
from webmail.identity.viewer import Viewer
from webmail.mail.addresses import AddressError, base_local, parse_spec
from webmail.privacy.erasure import holds
from webmail.privacy.erasure.holds import HoldRefused
from webmail.web.access import requires
from webmail.web.confirming import name_act
from webmail.web.staff import Panel, Waiting, panel, staff_page, staff_transaction
from webmail.web.viewing import leave, more_words
from webmail.web.words import gettext as _

blueprint = Blueprint("admin_holds", __name__)

name_act("hold.set", _l("keep somebody’s data from being deleted"))
name_act("hold.end", _l("end a legal hold"))
more_words(
    hold_set=_l("It is held. Deletion waits until you end it, and the person sees that it does."),
    hold_ended=_l("Ended. What waited is deleted within minutes."),
)
_REFUSED: Mapping[str, Any] = {
    "unknown": _l("Nobody owns a mailbox with this address."),
    "no-case": _l("There is no such case."),
    "own": _l("Nobody holds, or lets go, what is their own."),
    "held": _l("This is held for this case already."),
}


@panel("admin", place="admin")
def waiting(_viewer: Viewer) -> Panel | None:
    """Deletions that only a hold keeps from happening."""
    late = [one for one in holds.listed() if one.waits]
    if not late:
        return None
    where = url_for("admin_holds.index")
    lines = [Waiting(one.name, where, _("a deletion waits")) for one in late[:5]]
    return Panel(_("Deletions that a legal hold stops"), where, len(late), lines)


@blueprint.get("/admin/holds", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """Every hold that stands, and the last that ended."""
    return _index()


@blueprint.post("/admin/holds", endpoint="hold")
@requires("admin")
def hold() -> BaseResponse:
    """Hold the owner of an address, for a case."""
    typed = {name: request.form.get(name, "").strip() for name in ("address", "case")}
    me = g.viewer.account_id
    try:
        with staff_transaction():
            account_id, case_id = _person(typed["address"]), _case(typed["case"])
            stepup.require(g.viewer, act="hold.set", target=f"{account_id}:{case_id}")
            holds.set_hold(account_id, case_id, by=me)
    except HoldRefused as refusal:
        return _index(str(_REFUSED[refusal.reason]), typed)
    leave(word="hold_set")
    return redirect(url_for("admin_holds.index"), 303)


@blueprint.post("/admin/holds/<id:hold>/end", endpoint="end")
@requires("admin")
def end(hold: int) -> BaseResponse:
    """End a hold."""
    try:
        with staff_transaction():
            stepup.require(g.viewer, act="hold.end", target=hold)
            holds.end(hold, by=g.viewer.account_id)
    except HoldRefused as refusal:
        return _index(str(_REFUSED[refusal.reason]))
    leave(word="hold_ended")
    return redirect(url_for("admin_holds.index"), 303)


def _index(problem: str = "", typed: Mapping[str, str] | None = None) -> BaseResponse:
    with staff_transaction():
        found = holds.listed()
    return staff_page(
        "privacy/holds.html",
        title=_("Legal holds"),
        status=409 if problem else 200,
        standing=[one for one in found if one.ended_at is None],
        ended=[one for one in found if one.ended_at is not None],
        typed=typed or {"address": "", "case": ""},
        problem=problem,
    )


def _person(asked: str) -> int:
    try:
        address = parse_spec(asked)
    except AddressError:
        raise HoldRefused("unknown") from None
    found = roles.find(base_local(address.local), address.domain.lower())
    if found is None:
        raise HoldRefused("unknown")
    return found.account_id


def _case(asked: str) -> int:
    try:
        return read_id(asked)
    except NotFound:
        raise HoldRefused("no-case") from None
