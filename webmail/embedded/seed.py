"""The demo people and their mail, written by the very verbs that real mail goes through. Safe to repeat: what is there stays."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import select, text, update

from webmail import create_core
from webmail.config import Settings
from webmail.db import db, transaction
from webmail.embedded.demo_mail import DemoMessage, messages
from webmail.embedded.people import DEMO_PEOPLE, DemoPerson
from webmail.errors import SettingError
from webmail.governance.quarantine.marking import Marking
from webmail.identity import accounts, roles
from webmail.keys import MailboxKeys, MasterKeys, open_mailbox
from webmail.mail import filing, mailboxes, reading, receiving
from webmail.mail.addresses import parse_spec
from webmail.mail.folders import Kind
from webmail.mail.mailboxes import Recipient, WorkerJob
from webmail.mail.models import MailAddress, Message
from webmail.sending import outbox
from webmail.sending.models import Delivery
from webmail.settings import dkim_keys, domains

DOMAIN = "mtumail.test"
ACTOR = "system:seed"


def seed(environment: Mapping[str, str], empty: bool) -> None:
    """Make the demo people, and unless `empty` their mail. `environment` holds DATABASE_URL of the owner and the master key."""
    settings = Settings.from_environment(environment)
    if settings.environment == "production":
        raise SettingError("MTUMAIL_ENV", "is production: the demo people are not for it", "development")
    app = create_core(settings, "seed")
    master: MasterKeys = app.extensions["master_keys"]
    with app.app_context():
        with transaction():
            dkim_keys.ensure(master, domains.host(DOMAIN), ACTOR)
        mail = [] if empty else messages(datetime.now(UTC), DOMAIN)
        for person in DEMO_PEOPLE:
            _person(
                master,
                person,
                settings.quota_bytes,
                [item for item in mail if item.mailbox == person.username],
            )
        _grant_roles()


def _person(master: MasterKeys, person: DemoPerson, quota_bytes: int, mail: Sequence[DemoMessage]) -> None:
    """A person with mailbox and mail in one transaction: a seeding that is cut short leaves no half mailbox."""
    with transaction():
        account_id = accounts.meet(person.user_id, person.full_name, person.email)
        known = select(MailAddress.mailbox_id).where(MailAddress.local_part == person.username)
        if db.session.execute(known).first():
            return
    mailbox_id = mailboxes.new_mailbox_id()
    with transaction(mailbox_id):
        mailboxes.create(
            master,
            account_id=account_id,
            name=person.full_name,
            local_part=person.username,
            domain=DOMAIN,
            quota_bytes=quota_bytes,
            actor=ACTOR,
        )
        keys = open_mailbox(master, mailbox_id, WorkerJob("file", mailbox_id))
        recipient = mailboxes.resolve(parse_spec(person.email))
        if not isinstance(recipient, Recipient):
            raise RuntimeError(f"the new mailbox takes no mail: {recipient}")
        for item in mail:
            _keep(master, keys, recipient, item)
        db.session.execute(text("DELETE FROM work WHERE mailbox_id = :mailbox"), {"mailbox": mailbox_id})


def _keep(master: MasterKeys, keys: MailboxKeys, recipient: Recipient, item: DemoMessage) -> None:
    [message_id] = receiving.receive(receiving.Envelope(item.envelope_from, [recipient]), item.raw)
    filing.file(keys, message_id, Marking(master, message_id))
    kind = Kind[item.folder.upper()]
    values = {
        "folder_id": int(kind),
        "direction": "out" if kind is Kind.SENT else "in",
        "received_at": item.received_at,
        "unread": item.unread,
        "starred": item.starred,
    }
    mine = (Message.mailbox_id == keys.mailbox_id, Message.message_id == message_id)
    db.session.execute(
        update(Message).where(*mine).values(**values).execution_options(synchronize_session=False)
    )
    if kind is Kind.SENT:
        _sent_long_ago(keys, message_id, item.received_at)


def _sent_long_ago(keys: MailboxKeys, message_id: int, when: datetime) -> None:
    view = reading.load(keys, message_id)
    people = [email for _name, email in (*view.to, *view.cc)]
    submission_id = outbox.submit(keys.mailbox_id, message_id, None, view.sender[1], people)
    mine = (Delivery.mailbox_id == keys.mailbox_id, Delivery.submission_id == submission_id)
    values = {
        "state": "sent",
        "attempts": 1,
        "reply_code": 250,
        "reply": "250 2.0.0 Ok: queued",
        "changed_at": when,
    }
    db.session.execute(
        update(Delivery).where(*mine).values(**values).execution_options(synchronize_session=False)
    )


def _grant_roles() -> None:
    with transaction():
        for person in DEMO_PEOPLE:
            if person.role != "user":
                account_id = accounts.meet(person.user_id)
                if person.role not in roles.held(account_id):
                    roles.grant(account_id, person.role, by=None, reason="demo", actor=ACTOR)
                    # Their inboxes begin with what the demo puts into them.
                    db.session.execute(
                        text("DELETE FROM errand WHERE account_id = :account"), {"account": account_id}
                    )
