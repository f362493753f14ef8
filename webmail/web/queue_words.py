"""Queues in words, for admins: kinds of work, their states and ages, and why something was put aside."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

KINDS: Mapping[str, Any] = {
    "file": _l("Mail that came, to be filed"),
    "send": _l("Mail that leaves (the outbox)"),
    "fetch": _l("Pictures to be fetched"),
    "unsubscribe": _l("Lists to be left"),
    "submit": _l("Drafts whose time comes"),
    "tell": _l("Reports to authors"),
    "intake": _l("Mail to the staff, to become cases"),
    "export": _l("Exports"),
    "import": _l("Imports"),
    "errand": _l("Errands at Clerk, and notices"),
}
STATES: Mapping[str, Any] = {
    "held": _l("in hand"),
    "waiting": _l("due"),
    "deferred": _l("put off, after a try"),
    "planned": _l("later"),
}
AGES: Mapping[str, Any] = {
    "minutes": _l("under 5 minutes"),
    "hour": _l("under an hour"),
    "day": _l("under a day"),
    "older": _l("older"),
}
PROBLEMS: Mapping[str, Any] = {
    "poison": _l("killed its worker, again and again"),
    "error": _l("failed again and again, for a fault of ours"),
    "keys": _l("its key does not open it"),
    "not-configured": _l("a setting is missing"),
    "more": _l("there was more to do than it could"),
    "relay": _l("the relay did not take it"),
    "lost": _l("somebody else had it"),
}
SCHEDULE_OUTCOMES: Mapping[str, Any] = {"": _l("not run yet"), "done": _l("done"), "failed": _l("failed")}


def kind(code: str) -> str:
    """What a kind of work is called."""
    return str(KINDS.get(code, code))


def problem(code: str) -> str:
    """Why something was put aside."""
    return str(PROBLEMS.get(code, code))
