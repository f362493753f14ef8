"""Actions, notices and appeals in words: for the staff short, for the person whole sentences."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from webmail.web.words import gettext as _

KINDS: Mapping[str, Any] = {
    "warn": _l("Warn"),
    "limit": _l("Limit sending"),
    "no_sending": _l("Stop sending"),
    "no_receiving": _l("Stop receiving"),
    "no_sign_in": _l("Suspend sign-in"),
    "revoke": _l("Revoke the mailbox name"),
    "reclaim": _l("Take the mailbox name back"),
    "hold": _l("Hold a message"),
}
DOES: Mapping[str, Any] = {
    "warn": _l("They are told; nothing else changes."),
    "limit": _l("What is over it waits until there is room."),
    "no_sending": _l("What they send waits in their outbox; nothing is lost."),
    "no_receiving": _l("Mail to this mailbox is refused; what is in it stays."),
    "no_sign_in": _l("They reach their notices and may appeal, and nothing else. Needs a lead."),
    "revoke": _l("No mail in or out under this name. Needs a lead."),
    "reclaim": _l("As revoking; after two years of rest the name is free. Needs a lead."),
}
DONE: Mapping[str, Any] = {
    "warn": _l("We warn you: a rule was broken. Nothing else changes."),
    "limit": _l("You may write to %(amount)s people a day. What is more waits until there is room."),
    "no_sign_in": _l("You cannot sign in. Your mail is kept, and nothing is deleted."),
    "no_sending": _l("You cannot send mail. What you send waits in your outbox, and is not lost."),
    "no_receiving": _l("Your mailbox takes no new mail. What is in it stays."),
    "revoke": _l(
        "Your mailbox name is revoked: no mail comes in or goes out under it. What is in the mailbox stays."
    ),
    "hold": _l(
        "Mail that came to you is held, because it breaks a rule. You have done nothing wrong. Nothing is deleted; it comes back as"
        " it was when this ends."
    ),
    "reclaim": _l(
        "Your mailbox name is taken back. It rests for two years, and nobody else gets it before. What is in the mailbox stays."
    ),
}
"""What was done, as the person reads it."""
RULES: Mapping[str, Any] = {
    "spam": _l("No unsolicited bulk mail"),
    "phishing": _l("No phishing"),
    "malware": _l("No malware"),
    "fraud": _l("No fraud"),
    "harassment": _l("No harassment"),
    "illegal": _l("Nothing illegal"),
    "security": _l("No danger to the security of the service or of others"),
    "name": _l("No names that belong to others or mislead"),
    "other": _l("The rules of use"),
}
STATES: Mapping[str, Any] = {
    "proposed": _l("waits for a lead"),
    "in_force": _l("in force"),
    "declined": _l("declined"),
    "lifted": _l("undone"),
}
VERDICTS: Mapping[str, Any] = {
    "": _l("waits for an answer"),
    "upheld": _l("upheld: the action was undone"),
    "rejected": _l("rejected: the action stays"),
}
_REFUSALS: Mapping[str, Any] = {
    "role": _l("Your role does not include this."),
    "none": _l("There is no such person or action."),
    "case": _l("Name the case that this belongs to."),
    "case-closed": _l("The case is closed. Reopen it first."),
    "own": _l("It is about you, or about somebody you share a mailbox with: a colleague has to do this."),
    "colleague": _l("Whoever is of the staff is acted on by a higher role."),
    "mailbox": _l("Choose a mailbox of this person."),
    "item": _l("Choose what was reported in this case and is known again elsewhere."),
    "already": _l("This is in force already, or waits for a lead."),
    "kind": _l("Choose what is to be done."),
    "rule": _l("Choose the rule that was broken."),
    "words": _l("Say it in 10 to 2,000 characters."),
    "amount": _l("Choose how many people a day, from 1 to 1,000."),
    "dates": _l("Choose a last day in the next two years, or none. A warning and a taken name have none."),
    "withheld": _l("To tell the person later, say why and on which day."),
    "withheld-dates": _l("The person is told within 90 days."),
    "own-request": _l("Nobody approves what they proposed themselves."),
    "decided": _l("This was decided already."),
    "stale": _l("This proposal is too old, or its day has passed. It has to be made again."),
    "over": _l("It is over already."),
    "freed": _l("The name has rested and was set free: that cannot be undone."),
    "not-yours": _l("Somebody else did this: they undo it, or a lead."),
    "not-independent": _l("You had a part in this: somebody else has to judge it."),
    "judged": _l("This was judged already. A verdict is not changed."),
    "verdict": _l("Choose a verdict."),
    "once": _l("You have objected to this already."),
    "late": _l("The twenty days are over."),
    "address": _l("That is nobody here. Look for typing mistakes."),
    "unknown": _l("That is nobody here. Look for typing mistakes."),
}


def refusal(code: str) -> str:
    """Why something was not done, in a sentence."""
    return str(_REFUSALS.get(code, _l("This was refused.")))


def done(kind: str, amount: int | None) -> str:
    """What was done, as the person reads it."""
    return str(DONE[kind]) % {"amount": amount} if amount is not None else str(DONE[kind])


def what(kind: str, amount: int | None) -> str:
    """What was done, for the staff."""
    return (
        _("%(what)s: %(amount)s people a day", what=KINDS[kind], amount=amount)
        if amount
        else str(KINDS[kind])
    )
