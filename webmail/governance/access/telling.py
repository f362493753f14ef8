"""Telling owners that their mail was opened: a letter in their own inbox, once for each access, when it is over.

What is under a gag waits until it ends; its sealed entries in the log are opened then, in their old places.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, text

from webmail import audit, phrases
from webmail.db import db, show_id
from webmail.keys import MasterKeys
from webmail.mail.addresses import Address, parse_spec
from webmail.mail.mailboxes import Recipient
from webmail.mail.receiving import Envelope, receive
from webmail.phrases import gettext as _
from webmail.phrases import ngettext, nmarked
from webmail.sending.composing import Composition, build, new_message_id
from webmail.settings import languages

_AUTOMATIC = b"Auto-Submitted: auto-generated\r\n"
_OPENED = {
    "prevent-abuse": nmarked(
        "Our staff opened one message of yours on %(when)s, to look into a report of abuse (case %(case)s).",
        "Our staff opened %(num)s messages of yours on %(when)s, to look into a report of abuse (case %(case)s).",
    ),
    "provide": nmarked(
        "Our staff opened one message of yours on %(when)s, to get the service working again (case %(case)s).",
        "Our staff opened %(num)s messages of yours on %(when)s, to get the service working again (case %(case)s).",
    ),
    "troubleshoot": nmarked(
        "Our staff opened one message of yours on %(when)s, to find out why mail did not arrive (case %(case)s).",
        "Our staff opened %(num)s messages of yours on %(when)s, to find out why mail did not arrive (case %(case)s).",
    ),
    "protect": nmarked(
        "Our staff opened one message of yours on %(when)s, to look into a security alert (case %(case)s).",
        "Our staff opened %(num)s messages of yours on %(when)s, to look into a security alert (case %(case)s).",
    ),
    "comply-with-law": nmarked(
        "Our staff opened one message of yours on %(when)s, because the law demanded it (case %(case)s).",
        "Our staff opened %(num)s messages of yours on %(when)s, because the law demanded it (case %(case)s).",
    ),
}
"""By purpose; the number is that of messages."""


def due(limit: int = 20) -> list[tuple[int, int]]:
    """Accesses that are over and whose owners were not told: mailbox and grant. For the worker."""
    return [tuple(row) for row in db.session.execute(_DUE, {"limit": limit})]


# The index holds what is not told yet, and nothing else: looking costs the same beside a million that are.
_DUE = text("""
    SELECT mailbox_id, grant_id FROM access_grant
     WHERE opened_at IS NOT NULL AND told_at IS NULL AND (expires_at <= clock_timestamp() OR state = 'closed')
       AND NOT access_is_gagged(mailbox_id, grant_id) ORDER BY expires_at LIMIT :limit""")


def tell(master: MasterKeys, mailbox_id: int, grant_id: int, *, origin: str) -> bool:
    """Write the letter, and open what was sealed in the log; False when somebody else has, or may not yet.

    In a transaction of the worker on that mailbox: it is told and noted as told, or neither.
    """
    row = db.session.execute(_TOLD, {"mailbox": mailbox_id, "grant": grant_id}).one_or_none()
    if row is None:
        return False
    for event in db.session.execute(_SEALED, {"mailbox": mailbox_id, "grant": grant_id}).scalars():
        audit.unseal(master, event)
    box = db.session.execute(_BOX, {"mailbox": mailbox_id}).one_or_none()
    if box is not None:
        raw = _letter(parse_spec(box.address), row, origin)
        receive(Envelope("", [Recipient(mailbox_id, bytes(box.public_key), box.address)]), raw)
    return True


_TOLD = text("""
    UPDATE access_grant SET told_at = clock_timestamp()
     WHERE mailbox_id = :mailbox AND grant_id = :grant AND opened_at IS NOT NULL AND told_at IS NULL
       AND (expires_at <= clock_timestamp() OR state = 'closed') AND NOT access_is_gagged(mailbox_id, grant_id)
 RETURNING opened_at, purpose, case_id,
           (SELECT count(DISTINCT message_id) FROM access_act a
             WHERE a.mailbox_id = :mailbox AND a.grant_id = :grant) AS messages""")
_SEALED = text("""
    SELECT a.event FROM access_act a JOIN audit_sealed s ON s.number = a.event LEFT JOIN audit_opened o ON o.number = a.event
     WHERE a.mailbox_id = :mailbox AND a.grant_id = :grant AND o.number IS NULL ORDER BY a.event""")
_BOX = text("""
    SELECT m.public_key, a.local_part || '@' || d.name AS address
      FROM mailbox m JOIN address a ON a.mailbox_id = m.mailbox_id AND a.is_primary JOIN domain d USING (domain_id)
     WHERE m.mailbox_id = :mailbox AND m.state <> 'closed'""")


def _letter(to: Address, row: Row[*tuple[Any, ...]], origin: str) -> bytes:
    opened_at, purpose, case_id, count = row
    with phrases.written_in(languages.standard()):
        when, case = phrases.full_moment(opened_at), show_id(case_id)
        body = _body(ngettext(*_OPENED[purpose], count, when=when, case=case), f"{origin}/access-log")
        subject, name = _("Our staff opened mail of yours"), _("mtumail access log")
    composition = Composition(
        sender=Address("mailer-daemon", to.domain, name),
        to=(to,),
        subject=subject,
        body=body,
        message_id=new_message_id(to.domain),
        date=datetime.now(UTC),
    )
    return _AUTOMATIC + build(composition)


def _body(opened: str, link: str) -> str:
    paragraphs = [
        opened,
        _(
            "A second person had to agree, unless it was a legal emergency; it was written down before anything was shown; and a "
            "colleague who had no part in it reviews it."
        ),
        _("Which messages and which parts, and what the review says, you see here:\n\n%(link)s", link=link),
        _("The entry there comes with a proof that it stands in our log."),
    ]
    return "\n\n".join(paragraphs) + "\n"
