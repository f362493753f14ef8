"""Answering invitations: an iTIP REPLY leaves as any other mail does, and what was answered is remembered."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as insert_or_update

from webmail import jobs
from webmail.db import db
from webmail.errors import NotFound, Refused
from webmail.keys import MailboxKeys
from webmail.mail import calendar, identities, reading
from webmail.mail.addresses import Address, parse_spec
from webmail.mail.calendar import Invitation, Partstat
from webmail.mail.mailboxes import refuse_unless_active, refuse_when_full
from webmail.mail.models import InvitationAnswer
from webmail.sending import answering, limits, outbox, submitting
from webmail.sending.composing import Composition, new_message_id, reply
from webmail.sending.composing.invitation import build_answer

ANSWERS: Final[dict[str, Partstat]] = {
    "accepted": "ACCEPTED",
    "tentative": "TENTATIVE",
    "declined": "DECLINED",
}
MAX_PARTS: Final = 3  # calendar files of one message that are looked into
_TYPES: Final = ("text/calendar", "application/ics")


@dataclass(frozen=True, slots=True)
class Opened:
    """An invitation in a message, and the calendar object it was read from."""

    invitation: Invitation
    source: bytes


def open_one(keys: MailboxKeys, message_id: int, view: reading.View) -> Opened | None:
    """The invitation in a message: the first calendar object with a method, else the first with an event; None without any.

    Costs nothing for mail without calendar files.
    """
    candidates = _candidates(view)
    if not candidates:
        return None
    mine = identities.own(keys.mailbox_id).keys
    without_method = None
    for number in candidates:
        try:
            _, content = reading.part(keys, message_id, number)
        except NotFound:
            continue
        invitation = calendar.read(content, own_addresses=mine)
        if invitation is not None and invitation.method:
            return Opened(invitation, content)
        if invitation is not None and without_method is None:
            without_method = Opened(invitation, content)
    return without_method


def _candidates(view: reading.View) -> list[int]:
    """Numbers of parts, those that say that they are calendars first."""
    typed = [item.number for item in view.files if item.content_type in _TYPES]
    named = [item.number for item in view.files if item.name.lower().endswith(".ics")]
    return list(dict.fromkeys([*typed, *named]))[:MAX_PARTS]


def given(mailbox_id: int, message_id: int) -> str | None:
    """What was answered last to the invitation in a message: accepted, tentative or declined."""
    mine = (InvitationAnswer.mailbox_id == mailbox_id, InvitationAnswer.message_id == message_id)
    return db.session.execute(select(InvitationAnswer.answer).where(*mine)).scalar()


def answer(
    keys: MailboxKeys,
    message_id: int,
    word: str,
    *,
    account_id: int,
    author: tuple[str, str],
    words: Callable[[Invitation], tuple[str, str]],
) -> int | None:
    """Answer the invitation in a message with accepted, tentative or declined; the id of the sent message. `words` makes the
    subject and the text of an invitation's answer.

    None when that was the answer already: two presses send one mail. Another answer goes out anew, and the later one counts (its
    DTSTAMP is later, RFC 5546 section 2.1.5). Runs in the caller's transaction. Raises NotFound where there is no invitation,
    Refused where it cannot be answered, or not before there is room under the limit, CompositionError for words that cannot leave.
    """
    refuse_unless_active(keys.mailbox_id)
    if word not in ANSWERS:
        raise NotFound("answer")
    view = reading.load(keys, message_id)
    found = open_one(keys, message_id, view)
    if found is None:
        raise NotFound("invitation")
    if not found.invitation.can_be_answered or found.invitation.organizer is None:
        raise Refused("This invitation cannot be answered by mail.")
    stamp = _remember(keys.mailbox_id, message_id, word)
    if stamp is None:
        return None
    refuse_when_full(keys.mailbox_id)
    # It has no draft that could wait.
    if limits.room_at(keys.mailbox_id, account_id, 1) is not None:
        raise Refused("You wrote to as many people as you may for now. Answer later.")
    me = found.invitation.mine
    attendee = (author[0] or (me.name if me else ""), me.address if me else author[1])
    written = calendar.answer(found.source, attendee, ANSWERS[word], now=stamp)
    subject, text = words(found.invitation)
    composition = _composition(view, found.invitation.organizer, author, subject, text)
    sent_id = submitting.keep_new(keys, author[1], build_answer(composition, written))
    outbox.mark_answered(keys.mailbox_id, message_id, forwarded=False)
    outbox.submit(keys.mailbox_id, sent_id, account_id, author[1], [composition.to[0].email])
    jobs.ring_after_commit(jobs.SEND)
    return sent_id


def _remember(mailbox_id: int, message_id: int, word: str) -> datetime | None:
    """Write the answer down over an earlier one; the moment that it counts from. None when it was the answer before.

    A second press waits for the first here. A DTSTAMP has whole seconds, so an answer is at least one after that before it.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    mine = (InvitationAnswer.mailbox_id == mailbox_id, InvitationAnswer.message_id == message_id)
    before = select(InvitationAnswer.answer, InvitationAnswer.answered_at).where(*mine).with_for_update()
    row = db.session.execute(before).first()
    if row is not None and row.answer == word:
        return None
    if row is not None:
        now = max(now, row.answered_at.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1))
    statement = insert_or_update(InvitationAnswer).values(
        mailbox_id=mailbox_id, message_id=message_id, answer=word, answered_at=now
    )
    fresh = {"answer": statement.excluded.answer, "answered_at": statement.excluded.answered_at}
    statement = statement.on_conflict_do_update(
        index_elements=["mailbox_id", "message_id"],
        set_=fresh,
        where=InvitationAnswer.answer != statement.excluded.answer,
    )
    written = db.session.execute(statement.returning(InvitationAnswer.answered_at)).scalar()
    return now if written is not None else None


def _composition(
    view: reading.View, organizer: calendar.Person, author: tuple[str, str], subject: str, text: str
) -> Composition:
    sender, to = parse_spec(author[1]), parse_spec(organizer.address)
    thread = reply(answering.original(view), [sender], "")
    return Composition(
        sender=Address(sender.local, sender.domain, author[0]),
        to=(Address(to.local, to.domain, organizer.name),),
        subject=subject,
        body=text,
        in_reply_to=thread.in_reply_to,
        references=thread.references,
        message_id=new_message_id(sender.domain),
        date=datetime.now(UTC),
    )
