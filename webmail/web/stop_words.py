"""Restriction and objection in words: why, what stops, what does not, and how an objection stands."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

WHYS: Mapping[str, Any] = {
    "accuracy": _l("Something about me is wrong, until you have checked it"),
    "unlawful": _l("You use it against the law, and I do not want it deleted"),
    "claims": _l("I need it for a legal claim"),
    "objection": _l("I object, until you have decided"),
}
SCOPES: Mapping[str, Any] = {
    "learning": _l("Learning whom I write with: no new names to suggest, no count of who is new to me"),
    "staff": _l(
        "Staff opening my mail or tracing deliveries: only a legal order, or a case that I bring, still allows it"
    ),
    "schedules": _l(
        "Removal by schedules: records about me are kept, and Trash and Junk do not empty themselves"
    ),
}
PURPOSES: Mapping[str, tuple[Any, Any]] = {
    "abuse": (
        _l("Preventing abuse"),
        _l(
            "At once: nobody counts whom you write with, and sign-ins are noted without device and network."
            " Reports about mail go on while we weigh it, for they protect others."
        ),
    ),
    "troubleshoot": (
        _l("Finding faults"),
        _l(
            "At once: nobody traces your deliveries or opens your mail to find a fault, unless you ask for it."
        ),
    ),
    "reliability": (
        _l("Making the service reliable"),
        _l("Figures about how the service runs hold nobody’s name, so nothing can stop at once. We answer."),
    ),
}
STATES: Mapping[str, Any] = {
    "weighed": _l("is being weighed; what can stop has stopped"),
    "upheld": _l("you are right: it stays stopped"),
    "overruled": _l("there are compelling grounds: it goes on; the answer says which"),
    "withdrawn": _l("taken back"),
}
REFUSED: Mapping[str, Any] = {
    "kind": _l("Choose a reason, and at least one thing that shall stop."),
    "stopped": _l("This is stopped already."),
    "over": _l("This is over, or its end was announced already."),
    "own": _l("Nobody decides on what is their own."),
}
