"""What the staff holds of my mail: `/held`. The line of each message, why, until when, and how to object; nothing is opened."""

from flask import Blueprint, g
from werkzeug.wrappers import Response as BaseResponse

from webmail.governance.quarantine import reading
from webmail.mail import folders
from webmail.web import action_words
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import FOLDER_NAMES, left, own_mail, page
from webmail.web.words import gettext as _

blueprint = Blueprint("held", __name__)


@blueprint.get("/held", endpoint="index")
@requires("mail")
def index() -> BaseResponse:
    """Everything of this mailbox that is held now, newest first."""
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        found = reading.held_here(keys, g.viewer.account_id)
    context = page(
        _("Held by our staff"),
        counts=counts,
        held=found,
        rules=action_words.RULES,
        folder_names=FOLDER_NAMES,
        notice=left(),
    )
    return render("quarantine/held.html", None, **context)
