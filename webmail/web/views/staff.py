"""The first pages of the staff: `/staff`, what waits for me; `/admin`, the service."""

from flask import Blueprint, g
from werkzeug.wrappers import Response as BaseResponse

from webmail.web.access import requires
from webmail.web.staff import staff_page, staff_transaction, waiting_for
from webmail.web.words import gettext as _

blueprint = Blueprint("staff", __name__)


@blueprint.get("/staff", endpoint="index")
@requires("staff")
def index() -> BaseResponse:
    """What waits for me."""
    return _first_page("staff", _("Waiting for you"))


@blueprint.get("/admin", endpoint="admin")
@requires("admin")
def admin() -> BaseResponse:
    """The service, and what in it wants an admin."""
    return _first_page("admin", _("Service"))


def _first_page(place: str, title: str) -> BaseResponse:
    with staff_transaction():
        found = waiting_for(g.viewer, place)
    counts = {one.href: one.count for one in found}
    return staff_page("staff/index.html", title=title, panels=found, waiting=counts)
