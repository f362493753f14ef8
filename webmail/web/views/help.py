"""Help pages."""

from typing import Any

from flask import Blueprint, g
from werkzeug.wrappers import Response as BaseResponse

from webmail.mail import folders
from webmail.version import own_version
from webmail.web import changes, shortcuts
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import own_mail, page
from webmail.web.words import gettext as _

blueprint = Blueprint("help", __name__)


@blueprint.get("/help/keyboard", endpoint="keyboard")
@requires("mail")
def keyboard() -> BaseResponse:
    """What the keyboard does: for everybody, and with the reader's own shortcuts."""
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
    mine = dict(g.viewer.preferences.keys)
    shown = {name: shortcuts.show(key) for name, key in (mine or shortcuts.DEFAULTS).items()}
    context: dict[str, Any] = {"groups": shortcuts.GROUPS, "keys": shown, "is_on": bool(mine)}
    return render("help/keyboard.html", None, **page(_("Keyboard"), counts=counts, **context))


@blueprint.get("/help/changes", endpoint="changes")
@requires("mail")
def changes_page() -> BaseResponse:
    """Which version this is, and what changed."""
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
    context: dict[str, Any] = {"version": own_version(), "releases": changes.releases()}
    return render("help/changes.html", None, **page(_("What changed"), counts=counts, **context))
