"""The register of processing in words: kinds of data, purposes, bases, recipients, and how long."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

KINDS: Mapping[str, tuple[Any, Any]] = {
    "account": (
        _l("Your account"),
        _l("Name, contact address, the identifier that Clerk gave you, and your settings."),
    ),
    "roles": (_l("Your roles in the staff"), _l("Which, since when, and who gave them to you.")),
    "mailboxes": (
        _l("Your mailboxes"),
        _l("Their addresses and folders, who may use them, and their keys, which are locked."),
    ),
    "marks": (
        _l("What messages are known again by"),
        _l(
            "For each message two numbers made with a secret of ours: one of its words and files, one of its Message-ID. They find"
            " the same message in other mailboxes without opening any, and say nothing else."
        ),
    ),
    "messages": (
        _l("Messages"),
        _l(
            "Content is sealed with your mailbox’s own key. When, from and to which address, how large, and which folder"
            " is readable."
        ),
    ),
    "drafts": (_l("Drafts and uploads"), _l("Sealed with your mailbox’s own key.")),
    "search": (_l("Search index"), _l("Words as codes that only your mailbox’s key makes.")),
    "pictures": (
        _l("Pictures that were fetched for you"),
        _l("Made small, without what cameras write into them; sealed."),
    ),
    "deliveries": (
        _l("What happened to mail you sent"),
        _l("For each recipient: the address, the time, and what the other server said."),
    ),
    "contacts": (_l("Contacts and groups"), _l("Sealed with your mailbox’s own key.")),
    "correspondents": (
        _l("Whom you wrote with"),
        _l("Who is new to you, blocked, or trusted with pictures; sealed."),
    ),
    "identities": (
        _l("Names, signatures, answers while away, texts to insert"),
        _l("Sealed with your mailbox’s own key."),
    ),
    "answers": (
        _l("Lists you left and invitations you answered"),
        _l("Which message, when, and how it went."),
    ),
    "exports": (
        _l("Exports that you asked for"),
        _l("Your mail and records as files to take along, encrypted, for some days."),
    ),
    "imports": (
        _l("Mail that you brought in"),
        _l("The file until it is read, how it went, and which messages came of it."),
    ),
    "work": (
        _l("Work that waits to be done for you"),
        _l("Numbers of messages to file, send or fetch; gone when done."),
    ),
    "reports": (
        _l("What you reported"),
        _l("A copy of each message that you reported, sealed for the staff."),
    ),
    "denials": (_l("Sign-ins that were ended"), _l("So that an ended session does not get in again.")),
    "registration": (
        _l("How you got your address"),
        _l("By which invitation, and when. A name that is given up rests as a code."),
    ),
    "sharing": (
        _l("Shared mailboxes"),
        _l("Who was invited, joined or left, and who did what, without content."),
    ),
    "sign-ins": (
        _l("Sign-ins"),
        _l("Device in words, network shortened, when; and that you confirmed who you are."),
    ),
    "clerk-events": (
        _l("What Clerk told us about you"),
        _l("That your account was made, changed or ended, and when."),
    ),
    "sending-days": (
        _l("How many people you wrote to on a day"),
        _l("A number, so that what is sudden is seen."),
    ),
    "trials": (
        _l("Test mails that you sent through the relays"),
        _l("As an admin: when, and all that was said."),
    ),
    "delivery-days": (
        _l("How mail that left was taken, in numbers"),
        _l(
            "By day and receiving domain, for all of us together. Few letters to a rare domain are counted without its name."
        ),
    ),
    "cases": (
        _l("Cases of our staff"),
        _l(
            "What was reported, notes and answers; sealed for the staff. Ask, and we look for what is about you."
        ),
    ),
    "requests": (
        _l("What you asked of us by right"),
        _l("Your words and our answers, sealed; which right, when, and that we answered in time."),
    ),
    "objections": (
        _l("What you have stopped"),
        _l("That your data is only kept, or not used for a purpose; since when, and how it was decided."),
    ),
    "erasures": (
        _l("What was deleted"),
        _l("That you asked for it, when, and numbers of what is gone, so that no backup brings it back."),
    ),
    "actions": (
        _l("What our staff did about your account"),
        _l(
            "Warnings, limits and suspensions, why, and what you objected; the words are sealed for you and the staff."
        ),
    ),
    "abuse-memory": (
        _l("A memory of abuse, after an account is erased"),
        _l(
            "Only of accounts that broke rules: sealed so that it opens for who knows one of its addresses already."
        ),
    ),
    "staff-notes": (
        _l("What our staff noted about you"),
        _l("A few words from helping you, sealed for the staff. Your export holds a copy."),
    ),
    "accesses": (
        _l("When our staff opened mail of yours"),
        _l("Who asked, who approved, which parts, what the review said."),
    ),
    "audit": (
        _l("Entries of the audit log about you"),
        _l("Each tied to you by a code that can be destroyed."),
    ),
}

PURPOSES: Mapping[str, Any] = {
    "provide": _l("to provide the service"),
    "abuse": _l("to prevent abuse"),
    "troubleshoot": _l("to find faults"),
    "law": _l("to comply with law"),
    "reliability": _l("to keep the service reliable"),
}

BASES: Mapping[str, Any] = {
    "contract": _l("contract"),
    "legitimate-interests": _l("legitimate interests"),
    "legal-obligation": _l("legal obligation"),
}

RECIPIENTS: Mapping[str, Any] = {
    "clerk": _l("Clerk (sign-in)"),
    "relay": _l("the SMTP relay, and whom you write to"),
    "staff": _l("our staff, each look written down"),
}

RETENTIONS: Mapping[str, Any] = {
    "until-you-delete": _l("until you delete it"),
    "with-the-message": _l("as long as its message"),
    "with-the-mailbox": _l("as long as the mailbox"),
    "with-the-account": _l("as long as the account"),
    "until-done": _l("until it is done"),
    "schedule": _l("on a schedule"),
    "name-rests": _l("two years, so that nobody else gets your name"),
    "tree": _l("for good, without your data in it"),
}
