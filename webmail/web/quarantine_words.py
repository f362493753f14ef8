"""Quarantines in words: for the staff short, for an owner whole sentences."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from webmail.governance.quarantine.acting import MOST_COUNTED
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

STATES: Mapping[str, Any] = {
    "proposed": _l("waits for a lead"),
    "in_force": _l("in force"),
    "declined": _l("declined"),
    "ended": _l("ended"),
}
ENDED: Mapping[str, Any] = {
    "colleague": _l("given back by a colleague"),
    "appeal": _l("an owner objected and was right"),
    "time": _l("its last day is over"),
}
_REFUSALS: Mapping[str, Any] = {
    "role": _l("Your role does not include this."),
    "none": _l("There is no such thing."),
    "case": _l("Name the case that this belongs to."),
    "case-closed": _l("The case is closed. Reopen it first."),
    "own": _l("The case is about you: a colleague has to do this."),
    "item": _l("Choose a message that was reported in this case."),
    "already": _l("This message is held already, or waits for a lead, or is just being given back."),
    "rule": _l("Choose the rule that was broken."),
    "words": _l("Say it in 10 to 2,000 characters."),
    "dates": _l("Choose a last day within a year."),
    "own-request": _l("Nobody approves what they proposed themselves."),
    "decided": _l("This was decided already."),
    "stale": _l("This proposal is too old, or its day has passed. It has to be made again."),
    "over": _l("It is over already."),
    "not-yours": _l("Somebody else did this: they end it, or a lead."),
    "decision": _l("Choose what is to be done."),
}


def refusal(code: str) -> str:
    """Why something was not done, in a sentence."""
    return str(_REFUSALS.get(code, _l("This was refused.")))


def size(count: int, mailboxes: int) -> str:
    """How many messages in how many mailboxes; what was not counted further is more."""
    if count > MOST_COUNTED:
        return str(_("more than %(num)s messages", num=f"{MOST_COUNTED:,}"))
    return str(
        _(
            "%(messages)s in %(mailboxes)s",
            messages=ngettext("%(num)s message", "%(num)s messages", count),
            mailboxes=ngettext("%(num)s mailbox", "%(num)s mailboxes", mailboxes),
        )
    )
