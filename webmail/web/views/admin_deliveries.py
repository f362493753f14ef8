"""How mail that leaves is taken, for admins: by receiving domain, why not, over which TLS, and how long it took. Numbers alone."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, request
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.operations import deliveries
from webmail.web.access import requires
from webmail.web.charts import bars
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.words import gettext as _

blueprint = Blueprint("admin_deliveries", __name__)

WAITS: Mapping[str, Any] = {
    "m1": _l("up to a minute"),
    "m15": _l("up to 15 minutes"),
    "h1": _l("up to an hour"),
    "h4": _l("up to 4 hours"),
    "d1": _l("up to a day"),
    "more": _l("more than a day"),
}
SUBJECTS: Mapping[str, Any] = {
    "0": _l("no more was said"),
    "1": _l("the address"),
    "2": _l("the mailbox"),
    "3": _l("the receiving system"),
    "4": _l("the network and routing"),
    "5": _l("the protocol"),
    "6": _l("the content"),
    "7": _l("security or policy"),
}
"""What an enhanced status code is about, by its second number (RFC 3463 section 3)."""
KINDS: Mapping[str, Any] = {
    "failed": _l("refused"),
    "bounced": _l("came back"),
    "deferred": _l("put off"),
}


@blueprint.get("/admin/deliveries", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """The numbers of the last days."""
    asked = request.args.get("days", "30")
    if asked not in [str(span) for span in deliveries.SPANS]:
        abort(404)
    with staff_transaction():
        health = deliveries.health(int(asked))
        waiting = deliveries.waiting()
    days = health.days
    charts = {
        "handed": bars([one.handed for one in days], _("Handed over each day")),
        "lost": bars([one.failed + one.bounced for one in days], _("Refused or came back each day")),
        "deferred": bars([one.deferred for one in days], _("Put off each day")),
    }
    return staff_page(
        "admin/deliveries/index.html",
        title=_("Deliveries"),
        span=int(asked),
        spans=deliveries.SPANS,
        health=health,
        waits_now=waiting,
        charts=charts,
        shown=[
            one
            for one in reversed(days)
            if any((one.handed, one.failed, one.bounced, one.deferred, one.complaints))
        ],
        waits=WAITS,
        kinds=KINDS,
        subject_of=_subject,
        percent=_percent,
        few=deliveries.FEW,
    )


def _subject(detail: str) -> str:
    """What a class of status codes is about: `5.1` is the address."""
    return str(SUBJECTS.get(detail.partition(".")[2], SUBJECTS["0"]))


def _percent(share: float | None) -> str:
    """A share as percent; never 100 where something is missing."""
    if share is None:
        return "\u2013"
    return "100 %" if share == 1 else f"{min(share * 100, 99.9):.1f} %"
