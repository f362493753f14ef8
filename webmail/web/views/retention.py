"""How long things live: for admins the schedules and what they remove; for people, folders that empty themselves."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, abort, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail import audit, schedules
from webmail.mail import folders
from webmail.privacy import retention
from webmail.settings import declared
from webmail.web import setting_words
from webmail.web.access import requires
from webmail.web.charts import bars
from webmail.web.htmx import render
from webmail.web.staff import actor, staff_page, staff_transaction
from webmail.web.viewing import leave, left, own_mail, page
from webmail.web.words import gettext as _

blueprint = Blueprint("retention", __name__)

SCHEDULES = {
    schedules.RETENTION: _l("Remove what is too old"),
    schedules.EMPTYING: _l("Empty folders whose owners want it"),
    schedules.ERASING: _l("Erase accounts and mailboxes whose time to undo is over"),
    schedules.ACTIONS: _l("End what the staff did for a time, and send notices"),
    schedules.BACKUP: _l("Make the daily backup"),
    schedules.JOURNAL: _l("Write the journal beside the backups"),
    schedules.DRILL: _l("Drill a restore, monthly"),
    schedules.METRICS: _l("Write down how the service runs, in numbers"),
    schedules.SECRETS: _l("Look whether secrets of the workers were changed"),
    schedules.DOMAINS: _l("Look at the records of domains in DNS"),
    schedules.DELIVERIES: _l("Count how mail that left was taken"),
}
OUTCOMES = {"": _l("not run yet"), "done": _l("done"), "failed": _l("failed; it is tried again")}


@blueprint.get("/admin/retention", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """Every schedule with its last and next run, and every rule with what it removed."""
    with staff_transaction():
        times = schedules.listed()
        rules = [
            (retention.preview_without_count(rule), retention.past(rule.code)) for rule in retention.RULES
        ]
    charts = {
        told.rule.code: bars([run.removed for run in reversed(past)], _("Removed by each run"))
        for told, past in rules
    }
    return staff_page(
        "admin/retention/index.html",
        title=_("How long things are kept"),
        times=times,
        rules=rules,
        charts=charts,
        schedule_words=SCHEDULES,
        outcomes=OUTCOMES,
        words=setting_words.WORDS,
        value_words=setting_words.value_words,
        declared=declared.SETTINGS,
    )


@blueprint.get("/admin/retention/<rule>", endpoint="rule")
@requires("admin")
def rule_page(rule: str) -> BaseResponse:
    """What a rule would remove now, and what it has removed."""
    known = retention.find(rule)
    if known is None:
        abort(404)
    with staff_transaction():
        told, past = retention.preview(known), retention.past(rule, 100)
    words = setting_words.WORDS[known.setting]
    return staff_page(
        "admin/retention/rule.html", title=str(words.name), told=told, past=past, words=words,
        setting=declared.SETTINGS[known.setting], value_words=setting_words.value_words,
    )  # fmt: skip


@blueprint.post("/admin/retention", endpoint="run")
@requires("admin")
def run_now() -> BaseResponse:
    """Have a schedule run now."""
    code = request.form.get("schedule", "")
    if code not in schedules.PERIODS:
        abort(404)
    with staff_transaction():
        schedules.soon(code)
        audit.record("schedule.asked", actor(), schedule=code)
    leave(word="schedule")
    return redirect(url_for("retention.index"), 303)


# --- folders that empty themselves ----------------------------------------------------------------------------------------

DAYS: Sequence[tuple[str, Any]] = (
    ("", _l("Never")),
    ("7", _l("after 7 days")),
    ("30", _l("after 30 days")),
    ("90", _l("after 90 days")),
    ("365", _l("after a year")),
)


@blueprint.get("/settings/emptying", endpoint="emptying")
@requires("mail")
def emptying() -> BaseResponse:
    """Whether Trash and Junk empty themselves."""
    return _emptying("", 200)


@blueprint.post("/settings/emptying", endpoint="save_emptying")
@requires("mail")
def save_emptying() -> BaseResponse:
    """Have Trash and Junk empty themselves, or not."""
    given = {kind: request.form[kind] for kind in ("trash", "junk") if kind in request.form}
    if not given or any(days not in dict(DAYS) for days in given.values()):
        return _emptying(_("There is no such choice. Choose one of these; nothing was saved yet."), 422)
    with own_mail() as keys:
        for kind, days in given.items():
            retention.set_keep_days(keys.mailbox_id, kind, int(days) if days else None)
    leave(word="settings")
    return redirect(url_for("retention.emptying"), 303)


def _emptying(alarm: str, status: int) -> BaseResponse:
    with own_mail() as keys:
        kept, counts = retention.keep_days(keys.mailbox_id), folders.counts(keys.mailbox_id)
    chosen = {kind: str(days) if days else "" for kind, days in kept.items()}
    context: dict[str, Any] = {"chosen": chosen, "days": DAYS, "alarm": alarm, "notice": left()}
    response = render(
        "settings/emptying.html", None, **page(_("Emptying by itself"), counts=counts, **context)
    )
    response.status_code = status
    return response
