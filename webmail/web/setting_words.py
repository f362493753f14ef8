"""Settings of the service in words: what each means, what changing it does, and its values as people read them."""

from collections.abc import Callable, Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from webmail.settings.declared import Declared
from webmail.settings.kinds import Choice, Entries, Line, Names, Secret, Whole, Words
from webmail.web import setting_told
from webmail.web.filters import size_words
from webmail.web.setting_told import Told
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

GROUP_WORDS: Mapping[str, Any] = {
    "service": _l("The service and who runs it"),
    "registration": _l("Registration"),
    "names": _l("Reserved names"),
    "limits": _l("Limits and quotas"),
    "spam": _l("Spam"),
    "notices": _l("Texts of notices"),
    "processors": _l("Processors"),
    "appearance": _l("Appearance"),
    "languages": _l("Languages"),
    "retention": _l("How long things are kept"),
    "privacy": _l("Privacy"),
    "backups": _l("Backups"),
    "cases": _l("Cases"),
    "security": _l("Confirming grave acts"),
    "relay": _l("Relay"),
    "alerts": _l("Alerts"),
    "operations": _l("Queues"),
}


_REMOVES = _l("What is older goes with the next run, for good.")

WORDS: Mapping[str, Told] = {
    "service.operator": Told(
        _l("Who runs this service"),
        _l("The person or organisation that the privacy policy and notices speak for."),
        _l("Printed in the privacy policy and in notices from now on."),
    ),
    "service.contact": Told(
        _l("Where questions about privacy go"),
        _l("An address of mail; printed in the privacy policy."),
        _l("Printed in the privacy policy and in notices from now on."),
    ),
    "service.banner": Told(
        _l("Said at the top of every page"),
        _l("For planned work, for example. Empty for nothing; it costs its length on every page."),
        _l("Everybody who is signed in sees it with the next page."),
    ),
    "service.spf": Told(
        _l("Who sends mail of our domains"),
        _l(
            "As in an SPF record, what your relay tells you: include:spf.relay.example. “mx” is the servers where mail comes in."
        ),
        _l("The SPF records that the pages of domains show change; publish them anew."),
    ),
    "registration.mode": Told(
        _l("New mailboxes"),
        _l("Who may take a mailbox name."),
        _l("Holds from now on. Mailboxes that are there stay."),
    ),
    "limits.quota": Told(
        _l("Space of a new mailbox"),
        _l("In bytes."),
        _l("For mailboxes made from now on. Those that are there keep what they have."),
    ),
    "limits.send_hour": Told(
        _l("Recipients in an hour"),
        _l("To how many a person may write; a fifth of that in the first week. 0 for any number."),
        _l("Holds with the next message. What goes over it waits in the outbox; nothing is lost."),
    ),
    "limits.send_day": Told(
        _l("Recipients in a day"),
        _l("To how many a person may write; a fifth of that in the first week. 0 for any number."),
        _l("Holds with the next message. What goes over it waits in the outbox; nothing is lost."),
    ),
    "limits.undo": Told(
        _l("Sending can be undone for"),
        _l("For people who did not choose for themselves. 0 for not at all."),
        _l("Holds with the next message of people who did not choose for themselves."),
    ),
    "retention.uploads": Told(
        _l("Uploads that were never finished"), _l("Pieces of files for a draft."), _REMOVES
    ),
    "retention.denials": Told(
        _l("Sign-ins that were ended"), _l("Counted from the day on which the block ends."), _REMOVES
    ),
    "retention.deliveries": Told(
        _l("What happened to mail that was sent"),
        _l("Each step, with the words of the other server. Whether it arrived stays with the message."),
        _REMOVES,
    ),
    "retention.webhooks": Told(
        _l("What Clerk told us"),
        _l("Each message of Clerk’s: what kind, about whose number, when."),
        _REMOVES,
    ),
    "retention.sign_ins": Told(
        _l("Sign-ins"),
        _l("Device in words, network shortened, when. Counted from when it was last seen."),
        _REMOVES,
    ),
    "retention.confirmations": Told(
        _l("Confirmations"), _l("That somebody confirmed who they are before an act."), _REMOVES
    ),
    "retention.tries": Told(_l("Tries to confirm"), _l("Right or wrong, and when."), _REMOVES),
    "retention.errands": Told(
        _l("Errands that failed"), _l("What Clerk was to be told and could not be."), _REMOVES
    ),
    "retention.activity": Told(
        _l("Who did what in shared mailboxes"), _l("Time, who and what, without content."), _REMOVES
    ),
    "retention.member_notices": Told(
        _l("Notices about shared mailboxes"), _l("That somebody joined, left or was removed."), _REMOVES
    ),
    "retention.member_invitations": Told(
        _l("Invitations into a mailbox"), _l("Counted from when they ended."), _REMOVES
    ),
    "retention.names": Told(
        _l("Names that rested"),
        _l("A given-up name rests two years; this long after that nothing of it is left."),
        _REMOVES,
    ),
    "retention.visits": Told(
        _l("Visits to the report form"), _l("A code of the network address, against floods."), _REMOVES
    ),
    "retention.sending_days": Told(
        _l("Recipients a day"), _l("How many a mailbox wrote to, so that what is sudden is seen."), _REMOVES
    ),
    "retention.requests": Told(
        _l("Requests about privacy that were answered"),
        _l("What was asked and answered, to show that it was done in time."),
        _REMOVES,
    ),
    "retention.tombstones": Told(
        _l("That a message was deleted"),
        _l("Its number alone, so that no restore brings it back. Longer than any backup is kept."),
        _REMOVES,
    ),
    "backups.daily": Told(
        _l("Daily backups kept"),
        _l("The last backup of each of so many days. What is deleted is in them until they are gone."),
        _l("Holds with the next backup; what need not stay is removed then."),
    ),
    "backups.weekly": Told(
        _l("Weekly backups kept"),
        _l("The last backup of each of so many weeks. 0 for none."),
        _l("Holds with the next backup; what need not stay is removed then."),
    ),
    "backups.hour": Told(
        _l("Hour of the daily backup"),
        _l("From 0 to 23, in UTC."),
        _l("Holds with the next backup."),
    ),
    "privacy.grace_days": Told(
        _l("Time to undo a deletion"),
        _l("How long an account or a mailbox that is to be deleted can still be kept."),
        _l("For deletions that are asked for from now on."),
    ),
    "retention.exports": Told(
        _l("Exports"), _l("Files that people asked for to take along; counted from then."), _REMOVES
    ),
    "retention.imports": Told(
        _l("Imports"),
        _l("That somebody brought a file of mail, and what came of it. The messages stay."),
        _REMOVES,
    ),
    "retention.abuse_memory": Told(
        _l("Memory of abuse"),
        _l(
            "What is remembered of an erased account that broke rules; it opens for who knows one of its addresses."
        ),
        _REMOVES,
    ),
    "retention.metrics": Told(
        _l("Numbers of how the service runs"),
        _l("How much waited and how long answers took, every five minutes. Nobody is in them."),
        _REMOVES,
    ),
    "retention.domain_checks": Told(
        _l("What DNS said of domains"),
        _l("How the records of each hosted domain were found, by day."),
        _REMOVES,
    ),
    "retention.delivery_days": Told(
        _l("How mail that left was taken"),
        _l("Numbers by day and receiving domain. No addresses are in them."),
        _REMOVES,
    ),
    "retention.audit_detail": Told(
        _l("Detail of the audit log"),
        _l("Of older entries the hashes stay, and the log can still be verified."),
        _REMOVES,
    ),
    "retention.cases": Told(
        _l("Closed cases"),
        _l(
            "What was reported, said and answered. That there was a case, what it led to and who looked, stays."
        ),
        _REMOVES,
    ),
    "retention.trials": Told(
        _l("Test mails through relays"),
        _l("The conversation, with the address of the admin who asked."),
        _REMOVES,
    ),
    "retention.runs": Told(
        _l("What these schedules removed"), _l("The runs themselves, as numbers."), _REMOVES
    ),
    **setting_told.WORDS,
}

CHOICES: Mapping[str, Mapping[str, Any]] = {
    "registration.mode": {
        "open": _l("Open: whoever signs in may take a name"),
        "invite": _l("Who has an invitation"),
        "closed": _l("Closed: nobody"),
    },
    **setting_told.CHOICES,
}

_PROBLEMS: Mapping[str, Any] = {
    "not-a-number": _l("Write a whole number."),
    "too-long": _l("That is too long."),
    "not-a-line": _l("Write it on one line, without control characters."),
    "not-text": _l("It holds control characters."),
    "not-an-address": _l("Write an address of mail, such as privacy@example.org."),
    "not-a-link": _l("Write an address that begins with https://."),
    "too-many": _l("Those are too many."),
    "not-entries": _l("Write one a line, each of three parts with | between them: who | what for | where."),
    "not-names": _l("Write names before the @: letters, digits, dots and dashes, one a line."),
    "not-a-secret": _l("Use visible ASCII characters without blanks."),
    "no-such-choice": _l("There is no such choice."),
}


def problem_words(declared: Declared, code: str) -> str:
    """Why a value was refused."""
    if code == "out-of-range" and isinstance(declared.kind, Whole):
        low, high = (value_words(declared, end) for end in (declared.kind.low, declared.kind.high))
        return _("It can be from %(low)s to %(high)s.", low=low, high=high)
    if code == "secret-length" and isinstance(declared.kind, Secret):
        least, most = declared.kind.least, declared.kind.most
        return _("Use %(least)s to %(most)s characters.", least=least, most=most)
    return str(_PROBLEMS[code])


_UNITS: Mapping[str, Callable[[int], str]] = {
    "bytes": size_words,
    "days": lambda n: ngettext("%(num)s day", "%(num)s days", n),
    "hours": lambda n: ngettext("%(num)s hour", "%(num)s hours", n),
    "minutes": lambda n: ngettext("%(num)s minute", "%(num)s minutes", n),
    "seconds": lambda n: ngettext("%(num)s second", "%(num)s seconds", n),
    "people": lambda n: ngettext("%(num)s recipient", "%(num)s recipients", n) if n else _("any number"),
    "percent": lambda n: _("%(num)s %%", num=n),
    "mailboxes": lambda n: ngettext("%(num)s mailbox", "%(num)s mailboxes", n) if n else _("any number"),
    "pieces": lambda n: ngettext("%(num)s piece", "%(num)s pieces", n),
    "times": lambda n: ngettext("once", "%(num)s times", n),
}


def value_words(declared: Declared, value: Any) -> str:
    """A value as people read it; a value that an older version kept as it is."""
    kind = declared.kind
    if isinstance(kind, Whole) and isinstance(value, int):
        return str(_UNITS[kind.unit](value))
    if isinstance(kind, Choice):
        return str(CHOICES[declared.name].get(str(value), value))
    if isinstance(kind, Secret):
        return _("kept, and shown to nobody") if value else _("none")
    if isinstance(kind, Line | Words | Entries | Names) and not value:
        return _("nothing")
    return str(value)


def options(declared: Declared) -> list[tuple[str, str]]:
    """The codes of a choice with their words."""
    kind = declared.kind
    return (
        [(code, str(CHOICES[declared.name][code])) for code in kind.codes] if isinstance(kind, Choice) else []
    )
