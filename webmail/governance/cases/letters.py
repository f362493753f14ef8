"""Letters: what the staff answered, on its way to those who brought the case. Each leaves once, whoever is killed meanwhile.

To people here it is put into their mailbox as mail that came in; to others it leaves by the outbox of the service's mailbox, with
a return path of its own. Nothing answers them by itself (RFC 3834 section 5).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from webmail import jobs, phrases
from webmail.db import db, rows, show_id
from webmail.governance.cases import service
from webmail.governance.cases.sealing import open_secret
from webmail.keys import MailboxKeys, MasterKeys
from webmail.mail import receiving
from webmail.mail.addresses import Address, AddressError, base_local, parse_spec
from webmail.mail.mailboxes import Recipient
from webmail.phrases import gettext as _
from webmail.sending import outbox, submitting
from webmail.sending.composing import Composition, CompositionError, build, new_message_id
from webmail.settings import domains, languages

FIRST_RETRY, MOST_ATTEMPTS = timedelta(minutes=1), 10
_AUTOMATIC = b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n"
_NAME = "mtumail"


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that waits. `mailbox_id`: of whom it goes to, where he is here; else of the service, from where it leaves."""

    answer_id: int
    item_id: int
    mailbox_id: int
    here: bool
    message_id: int | None


def due(limit: int = 20) -> list[Letter]:
    """Letters whose time has come."""
    found = rows(_DUE, {"limit": limit})
    home = service.mailbox() if found else None
    letters = []
    for answer_id, item_id, mailbox_id in found:
        where = mailbox_id if mailbox_id is not None else home
        if where is not None:
            letters.append(Letter(answer_id, item_id, where, mailbox_id is not None, None))
    return letters


_DUE = """
    SELECT l.answer_id, l.item_id, i.report_mailbox_id FROM case_letter l JOIN case_item i USING (item_id)
     WHERE l.state = 'waiting' AND l.due_at <= now() ORDER BY l.due_at LIMIT %(limit)s"""


def send(master: MasterKeys, letter: Letter, keys: MailboxKeys | None, origin: str) -> bool:
    """Put a letter into its mailbox or the outbox, and note that; in one transaction, which names the letter's mailbox.

    `keys`: of the service's mailbox, for letters to others. False where it has left already or somebody else holds it.
    """
    found = rows(_HOLD, {"answer": letter.answer_id, "item": letter.item_id})
    if not found:
        return False
    secret = open_secret(master)
    sealed, contact, report_id = found[0]
    words = secret.open(sealed, "case_answer", letter.answer_id, "words")
    if letter.here:
        state = "sent" if _to_mailbox(letter, words, report_id, origin) else "shown"
    else:
        assert keys is not None
        told = json.loads(secret.open(contact, "case_item", letter.item_id, "contact") or "{}")
        state = "sent" if _to_outbox(keys, words, told) else "failed"
    values = {"answer": letter.answer_id, "item": letter.item_id, "state": state}
    db.session.execute(_DONE, values)
    return True


_HOLD = """
    SELECT a.words, i.contact, i.report_id FROM case_letter l JOIN case_answer a USING (answer_id) JOIN case_item i USING (item_id)
     WHERE l.answer_id = %(answer)s AND l.item_id = %(item)s AND l.state = 'waiting' FOR UPDATE OF l SKIP LOCKED"""
_DONE = text("UPDATE case_letter SET state = :state WHERE answer_id = :answer AND item_id = :item")


def put_off(letter: Letter) -> None:
    """Try a letter again later, and not for ever: it stands on its reader's page in any case."""
    values = {"answer": letter.answer_id, "item": letter.item_id, "first": FIRST_RETRY, "most": MOST_ATTEMPTS}
    db.session.execute(_PUT_OFF, values)


_PUT_OFF = text("""
    UPDATE case_letter SET attempts = attempts + 1, due_at = now() + :first * power(2, attempts),
           state = CASE WHEN attempts + 1 >= :most THEN 'failed' ELSE state END
     WHERE answer_id = :answer AND item_id = :item AND state = 'waiting'""")


def _to_mailbox(letter: Letter, words: str, report_id: int, origin: str) -> bool:
    """False for a mailbox that takes nothing any more."""
    found = rows(_RECIPIENT, {"mailbox": letter.mailbox_id, "report": report_id})
    if not found:
        return False
    public_key, local, domain, name, message_id = found[0]
    to = f"{local}@{domain}"
    link = f"{origin}/report/{show_id(message_id)}"
    raw = _written(
        Address(service.ANSWERS_FROM, domain),
        Address(local, domain, name),
        _subject(),
        f"{words}\n\n{link}\n",
    )
    receiving.receive(receiving.Envelope("", [Recipient(letter.mailbox_id, bytes(public_key), to)]), raw)
    jobs.ring_after_commit(jobs.FILE)
    return True


_RECIPIENT = """
    SELECT m.public_key, a.local_part, d.name, m.display_name, r.message_id
      FROM mailbox m JOIN address a ON a.mailbox_id = m.mailbox_id AND a.is_primary JOIN domain d USING (domain_id)
      JOIN report r ON r.mailbox_id = m.mailbox_id AND r.report_id = %(report)s
     WHERE m.mailbox_id = %(mailbox)s AND m.state <> 'closed'"""


def _to_outbox(keys: MailboxKeys, words: str, told: dict[str, Any]) -> bool:
    """False where what was given is no address that mail could go to."""
    try:
        to = parse_spec(told.get("to", ""))
        sender = _sender(told.get("from", ""))
        subject = told.get("subject", "")
        reply = f"Re: {subject}" if subject and not subject.lower().startswith("re:") else subject
        before = f"<{told['message_id']}>" if told.get("message_id") else None
        raw = _written(
            sender,
            Address(to.local, to.domain, told.get("name", "")),
            reply or _subject(),
            f"{words}\n",
            before,
        )
    except (AddressError, CompositionError):
        return False
    sent_id = submitting.keep_new(keys, sender.email, raw)
    outbox.submit(keys.mailbox_id, sent_id, None, sender.email, [to.email])
    jobs.ring_after_commit(jobs.SEND)
    return True


def _subject() -> str:
    with phrases.written_in(languages.standard()):
        return _("What you reported")


def _sender(written_to: str) -> Address:
    """The service's address that somebody wrote to; abuse@ of the first hosted domain for who used the form."""
    hosted: Sequence[str] = domains.names()
    try:
        to = parse_spec(written_to)
    except AddressError:
        to = Address("", "")
    if to.domain in hosted:
        return Address(base_local(to.local), to.domain, _NAME)
    if not hosted:
        raise AddressError("no-domain")
    return Address(service.ANSWERS_FROM, hosted[0], _NAME)


def _written(sender: Address, to: Address, subject: str, body: str, before: str | None = None) -> bytes:
    composition = Composition(
        sender=Address(sender.local, sender.domain, _NAME),
        to=(to,),
        subject=subject[:300],
        body=body,
        in_reply_to=before,
        references=(before,) if before else (),
        message_id=new_message_id(sender.domain),
        date=datetime.now(UTC),
    )
    return _AUTOMATIC + build(composition)
