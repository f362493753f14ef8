"""`/confirm`: back to a page that asked for a proof. Acts that are forms are answered where they are: see `web.confirming`."""

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from webmail.web.access import requires
from webmail.web.next_page import safe_next

blueprint = Blueprint("stepup", __name__)


@blueprint.post("/confirm", endpoint="confirm")
@requires("account")
def confirm() -> BaseResponse:
    """The proof has been looked at before this runs: go on to the page, which asks anew if there was none."""
    response = redirect(safe_next(request.form.get("next")), 303)
    response.headers["Cache-Control"] = "no-store"
    return response
