"""People in words, for the staff: how an account stands, what somebody may do in a mailbox, and why something was not done."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from webmail.operations.people import Person
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

STATES: Mapping[str, Any] = {
    "active": _l("active"),
    "closed": _l("closed"),
    "banned": _l("banned at Clerk"),
    "deleted": _l("deleted at Clerk"),
    "no_sign_in": _l("sign-in suspended"),
    "no_sending": _l("sending stopped"),
    "suspended": _l("suspended"),
    "revoked": _l("name revoked"),
    "reclaimed": _l("name taken back"),
}
ROLES: Mapping[str, Any] = {
    "reader": _l("reads"),
    "writer": _l("writes"),
    "owner": _l("owns"),
}
STAFF: Mapping[str, Any] = {
    "support": _l("Support"),
    "support_lead": _l("Support lead"),
    "reviewer": _l("Reviewer"),
    "admin": _l("Admin"),
    "auditor": _l("Auditor"),
}
LOOKS: Mapping[str, Any] = {
    "people.searched": _l("you were among the answers to a search"),
    "people.viewed": _l("the page about you was opened"),
    "people.noted": _l("a note about you was written"),
    "people.unnoted": _l("a note about you was dropped"),
}
"""What the staff did, as the person it is about reads it."""
_REFUSALS: Mapping[str, Any] = {
    "role": _l("Your role does not include this."),
    "term": _l("Write an address, an id, or at least two letters of how a name begins."),
    "too-many": _l(
        "You have looked for very many people in the last hour. Each look is written down; please go on later."
    ),
    "words": _l("Write the note in 1 to 2,000 characters."),
    "own": _l("It is about you, or about somebody you share a mailbox with: a colleague has to do this."),
    "colleague": _l("Notes about somebody of the staff are written by a higher role."),
    "none": _l("There is no such person or note any more."),
    "enough": _l("There are 50 notes already. Drop what is not needed any more."),
    "not-yours": _l("Somebody else wrote this: they drop it, or a lead."),
}


def state(code: str) -> str:
    """How an account or a mailbox stands."""
    return str(STATES.get(code, code))


def states(one: Person) -> list[str]:
    """Everything about an account that is not as usual; empty where all is."""
    told = [state(code) for code in (one.status, one.clerk_state) if code not in ("active", "present")]
    if not one.may_sign_in:
        told.append(state("no_sign_in"))
    if not one.may_send:
        told.append(state("no_sending"))
    if one.send_day is not None:
        told.append(
            ngettext("may write to %(num)s person a day", "may write to %(num)s people a day", one.send_day)
        )
    return told


def refusal(code: str) -> str:
    """Why something was not done, in a sentence."""
    return str(_REFUSALS.get(code, _("This was refused.")))
