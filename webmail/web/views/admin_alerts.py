"""Alerts, for admins: `/admin/alerts`. What is wrong and since when, what was, who was told how; acknowledging, and a trial."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, abort, current_app, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail import jobs
from webmail.config import Settings
from webmail.errors import Refused
from webmail.identity.viewer import Viewer
from webmail.operations import alerts, alerts_telling
from webmail.operations.alerts_telling import MAIL, WEBHOOK
from webmail.settings import kept
from webmail.web import alert_words
from webmail.web.access import requires
from webmail.web.staff import Panel, Waiting, actor, panel, staff_page, staff_transaction
from webmail.web.viewing import Notice, leave, more_words
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

blueprint = Blueprint("admin_alerts", __name__)
more_words(
    alert_muted=_l("Acknowledged: it is not told again for a day."),
    alert_tried=_l("A trial is under way. Look at the list below in a few seconds."),
)
PAGE = 50
FIRST = 5


@blueprint.get("/admin/alerts", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """What is wrong now, and what was."""
    return _index("", 200)


def _index(alarm: str, status: int) -> BaseResponse:
    below = request.args.get("c", "")
    if below and not (below.isascii() and below.isdigit() and len(below) < 19):
        abort(404)
    settings: Settings = current_app.extensions["settings"]
    with staff_transaction():
        lasting, past = alerts.lasting(), alerts.past(int(below) if below else None, PAGE + 1)
        looked_at, told = alerts.looked_at(), alerts_telling.last()
        address = kept.text("alerts.mail_to") or kept.text("service.contact")
        context: dict[str, Any] = {
            "by_mail": kept.is_on("alerts.mail"),
            "address": address if "@" in address else "",
            "has_secret": bool(kept.value("alerts.webhook_secret")),
        }
    if alarm:
        context["notice"] = Notice("alert", alarm)
    return staff_page(
        "admin/alerts/index.html",
        title=_("Alerts"),
        status=status,
        lasting=lasting,
        past=past[:PAGE],
        older=past[PAGE - 1].alert_id if len(past) > PAGE else None,
        first=not below,
        looked_at=looked_at,
        is_blind=_is_blind(looked_at),
        told=told,
        hook=settings.alert_webhook,
        words=alert_words,
        now_utc=datetime.now(UTC),
        **context,
    )


def _is_blind(looked_at: datetime | None) -> bool:
    return looked_at is None or datetime.now(UTC) - looked_at > alerts.LATE


@blueprint.post("/admin/alerts", endpoint="mute")
@requires("admin")
def mute() -> BaseResponse:
    """Say that I know of it: for a day it is not told again."""
    number = request.form.get("alert", "")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        abort(404)
    with staff_transaction():
        alerts.mute(int(number), g.viewer.account_id)
    leave(word="alert_muted")
    return redirect(url_for("admin_alerts.index"), 303)


@blueprint.post("/admin/alerts/trial", endpoint="trial")
@requires("admin")
def trial() -> BaseResponse:
    """Have a trial told by mail and by the webhook, whichever are asked for."""
    ways = [way for way in (MAIL, WEBHOOK) if way in request.form.getlist("way")]
    if not ways:
        return _index(_("Choose how: by mail, by the webhook, or both."), 422)
    try:
        with staff_transaction():
            alerts_telling.trial(ways, actor=actor())
            jobs.ring_after_commit(jobs.ALERT)
    except Refused:
        return _index(_("There were very many trials in the last hour. Please wait a little."), 429)
    leave(word="alert_tried")
    return redirect(url_for("admin_alerts.index"), 303)


# --- on the first page ---------------------------------------------------------------------------------------------------


@panel("admin", place="admin")
def wrong(_viewer: Viewer) -> Panel | None:
    """What is wrong now; and loud where nobody looks."""
    lasting, blind = alerts.lasting(), _is_blind(alerts.looked_at())
    lines = [
        Waiting(
            alert_words.sentence(one.code, one.label, one.value),
            alert_words.where(one.code),
            _("acknowledged") if one.muted_until and one.muted_until > datetime.now(UTC) else "",
            late=True,
        )
        for one in lasting[:FIRST]
    ]
    if len(lasting) > FIRST:
        more = len(lasting) - FIRST
        lines.append(Waiting(ngettext("%(num)s more", "%(num)s more", more), url_for("admin_alerts.index")))
    if blind:
        lines.insert(
            0,
            Waiting(
                _("Nobody has looked whether all is well: are the workers up?"), "/admin/queues", late=True
            ),
        )
    return Panel(_("Alerts"), url_for("admin_alerts.index"), len(lasting), lines, _("All is well."))
