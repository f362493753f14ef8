"""Correcting name and contact address: `/my-data/correct`. Clerk has both; what is changed there comes here by webhook (P01)."""

import logging
from typing import Any

from flask import Blueprint, current_app, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail import audit
from webmail.db import transaction
from webmail.identity.clerk.transport import BackendError, BackendRefused
from webmail.identity.clerk.webhooks import MAX_NAME
from webmail.mail.charsets import clean_name
from webmail.web.access import requires
from webmail.web.gate import Gate
from webmail.web.htmx import render
from webmail.web.viewing import leave, left, more_words, page
from webmail.web.words import gettext as _

log = logging.getLogger(__name__)
blueprint = Blueprint("correcting", __name__)

more_words(name_corrected=_l("Clerk has your new name. It shows here in a moment."))


@blueprint.get("/my-data/correct", endpoint="index")
@requires("account")
def index() -> BaseResponse:
    """Name and contact address as they are here, and the ways to change them."""
    return _index("", 200)


@blueprint.post("/my-data/correct", endpoint="name")
@requires("account")
def name() -> BaseResponse:
    """Have Clerk change the name."""
    wanted = clean_name(request.form.get("name", ""))
    if not wanted or len(wanted) > MAX_NAME:
        return _index(_("Write a name of up to %(num)s characters.", num=MAX_NAME), 422)
    first, _space, last = wanted.rpartition(" ")
    changes = {"first_name": first or last, "last_name": last if first else ""}
    gate: Gate = current_app.extensions["auth"]
    try:
        gate.clerk.backend.update_user(g.viewer.user_id, changes)
    except BackendRefused:
        return _index(_("Clerk does not take this name. Try another one."), 422)
    except BackendError as error:
        log.warning("name not changed", extra={"account": g.viewer.account_id, "error": error.code})
        return _index(_("Clerk does not answer now. Nothing was changed; try again in a minute."), 503)
    with transaction():
        audit.record("account.name_changed", f"account:{g.viewer.account_id}", about=g.viewer.account_id)
    leave(word="name_corrected", anywhere=True)
    return redirect(url_for("correcting.index"), 303)


def _index(problem: str, status: int) -> BaseResponse:
    gate: Gate = current_app.extensions["auth"]
    portal = gate.settings.sign_in_url
    context: dict[str, Any] = {
        "problem": problem,
        "typed": request.form.get("name", "") if problem else g.viewer.name,
        # Beside the hosted sign-in page stands the hosted profile page; of an own one nobody knows.
        "profile": f"{portal.removesuffix('/sign-in')}/user" if portal.endswith("/sign-in") else "",
        "limit": MAX_NAME,
        "notice": left(),
    }
    response = render("privacy/correct.html", None, **page(_("Correct my data"), **context))
    response.status_code = status
    return response
