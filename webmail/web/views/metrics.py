"""How the service runs, in numbers and small charts: `/admin/metrics`. Nobody's mail, name or address is in any of them."""

from flask import Blueprint, request
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail import samples
from webmail.errors import NotFound
from webmail.web.access import requires
from webmail.web.charts import bars
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.words import gettext as _

blueprint = Blueprint("metrics", __name__)

SPANS = {"day": _l("24 hours"), "week": _l("7 days"), "fortnight": _l("14 days")}
GROUPS = (
    (_l("Requests by answer"), "http_requests_total", _l("requests")),
    (_l("Bytes sent to readers"), "http_response_bytes_total", _l("bytes")),
    (_l("Mail that left, by outcome"), "deliveries_total", _l("copies")),
    (_l("Work that waits, by kind"), "queue_waiting", _l("pieces")),
    (_l("How long the oldest work waited"), "queue_oldest_seconds", _l("seconds")),
    (_l("Work set aside"), "queue_parked", _l("pieces")),
    (_l("How late schedules were"), "schedule_late_seconds", _l("seconds")),
    (_l("Age of the last signed checkpoint"), "audit_checkpoint_age_seconds", _l("seconds")),
    (_l("Age of the last good backup"), "backup_age_seconds", _l("seconds")),
    (_l("Size of the database"), "database_bytes", _l("bytes")),
)


@blueprint.get("/admin/metrics", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """Everything that was written down in the last day, week or fortnight."""
    span = next((one for one in samples.SPANS if one.code == request.args.get("span", "day")), None)
    if span is None:
        raise NotFound("span")
    with staff_transaction():
        told = samples.history([name for _words, name, _unit in GROUPS], span)
    groups = [(words, unit, _charts(told, name, str(words))) for words, name, unit in GROUPS]
    return staff_page(
        "admin/metrics.html", title=_("How the service runs"), groups=groups, spans=SPANS, span=span.code
    )


def _charts(
    told: dict[tuple[str, str], list[float]], name: str, words: str
) -> list[tuple[str, object, int, int]]:
    """Label, chart, most and last of each series that ever was more than nothing."""
    return [
        (
            label,
            bars([round(one) for one in values], f"{words} {label}".strip()),
            round(max(values)),
            round(values[-1]),
        )
        for (known, label), values in told.items()
        if known == name and any(values)
    ]
