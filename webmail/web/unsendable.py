"""What keeps a message from leaving, in words for whoever wrote it."""

from webmail.mail.addresses import AddressError, parse_recipients
from webmail.sending import submitting
from webmail.sending.composing import CompositionError
from webmail.sending.drafts import Fields
from webmail.web.words import gettext as _


def address_errors(fields: Fields) -> dict[str, list[str]]:
    """What is wrong with whom it goes to, by field; nothing when it can leave."""
    errors: dict[str, list[str]] = {}
    everybody: set[str] = set()
    for name in ("to", "cc", "bcc"):
        typed = getattr(fields, name)
        try:
            everybody |= {person.email for person in parse_recipients(typed)}
        except AddressError as error:
            few = error.reason != "too-many"
            piece = error.piece or typed[:60]
            errors[name] = [_("This is not an address: %(piece)s", piece=piece) if few else _too_many()]
    if not errors and not everybody:
        errors["to"] = [_("Who is it for? Write at least one address.")]
    if len(everybody) > submitting.MAX_RECIPIENTS:
        errors["to"] = [_too_many()]
    return errors


def _too_many() -> str:
    return str(_("A message goes to %(count)s people at the most.", count=submitting.MAX_RECIPIENTS))


def unsendable(error: CompositionError) -> str:
    """Why a field cannot leave."""
    if error.reason == "control":
        return str(_("There is a character in it that must not leave: a line end, or one that is invisible."))
    if error.reason == "too-long":
        return str(_("This is too long to leave."))
    return str(_("This cannot leave as it is."))
