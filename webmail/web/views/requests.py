"""One's own requests about privacy: `/my-data/requests`. Asking for what no button does, and every answer."""

from typing import Any

from flask import Blueprint, current_app, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import transaction
from webmail.keys import MasterKeys
from webmail.privacy.requests import asking
from webmail.privacy.requests.asking import RequestRefused
from webmail.web import request_words as words
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import leave, left, more_words, page
from webmail.web.words import gettext as _

blueprint = Blueprint("requests", __name__)

more_words(request_made=_l("We have it. You will have an answer within a month, here."))


@blueprint.get("/my-data/requests", endpoint="index")
@requires("account")
def index() -> BaseResponse:
    """What was asked, how far it is, and a form."""
    return _index(kind=request.args.get("kind", ""))


@blueprint.post("/my-data/requests", endpoint="make")
@requires("account")
def make() -> BaseResponse:
    """Ask."""
    kind, said = request.form.get("kind", ""), request.form.get("words", "")
    try:
        with transaction():
            asking.make(master(), g.viewer.account_id, kind, said)
    except RequestRefused as refusal:
        return _index(str(words.REFUSED[refusal.reason]), kind, said, 422)
    leave(word="request_made", anywhere=True)
    return redirect(url_for("requests.index"), 303)


def _index(problem: str = "", kind: str = "", said: str = "", code: int = 200) -> BaseResponse:
    with transaction():
        mine = asking.of(master(), g.viewer.account_id)
    context: dict[str, Any] = {
        "mine": mine,
        "words": words,
        "kind": kind,
        "said": said,
        "problem": problem,
        "limits": asking,
        "notice": left(),
    }
    response = render("privacy/requests.html", None, **page(_("My requests"), **context))
    response.status_code = code
    return response


def master() -> MasterKeys:
    """The service's keys."""
    found: MasterKeys = current_app.extensions["master_keys"]
    return found
