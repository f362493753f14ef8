"""Why a name cannot be had, why no mailbox was made, and what members of a mailbox may and did: in words."""

from flask_babel import lazy_gettext as _l

from webmail.errors import MtumailError
from webmail.identity.invitations import InvitationRefused
from webmail.identity.memberships import MembershipRefused
from webmail.identity.names import MAX, MIN, NameRefused
from webmail.mail.registering import RegistrationRefused
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

NAMES = {
    "empty": _l("Choose a name."),
    "too-short": _l("Use at least %(min)s characters.", min=MIN),
    "too-long": _l("Use at most %(max)s characters.", max=MAX),
    "not-ascii": _l(
        "Use the letters a to z: many mail programs cannot write to other letters yet, and some of those look just like these."
    ),
    "characters": _l("Use letters a to z, digits, dots, dashes and underscores."),
    "ends": _l("Begin and end with a letter or a digit, with single dots or dashes between."),
    "reserved": _l("That name is kept for the service itself."),
    "alike-reserved": _l("That name looks like one that is kept for the service itself."),
    "taken": _l("That address is taken."),
    "alike": _l("That name looks too much like somebody else’s address."),
    "resting": _l(
        "Somebody gave that name up, or lost it. It rests for two years, so that mail for them reaches nobody else."
    ),
}
REGISTRATION = {
    "closed": _l("This service takes no new mailboxes now."),
    "no-domain": _l("Choose one of the domains."),
    "no-code": _l("Here a new mailbox needs an invitation. Type its code."),
    "busy": _l(
        "Very many people are signing up just now. Please try again in an hour; your name is not taken meanwhile by us."
    ),
    "enough": _l("You have as many mailboxes as one person may have."),
    "no-space": _l("Your mailboxes together have all the space that one person may have."),
    "has-one": _l("You have a mailbox already."),
}
INVITATIONS = {
    "unknown": _l("There is no invitation with this code. Look at it again, letter by letter."),
    "over": _l("This invitation is over. Ask for a new one."),
    "used-up": _l("This invitation has been used as often as it may be. Ask for a new one."),
    "other-domain": _l("This invitation is for another domain. Choose that one."),
    "other-person": _l("This invitation is for somebody else: it names another contact address than yours."),
}
MEMBERS = {
    "unknown": _l("Nobody here has this address."),
    "shared": _l("That is the address of a shared mailbox. Type the address of one person."),
    "yourself": _l("You belong to it already."),
    "member": _l("This person belongs to it already."),
    "full": _l("It has as many members as a mailbox may have."),
    "too-many": _l("This person belongs to as many mailboxes as one may."),
    "last-owner": _l("An owner has to stay: make somebody else an owner first."),
    "not-owner": _l("Only an owner of this mailbox may do that."),
    "no-role": _l("Choose what they may do."),
}
ROLES = {
    "reader": _l("Reads"),
    "writer": _l("Reads, files and writes"),
    "owner": _l("Owns: all that, and decides who belongs to it"),
}
SHORT_ROLES = {"reader": _l("reader"), "writer": _l("writer"), "owner": _l("owner")}

_FIELDS = {"no-domain": "domain", "no-code": "code"}


def refused(error: MtumailError) -> tuple[str, str]:
    """The field of the form that is wrong, and why in words. Raises what it does not know."""
    if isinstance(error, NameRefused):
        return "local_part", str(NAMES[error.reason])
    if isinstance(error, InvitationRefused):
        return "code", str(INVITATIONS[error.reason])
    if isinstance(error, RegistrationRefused):
        return _FIELDS.get(error.reason, "form"), str(REGISTRATION[error.reason])
    if isinstance(error, MembershipRefused):
        return "role" if error.reason == "no-role" else "address", str(MEMBERS[error.reason])
    raise error


def told(kind: str, address: str, role: str, by: str) -> str:
    """What a person is told of a membership."""
    may = str(SHORT_ROLES.get(role, role))
    by = by or _("Somebody")
    words = {
        "removed": lambda: _("%(by)s ended your membership of %(address)s.", by=by, address=address),
        "role": lambda: _("%(by)s made you a %(role)s of %(address)s.", by=by, address=address, role=may),
        "withdrawn": lambda: _("%(by)s took back the invitation to %(address)s.", by=by, address=address),
        "accepted": lambda: _("%(by)s accepted your invitation to %(address)s.", by=by, address=address),
        "declined": lambda: _("%(by)s declined your invitation to %(address)s.", by=by, address=address),
        "left": lambda: _("%(by)s left %(address)s.", by=by, address=address),
        "closed": lambda: _("%(address)s was closed.", address=address),
    }
    return words[kind]()


def act(kind: str, number: int, role: str, other: str) -> str:
    """What somebody did in a shared mailbox; a kind without words of its own is a setting."""
    may = str(SHORT_ROLES.get(role, role))
    other = other or _("somebody")
    words = {
        "sent": lambda: _("Sent a message"),
        "deleted": lambda: ngettext(
            "Deleted a message for ever", "Deleted %(num)s messages for ever", number
        ),
        "settings.vacation": lambda: _("Changed the answers while away"),
        "settings.identities": lambda: _("Changed names and signatures"),
        "member.invited": lambda: _("Invited %(other)s as %(role)s", other=other, role=may),
        "member.withdrawn": lambda: _("Took back the invitation of %(other)s", other=other),
        "member.accepted": lambda: _("Joined as %(role)s", role=may),
        "member.declined": lambda: _("Declined the invitation"),
        "member.role": lambda: _("Made %(other)s a %(role)s", other=other, role=may),
        "member.removed": lambda: _("Ended the membership of %(other)s", other=other),
        "member.left": lambda: _("Left"),
    }
    return words[kind]() if kind in words else _("Changed a setting")
