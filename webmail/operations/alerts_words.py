"""Alerts as they leave: a letter in plain words, and the body of a webhook. Codes and numbers; of people nothing."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from math import ceil
from typing import Final

from webmail.operations.alerts_telling import Telling
from webmail.phrases import gettext as _
from webmail.phrases import marked, moment, ngettext, nmarked

SENTENCES: Final[Mapping[str, str | tuple[str, str]]] = {
    "backup-failed": marked("The last backup failed."),
    "backup-old": nmarked(
        "The last good backup is %(value)s hour old.", "The last good backup is %(value)s hours old."
    ),
    "queue-old": nmarked(
        "The queue %(label)s is stuck: its oldest work has been due for %(value)s minute.",
        "The queue %(label)s is stuck: its oldest work has been due for %(value)s minutes.",
    ),
    "queue-paused": nmarked(
        "The queue %(label)s is paused, and work in it has waited for %(value)s minute.",
        "The queue %(label)s is paused, and work in it has waited for %(value)s minutes.",
    ),
    "review-overdue": marked("Reviews of access to mail are past their time: %(value)s."),
    "case-overdue": marked("Cases are past their time: %(value)s."),
    "request-overdue": marked("Requests about privacy are past their time: %(value)s."),
    "certificate-ends": nmarked(
        "The TLS certificate on %(label)s ends in %(value)s day.",
        "The TLS certificate on %(label)s ends in %(value)s days.",
    ),
    "disk-low": marked("Of the disk on %(label)s, %(value)s %% is free."),
    "error-rate": marked("Of all pages, %(value)s %% failed in the last half hour."),
    "checkpoint-old": nmarked(
        "The audit log has grown, and was not signed for %(value)s minute.",
        "The audit log has grown, and was not signed for %(value)s minutes.",
    ),
    "schedule-failed": marked("The schedule %(label)s failed."),
    "schedule-late": nmarked(
        "The schedule %(label)s has been due for %(value)s minute and has not run.",
        "The schedule %(label)s has been due for %(value)s minutes and has not run.",
    ),
    "work-parked": marked("Work of the kind %(label)s was put aside after failing too often: %(value)s."),
    "worker-gone": marked("No worker listens to the queue %(label)s."),
    "bell-away": marked("Redis does not answer. Mail is kept and goes on, more slowly."),
    "": marked("Nothing is wrong: this only tries the way."),
}
"""What is wrong, in the forms that its number takes where it has several."""
WHERE: Final[Mapping[str, str]] = {
    "backup-failed": "/admin/backups",
    "backup-old": "/admin/backups",
    "review-overdue": "/staff/reviews",
    "case-overdue": "/staff/cases",
    "request-overdue": "/staff/requests",
    "schedule-failed": "/admin/retention",
    "schedule-late": "/admin/retention",
    "checkpoint-old": "/privacy/log",
    "error-rate": "/admin/metrics",
}
"""Where one looks further; elsewhere it is /admin/queues."""
_KINDS: Final[Mapping[str, str]] = {
    "lasts": marked("Still: %(sentence)s"),
    "ends": marked("Over: %(sentence)s"),
    "trial": marked("Trial: %(sentence)s"),
}


def sentence(one: Telling) -> str:
    """What is wrong, in one sentence; in the language of `phrases.written_in`, as all below."""
    values = {"label": one.label, "value": f"{one.value:.10g}"}
    words = SENTENCES.get(one.code)
    if words is None:
        return f"{one.code} {one.label}: {values['value']}"
    if isinstance(words, str):
        return _(words, **values)
    # 1.5 takes the form of 2: catalogues know whole numbers alone.
    return ngettext(*words, ceil(abs(one.value)), **values)


def _said(one: Telling) -> str:
    words = _KINDS.get(one.kind)
    return _(words, sentence=sentence(one)) if words else sentence(one)


def subject(tellings: Sequence[Telling]) -> str:
    """The subject of a letter about one or several."""
    first, more = _said(tellings[0]).rstrip("."), len(tellings) - 1
    if not more:
        return f"mtumail: {first}"
    return ngettext(
        "mtumail: %(first)s (and %(num)s more)", "mtumail: %(first)s (and %(num)s more)", more, first=first
    )


def letter(tellings: Sequence[Telling], origin: str) -> str:
    """The text of that letter."""
    parts = []
    for one in tellings:
        since = [] if one.kind == "trial" else [_("Since %(moment)s.", moment=moment(one.since))]
        place = "/admin/alerts" if one.kind == "trial" else WHERE.get(one.code, "/admin/queues")
        parts.append("\n".join([_said(one), *since, f"{origin}{place}"]))
    end = _(
        "Each alert is told when it begins, once a day while it lasts, and when it ends.\n%(link)s",
        link=f"{origin}/admin/alerts",
    )
    return "\n\n".join([*parts, end]) + "\n"


def payload(one: Telling, origin: str) -> bytes:
    """The body of a webhook, as JSON: type, timestamp and data, as Standard Webhooks has them."""
    data = {
        "service": origin,
        "alert": one.alert_id or None,
        "code": one.code or None,
        "label": one.label,
        "value": one.value,
        "since": one.since.astimezone(UTC).isoformat(),
        "text": _said(one),
    }
    told = {"type": f"alert.{one.kind}", "timestamp": one.made_at.astimezone(UTC).isoformat(), "data": data}
    return json.dumps(told, separators=(",", ":")).encode()
