"""The relays that mail leaves through, for admins: which there are, and a test mail through each with all that was said."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, current_app, g, redirect, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.config import Settings
from webmail.errors import Refused
from webmail.sending import trials
from webmail.sending.relay import RelaySettings
from webmail.web.access import requires
from webmail.web.staff import actor, staff_page, staff_transaction
from webmail.web.words import gettext as _

blueprint = Blueprint("admin_relay", __name__)

OUTCOMES: Mapping[str, Any] = {
    "": _l("under way"),
    "sent": _l("taken"),
    "deferred": _l("not taken now"),
    "failed": _l("refused"),
    "unknown": _l("no answer"),
    "no-relay": _l("there is no relay: the workers have no MTUMAIL_RELAY_URL"),
}
SPEAKERS: Mapping[str, Any] = {"C": _l("We"), "S": _l("Relay"), "-": ""}


@blueprint.get("/admin/relay", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """Which relays there are, and the last trials."""
    return _index("", 200)


def _index(alarm: str, status: int) -> BaseResponse:
    settings: Settings = current_app.extensions["settings"]
    relays = RelaySettings.for_host(settings.relay_url, settings.host_name) if settings.relay_url else ()
    with staff_transaction():
        past = trials.last()
    return staff_page(
        "admin/relay/index.html", title=_("Relays"), status=status, relays=relays, past=past, alarm=alarm,
        outcomes=OUTCOMES, address=g.viewer.contact,
    )  # fmt: skip


@blueprint.post("/admin/relay", endpoint="ask")
@requires("admin")
def ask() -> BaseResponse:
    """Have each relay tried with a small mail to my own contact address."""
    if not g.viewer.contact:
        return _index(_("Your account has no contact address at Clerk, so there is nowhere to send to."), 422)
    try:
        with staff_transaction():
            trial_id = trials.ask(g.viewer.account_id, actor=actor())
    except Refused:
        return _index(_("There were very many trials in the last hour. Please wait a little."), 429)
    return redirect(url_for("admin_relay.one", trial=trial_id), 303)


@blueprint.get("/admin/relay/<id:trial>", endpoint="one")
@requires("admin")
def one(trial: int) -> BaseResponse:
    """A trial with the whole conversation."""
    with staff_transaction():
        told = trials.one(trial)
    return staff_page(
        "admin/relay/one.html",
        "admin/relay/_trial.html",
        title=_("Test mail"),
        told=told,
        outcomes=OUTCOMES,
        speakers=SPEAKERS,
    )
