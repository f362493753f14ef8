"""Accesses in words: what for, on what ground, which parts, how far, and why not."""

from typing import Final

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from webmail.governance.access.grants import Grant
from webmail.governance.access.owner import Entry

REASONS: Final[dict[str, LazyString]] = {
    "abuse": _l("Abuse"),
    "service": _l("Restoring the service"),
    "delivery": _l("Debugging delivery"),
    "security": _l("A security alert"),
    "legal": _l("A legal order"),
}
KINDS: Final[dict[str, LazyString]] = {
    "spam": _l("spam"),
    "phishing": _l("phishing"),
    "malware": _l("malware"),
    "fraud": _l("fraud"),
    "harassment": _l("harassment"),
    "other": _l("other"),
}
PURPOSES: Final[dict[str, LazyString]] = {
    "prevent-abuse": _l("to look into a report of abuse"),
    "provide": _l("to get the service working again"),
    "troubleshoot": _l("to find out why mail did not arrive"),
    "protect": _l("to look into a security alert"),
    "comply-with-law": _l("because the law demanded it"),
}
BASES: Final[dict[str, LazyString]] = {
    "contract": _l("our contract with you (GDPR Art. 6(1)(b))"),
    "legitimate-interests": _l("our legitimate interest in a service without abuse (GDPR Art. 6(1)(f))"),
    "legal-obligation": _l("a legal obligation (GDPR Art. 6(1)(c))"),
}
PARTS: Final[dict[str, LazyString]] = {
    "headers": _l("Headers"),
    "text": _l("Text"),
    "attachments": _l("Attachments"),
}
STAGES: Final[dict[str, LazyString]] = {
    "requested": _l("waits for a second person"),
    "refused": _l("refused"),
    "ready": _l("approved, not opened yet"),
    "open": _l("open"),
    "over": _l("over"),
}
_REFUSALS: Final[dict[str, LazyString]] = {
    "role": _l("You do not have the role for this any more."),
    "none": _l("There is no such grant."),
    "message-id": _l("Type a Message-ID, as it stands in the header of the message."),
    "part": _l("There is no such part."),
    "not-yours": _l("This grant is somebody else’s."),
    "not-approved": _l("Nobody has approved this yet."),
    "refused": _l("This was refused."),
    "closed": _l("This grant is closed."),
    "case-closed": _l("The case is closed. Reopen it, and ask again."),
    "lapsed": _l("It was approved, but not opened within 12 hours. Ask again."),
    "expired": _l("The minutes are over. Ask again if you need more."),
    "order-dates": _l("The legal order does not hold today."),
    "order-over": _l("The legal order is over."),
    "gag-undecided": _l("Whether the owner may know has to be decided first."),
    "out-of-scope": _l("The grant does not name this part of this message."),
    "too-many": _l("Nothing more opens under this grant: 200 parts were opened."),
    "gone": _l("A message is gone: its owner deleted it."),
    "unreadable": _l("This message cannot be read safely; it was set aside."),
    "own": _l("It is about you or your own mailbox: somebody else has to do this."),
    "own-request": _l("Nobody approves what they asked for themselves."),
    "own-gag": _l("You decided about the gag: somebody else has to approve the grant."),
    "decided": _l("This was decided already."),
    "stale": _l("This request is more than a week old. It has to be asked for again."),
    "over": _l("It is over already."),
    "reason": _l("This reason does not fit the case."),
    "kind": _l("Say what kind of abuse it is."),
    "words": _l("Say in 10 to 2,000 characters what you need and why."),
    "minutes": _l("Choose how many minutes, up to 60."),
    "scope": _l("Name 1 to 20 messages, with at least one part of each."),
    "order": _l("A legal order needs its reference, who issued it, and the days on which it holds."),
    "unreviewed": _l("An emergency of yours is past its review. Ask for approval as usual."),
    "emergency-gag": _l("What one person opens alone cannot be kept from the owner as well."),
    "gag-words": _l("Say why the owner may not know yet."),
    "gag-dates": _l("A gag is looked at again within 90 days."),
    "dates": _l("A gag is looked at again within 90 days."),
    "not-independent": _l("You had a part in this: somebody else has to judge it."),
    "not-approved-gag": _l("This gag was never approved."),
    "reviewed": _l("This was reviewed already. A verdict is not changed."),
    "still-open": _l("This grant still opens. Close it first, or wait until it is over."),
    "verdict": _l("Choose a verdict."),
    "window": _l("Look at seven days at most."),
    "address": _l("That is no address."),
    "case": _l("Name the case that this belongs to."),
    "restricted": _l(
        "The owner has had this stopped. Only a legal order opens it, or a case that the owner brought."
    ),
}


def refusal(code: str) -> str:
    """Why something was not done, in a sentence."""
    return str(_REFUSALS.get(code, _l("This was refused.")))


def cause(grant: Grant | Entry) -> str:
    """The reason, with the kind of abuse."""
    return f"{REASONS[grant.reason]}: {KINDS[grant.kind]}" if grant.kind else str(REASONS[grant.reason])
