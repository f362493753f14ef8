"""Where I am signed in: `/settings/sessions`. Ending a session takes effect with its next request."""

from flask import Blueprint, g, redirect, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import transaction
from webmail.identity import sessions
from webmail.mail import folders
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import leave, left, more_words, own_mail, page
from webmail.web.words import gettext as _

blueprint = Blueprint("sessions", __name__)

more_words(
    session_ended=_l("Signed out there."),
    sessions_ended=_l("Signed out everywhere else."),
)


@blueprint.get("/settings/sessions", endpoint="index")
@requires("account")
def index() -> BaseResponse:
    """My sessions, this one first."""
    counts = None
    if g.viewer.mailbox_id is not None:
        with own_mail() as keys:
            counts = folders.counts(keys.mailbox_id)
    with transaction():
        lines = sessions.of_viewer(g.viewer)
    context = page(_("Where you are signed in"), counts=counts, lines=lines, notice=left())
    return render("sessions/index.html", None, **context)


@blueprint.post("/settings/sessions/<id:sign_in>/end", endpoint="end")
@requires("account")
def end(sign_in: int) -> BaseResponse:
    """End one other session of mine."""
    with transaction():
        sessions.end(g.viewer, sign_in)
    leave(word="session_ended")
    return redirect(url_for("sessions.index"), 303)


@blueprint.post("/settings/sessions/end-others", endpoint="end_others")
@requires("account")
def end_others() -> BaseResponse:
    """End all of them but this one."""
    with transaction():
        sessions.end_others(g.viewer)
    leave(word="sessions_ended")
    return redirect(url_for("sessions.index"), 303)
