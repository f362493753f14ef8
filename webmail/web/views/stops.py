"""Having one's data only kept, and objecting to a use of it: `/my-data/stops`. In force with the press of the button."""

from typing import Any

from flask import Blueprint, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, transaction
from webmail.privacy.requests import asking
from webmail.privacy.requests.asking import RequestRefused
from webmail.privacy.restricting import standing, stopping
from webmail.privacy.restricting.stopping import StopRefused
from webmail.web import request_words, stop_words
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import leave, left, more_words, page
from webmail.web.views.requests import master
from webmail.web.words import gettext as _

blueprint = Blueprint("stops", __name__)

more_words(
    stopped=_l("It has stopped. We look at what you wrote, and answer within a month, here."),
    stop_ended=_l("It goes on as before."),
    objected=_l("We have your objection, and answer within a month. What can stop has stopped."),
    objection_withdrawn=_l("Your objection is taken back."),
)


@blueprint.get("/my-data/stops", endpoint="index")
@requires("account")
def index() -> BaseResponse:
    """What is stopped, what is objected to, and the forms for both."""
    return _index()


@blueprint.post("/my-data/stops", endpoint="restrict")
@requires("account")
def restrict() -> BaseResponse:
    """Have one's data only kept."""
    form = request.form
    try:
        with transaction():
            scopes = form.getlist("scope")
            stopping.restrict(
                master(), g.viewer.account_id, form.get("why", ""), scopes, form.get("words", "")
            )
    except StopRefused as refusal:
        return _index(str(stop_words.REFUSED[refusal.reason]))
    except RequestRefused as refusal:
        return _index(str(request_words.REFUSED[refusal.reason]))
    leave(word="stopped", anywhere=True)
    return redirect(url_for("stops.index"), 303)


@blueprint.post("/my-data/stops/end", endpoint="unrestrict")
@requires("account")
def unrestrict() -> BaseResponse:
    """Let it go on."""
    with transaction():
        stopping.unrestrict(g.viewer.account_id)
    leave(word="stop_ended", anywhere=True)
    return redirect(url_for("stops.index"), 303)


@blueprint.post("/my-data/stops/objections", endpoint="object_to")
@requires("account")
def object_to() -> BaseResponse:
    """Object to a purpose."""
    form = request.form
    try:
        with transaction():
            stopping.object_to(master(), g.viewer.account_id, form.get("purpose", ""), form.get("words", ""))
    except StopRefused as refusal:
        return _index(str(stop_words.REFUSED[refusal.reason]))
    except RequestRefused as refusal:
        return _index(str(request_words.REFUSED[refusal.reason]))
    leave(word="objected", anywhere=True)
    return redirect(url_for("stops.index"), 303)


@blueprint.post("/my-data/stops/objections/withdraw", endpoint="withdraw")
@requires("account")
def withdraw() -> BaseResponse:
    """Take an objection back."""
    with transaction():
        stopping.withdraw(g.viewer.account_id, read_id(request.form.get("objection", "")))
    leave(word="objection_withdrawn", anywhere=True)
    return redirect(url_for("stops.index"), 303)


def _index(problem: str = "") -> BaseResponse:
    with transaction():
        restriction = standing.restriction(g.viewer.account_id)
        objections = standing.objections(g.viewer.account_id)
    taken = {one.purpose for one in objections if one.state in ("weighed", "upheld")}
    typed = request.form if problem else {}
    context: dict[str, Any] = {
        "restriction": restriction,
        "objections": objections,
        "free": [code for code in stop_words.PURPOSES if code not in taken],
        "words": stop_words,
        "limits": asking,
        "problem": problem,
        "typed": {"at": request.endpoint}
        | {name: typed.get(name, "") for name in ("why", "words", "purpose")},
        "chosen": request.form.getlist("scope") if problem else list(stop_words.SCOPES),
        "notice": left(),
    }
    response = render("privacy/stops.html", None, **page(_("Stop a use of my data"), **context))
    response.status_code = 422 if problem else 200
    return response
