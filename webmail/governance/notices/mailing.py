"""Notices by mail: to the address outside this service where the person can be reached, once each.

They leave by the outbox of the service's mailbox. Who has no such address reads them when he next comes here.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from webmail import jobs, phrases
from webmail.db import db
from webmail.governance.actions.register import APPEAL_DAYS
from webmail.governance.actions.words import open_words
from webmail.keys import MailboxKeys, MasterKeys
from webmail.mail.addresses import Address, AddressError, parse_spec
from webmail.phrases import gettext as _
from webmail.phrases import marked, ngettext
from webmail.sending import outbox, submitting
from webmail.sending.composing import Composition, CompositionError, build, new_message_id
from webmail.settings import domains, kept, languages

MOST_ATTEMPTS = 10
FIRST_RETRY = timedelta(minutes=1)
_AUTOMATIC = b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n"
FROM = "abuse"
DONE = {
    "warn": marked("We warn you: a rule was broken. Nothing else changes."),
    "no_sign_in": marked("You cannot sign in for now. Your mail is kept, and nothing is deleted."),
    "no_sending": marked("You cannot send mail for now. What you had sent waits, and is not lost."),
    "no_receiving": marked("Your mailbox takes no new mail for now. What is in it stays."),
    "revoke": marked(
        "Your mailbox name is revoked: no mail comes in or goes out under it. What is in the mailbox stays."
    ),
    "hold": marked(
        "Mail that came to you is held: it breaks a rule. You have done nothing wrong, nothing is deleted, and it comes back as"
        " it was when this ends. What it is stands in your mailbox under Held."
    ),
    "reclaim": marked(
        "Your mailbox name is taken back. It rests for two years, and nobody else gets it before. What is in the mailbox"
        " stays."
    ),
}
"""What was done; `limit` has a number, and stands in `_done`."""
RULES = {
    "spam": marked("no unsolicited bulk mail"),
    "phishing": marked("no phishing"),
    "malware": marked("no malware"),
    "fraud": marked("no fraud"),
    "harassment": marked("no harassment"),
    "illegal": marked("nothing illegal"),
    "security": marked("no danger to the security of the service or of others"),
    "name": marked("no names that belong to others or mislead"),
    "other": marked("the rules of use"),
}
"""The rule that was broken, as a person understands it."""
_SUBJECTS = {
    "action": marked("About your account"),
    "lifted": marked("It is undone"),
    "appeal": marked("Our answer to your objection"),
}


def due(limit: int = 20) -> Sequence[int]:
    """Notices that are to be mailed now."""
    return list(db.session.execute(_DUE, {"limit": limit}).scalars())


_DUE = text(
    "SELECT notice_id FROM staff_notice WHERE mail = 'waiting' AND mail_at <= now() ORDER BY mail_at LIMIT :limit"
)


def send(master: MasterKeys, keys: MailboxKeys, notice_id: int, *, origin: str) -> bool:
    """Put a notice into the outbox, and note that, in one transaction that names the service's mailbox. False where it has left
    already or somebody else holds it."""
    row = db.session.execute(_HOLD, {"notice": notice_id}).one_or_none()
    if row is None:
        return False
    words = ""
    if row.kind == "appeal":
        words = open_words(master, row.answer, row.appeal_id, "answer", "appeal")
    elif row.kind == "action":
        table = "quarantine" if row.quarantine_id else "staff_action"
        words = open_words(master, row.words, row.quarantine_id or row.action_id, "words", table)
    mail = "shown"
    if row.contact_email:
        with phrases.written_in(languages.standard()):
            subject, told = _(_SUBJECTS[row.kind]), (row.rule, row.until, row.verdict, words, row.due_at)
            body = _body(row.kind, row.what, row.amount, *told, origin)
        mail = "sent" if _submit(keys, row.contact_email, subject, body) else "failed"
    db.session.execute(_DONE, {"notice": notice_id, "mail": mail})
    return True


_HOLD = text("""
    SELECT n.kind, n.due_at, n.action_id, a.quarantine_id, a.kind AS what, a.amount, a.rule, coalesce(a.words, q.words) AS words,
           coalesce(a.until, q.until) AS until, c.contact_email, p.appeal_id,
           p.verdict, p.answer
      FROM staff_notice n JOIN staff_action a USING (action_id) JOIN account c ON c.account_id = n.account_id
      LEFT JOIN appeal p ON p.action_id = n.action_id LEFT JOIN quarantine q ON q.quarantine_id = a.quarantine_id
     WHERE n.notice_id = :notice AND n.mail = 'waiting' AND n.mail_at <= now() FOR UPDATE OF n SKIP LOCKED""")
_DONE = text("UPDATE staff_notice SET mail = :mail WHERE notice_id = :notice")


def put_off(notice_id: int) -> None:
    """Try it again later, and not for ever: it stands on its reader's page in any case."""
    db.session.execute(_PUT_OFF, {"notice": notice_id, "first": FIRST_RETRY, "most": MOST_ATTEMPTS})


_PUT_OFF = text("""
    UPDATE staff_notice SET attempts = attempts + 1, mail_at = now() + :first * power(2, attempts),
           mail = CASE WHEN attempts + 1 >= :most THEN 'failed' ELSE mail END
     WHERE notice_id = :notice AND mail = 'waiting'""")


def _body(
    kind: str,
    what: str,
    amount: int | None,
    rule: str,
    until: datetime | None,
    verdict: str | None,
    words: str,
    told_at: datetime,
    origin: str,
) -> str:
    done = _done(what, amount)
    if kind == "lifted":
        said = [_("This is over or undone: %(done)s", done=done), _("You need do nothing.")]
    elif kind == "appeal":
        came = (
            _("You were right: it is undone.")
            if verdict == "upheld"
            else _("We have looked again, and it stays.")
        )
        said = [_("You objected to this: %(done)s", done=done), came, _("The reasons:"), words]
    else:
        last = phrases.day(told_at + timedelta(days=APPEAL_DAYS))
        end = _("Until %(moment)s.", moment=phrases.moment(until)) if until else ""
        said = [done, end, _rule(_(RULES[rule]), kept.text("notices.rules")), _("Why:"), words]
        said.append(
            _(
                "If you think that this is wrong, object by %(day)s: somebody else looks at it within a week.",
                day=last,
            )
        )
    said = [kept.text("notices.greeting"), *said, kept.text("notices.ending"), f"{origin}/notices"]
    return "\n\n".join(one for one in said if one) + "\n"


def _done(what: str, amount: int | None) -> str:
    if what != "limit":
        return _(DONE[what])
    return ngettext(
        "From now on you may write to %(num)s person a day.",
        "From now on you may write to %(num)s people a day.",
        amount or 0,
    )


def _rule(rule: str, link: str) -> str:
    if link:
        return _("The rule: %(rule)s. All rules: %(link)s", rule=rule, link=link)
    return _("The rule: %(rule)s.", rule=rule)


def _submit(keys: MailboxKeys, contact: str, subject: str, body: str) -> bool:
    """False where that is no address that mail could go to."""
    try:
        to = parse_spec(contact)
        hosted = domains.names()
        if not hosted:
            return False
        sender = Address(FROM, hosted[0], "mtumail")
        composition = Composition(
            sender=sender,
            to=(to,),
            subject=subject,
            body=body,
            message_id=new_message_id(sender.domain),
            date=datetime.now(UTC),
        )
        raw = _AUTOMATIC + build(composition)
    except (AddressError, CompositionError):
        return False
    sent_id = submitting.keep_new(keys, sender.email, raw)
    outbox.submit(keys.mailbox_id, sent_id, None, sender.email, [to.email])
    jobs.ring_after_commit(jobs.SEND)
    return True
