"""Alerts in words, for admins: what is wrong, where one looks further, and how telling of it went."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from webmail.operations.alerts_words import WHERE
from webmail.web import queue_words
from webmail.web.words import gettext as _

SENTENCES: Mapping[str, Any] = {
    "backup-failed": _l("The last backup failed"),
    "backup-old": _l("The last good backup is %(value)s hours old"),
    "queue-old": _l("%(label)s: the oldest work has been due for %(value)s minutes"),
    "queue-paused": _l("%(label)s: paused, and work has waited for %(value)s minutes"),
    "review-overdue": _l("Reviews of access to mail past their time: %(value)s"),
    "case-overdue": _l("Cases past their time: %(value)s"),
    "request-overdue": _l("Requests about privacy past their time: %(value)s"),
    "certificate-ends": _l("The TLS certificate on %(label)s ends in %(value)s days"),
    "disk-low": _l("Of the disk on %(label)s, %(value)s %% is free"),
    "error-rate": _l("Of all pages, %(value)s %% failed in the last half hour"),
    "checkpoint-old": _l("The audit log has grown, and was not signed for %(value)s minutes"),
    "schedule-failed": _l("A schedule failed: %(label)s"),
    "schedule-late": _l("A schedule is %(value)s minutes late: %(label)s"),
    "work-parked": _l("%(label)s: %(value)s put aside after failing too often"),
    "worker-gone": _l("No worker listens to the queue %(label)s"),
    "bell-away": _l("Redis does not answer; mail is kept and goes on, more slowly"),
}
KINDS: Mapping[str, Any] = {
    "begins": _l("began"),
    "lasts": _l("lasts"),
    "ends": _l("ended"),
    "trial": _l("trial"),
}
WAYS: Mapping[str, Any] = {"mail": _l("mail"), "webhook": _l("webhook")}
OUTCOMES: Mapping[str, Any] = {"": _l("under way"), "told": _l("told"), "failed": _l("given up")}
PROBLEMS: Mapping[str, Any] = {
    "no-address": _l("there is no address to mail to"),
    "no-secret": _l("there is no secret to sign with"),
    "not-configured": _l("a setting is missing"),
    "relay-failed": _l("the relay refused it"),
    "relay-deferred": _l("the relay did not take it now"),
    "relay-unknown": _l("the relay did not answer"),
    "url": _l("its address is none"),
    "away": _l("nobody answered"),
    "tls": _l("its certificate is not trusted"),
    "slow": _l("it took too long"),
    "error": _l("a fault of ours"),
}
_QUEUES = frozenset({"queue-old", "queue-paused", "work-parked"})


def sentence(code: str, label: str, value: float) -> str:
    """What is wrong."""
    words = SENTENCES.get(code)
    shown = queue_words.kind(label) if code in _QUEUES else label
    told = {"label": shown, "value": f"{value:.10g}"}
    return str(words) % told if words else f"{code} {label}: {value:.10g}"


def where(code: str) -> str:
    """The page to look further."""
    return WHERE.get(code, "/admin/queues")


def problem(code: str) -> str:
    """Why telling failed."""
    status = code.removeprefix("status-")
    return _("it answered %(status)s", status=status) if status != code else str(PROBLEMS.get(code, code))
