"""An invitation in an opened message, as its template sees it, and the words that an answer leaves with."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask_babel import lazy_gettext as _l

from webmail.keys import MailboxKeys
from webmail.mail.calendar import Attendee, Invitation
from webmail.mail.reading import View
from webmail.sending import invitations
from webmail.web.when_words import When, when
from webmail.web.words import gettext as _

SHOWN_ATTENDEES = 12
ANSWER_WORDS = {"accepted": _l("Accept"), "tentative": _l("Maybe"), "declined": _l("Decline")}
"""Answers in the order of their buttons."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One attendee: who, and what the invitation says of his answer."""

    name: str
    address: str
    words: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What `mail/_invitation.html` needs. `state` is good, warn, bad or "": how `heading` looks."""

    heading: str
    state: str
    title: str
    when: When
    place: str
    url: str
    url_host: str
    description: str
    organizer: str
    organizer_address: str
    guests: Sequence[Guest]
    more_guests: int
    answer: str
    """My answer so far, in words; "" for none."""
    buttons: Sequence[tuple[str, str, bool]]
    """(value, words, whether it is the answer so far); empty where no answer is possible."""
    notes: Sequence[str]


def shown(keys: MailboxKeys, message_id: int, view: View) -> Shown | None:
    """The invitation in a message of this mailbox; None where there is none. Costs nothing for mail without calendar files."""
    opened = invitations.open_one(keys, message_id, view)
    if opened is None:
        return None
    return describe(opened.invitation, invitations.given(keys.mailbox_id, message_id), view.sender[1])


def describe(invitation: Invitation, given: str | None, sender: str) -> Shown:
    """An invitation in words. `given` is what was answered, `sender` the address that the mail says it is from."""
    heading, state = _heading(invitation)
    organizer = invitation.organizer
    told = invitation.attendees[:SHOWN_ATTENDEES]
    return Shown(
        heading=heading,
        state=state,
        title=invitation.summary or _("(no title)"),
        when=when(invitation),
        place=invitation.location,
        url=invitation.url,
        url_host=urlsplit(invitation.url).hostname or "",
        description=invitation.description,
        organizer=organizer.name if organizer else "",
        organizer_address=organizer.address if organizer else "",
        guests=[Guest(item.name, item.address, _partstat(item.partstat)) for item in told],
        more_guests=len(invitation.attendees) - len(told),
        answer=_given(invitation, given),
        buttons=[(value, str(words), value == given) for value, words in ANSWER_WORDS.items()]
        if invitation.can_be_answered
        else (),
        notes=_notes(invitation, sender),
    )


def answer_words(word: str, invitation: Invitation, name: str) -> tuple[str, str]:
    """The subject of the mail that an answer is, and what it says to somebody whose mail program knows nothing of calendars."""
    return _answer_subject(word, invitation), _answer_text(word, invitation, name)


def _answer_subject(word: str, invitation: Invitation) -> str:
    title = invitation.summary or _("(no title)")
    words = {
        "accepted": _("Accepted: %(title)s", title=title),
        "tentative": _("Tentative: %(title)s", title=title),
        "declined": _("Declined: %(title)s", title=title),
    }
    return str(words[word])


def _answer_text(word: str, invitation: Invitation, name: str) -> str:
    said = {
        "accepted": _("%(name)s has accepted this invitation.", name=name),
        "tentative": _("%(name)s may come.", name=name),
        "declined": _("%(name)s has declined this invitation.", name=name),
    }[word]
    told = when(invitation)
    lines = [said, "", invitation.summary, told.words, told.theirs, told.repeats, invitation.location]
    return "\n".join(line for number, line in enumerate(lines) if line or number == 1) + "\n"


def _heading(invitation: Invitation) -> tuple[str, str]:
    first = invitation.attendees[0] if invitation.attendees else Attendee()
    name = first.name or first.address or _("Somebody")
    if invitation.method == "REPLY":
        return _reply(name, first.partstat)
    if invitation.is_cancelled:
        return _("Cancelled"), "bad"
    words = {
        "REQUEST": _("Changed invitation") if invitation.sequence else _("Invitation"),
        "ADD": _("Another date of a series"),
        "COUNTER": _("%(name)s proposes another time", name=name),
        "DECLINECOUNTER": _("The proposed change was not taken"),
        "REFRESH": _("%(name)s asks for the newest version", name=name),
    }
    usual = _("Task") if invitation.component == "VTODO" else _("Event")
    return str(words.get(invitation.method, usual)), ""


def _reply(name: str, partstat: str) -> tuple[str, str]:
    words = {
        "ACCEPTED": (_("%(name)s accepted", name=name), "good"),
        "DECLINED": (_("%(name)s declined", name=name), "bad"),
        "TENTATIVE": (_("%(name)s may come", name=name), "warn"),
        "DELEGATED": (_("%(name)s sends somebody else", name=name), "warn"),
    }
    return words.get(partstat, (_("%(name)s answered", name=name), ""))


def _partstat(partstat: str) -> str:
    words = {
        "ACCEPTED": _("accepted"),
        "DECLINED": _("declined"),
        "TENTATIVE": _("maybe"),
        "DELEGATED": _("sends somebody else"),
        "COMPLETED": _("done"),
        "IN-PROCESS": _("at work"),
    }
    return str(words.get(partstat, _("no answer yet")))


def _given(invitation: Invitation, given: str | None) -> str:
    """What was answered here; else what the invitation already says of it, which another program may have answered."""
    words = {
        "accepted": _("You accepted."),
        "tentative": _("You answered: maybe."),
        "declined": _("You declined."),
    }
    told = given
    if told is None and invitation.method == "REQUEST" and invitation.mine is not None:
        told = invitation.mine.partstat.lower()
    return str(words.get(told or "", ""))


def _notes(invitation: Invitation, sender: str) -> list[str]:
    notes = []
    organizer = invitation.organizer.address if invitation.organizer else ""
    if invitation.can_be_answered and _domain(organizer) != _domain(sender):
        notes.append(
            _(
                "The organizer named here is not at the domain that this message came from; your answer goes there."
            )
        )
    words = {
        "cut": _("It is very large; what lies at its end was not read."),
        "unknown-zone": _("It names a time zone that we do not know: ask before you rely on the time."),
        "bad-start": _("Its time cannot be read."),
        "no-start": _("It does not say when."),
        "bad-end": _("Its end cannot be read."),
        "end-before-start": _("It says that it ends before it begins."),
    }
    notes.extend(words[code] for code in invitation.problems if code in words)
    if invitation.more_events:
        notes.append(_("The calendar file holds more; this is the first."))
    return [str(note) for note in notes]


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()
