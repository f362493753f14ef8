"""People to write to, while a name is typed: `/contacts/suggest`."""

from flask import jsonify, request
from werkzeug.wrappers import Response as BaseResponse

from webmail.mail import contacts
from webmail.web.access import requires
from webmail.web.composer import blueprint
from webmail.web.viewing import own_mail

__all__ = ["blueprint"]


@blueprint.get("/contacts/suggest", endpoint="suggest")
@requires("mail")
def suggest() -> BaseResponse:
    """At most eight people or groups for what was typed (`q`), as a list of what goes into the field."""
    typed = request.args.get("q", "").strip()[:200]
    with own_mail() as keys:
        found = contacts.suggest(keys, typed)
    return jsonify([one.text for one in found])
