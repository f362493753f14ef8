"""An account with words in every corner is deleted; then everything that remains is searched for them, and for any key that opens."""

import logging

import pytest
from sqlalchemy import text

from webmail import jobs
from webmail.db import transaction
from webmail.errors import KeyTrouble, Tampered
from webmail.keys import MailboxKeys
from webmail.mail import contacts, identities
from webmail.mail.contacts import Details
from webmail.mail.identities import Identity
from webmail.privacy.erasure import asking, doing
from webmail.sending import drafts
from webmail.sending.drafts import Fields, Upload

WORDS = {
    "subject": "qzsubjectwren", "body": "qzbodyheron", "file": "qzfileplover", "draft": "qzdraftcurlew", "attachment": "qzattachdunlin",
    "contact": "qzcontactgodwit", "signature": "qzsignaturesnipe", "sender": "qzsenderruff",
}  # fmt: skip


def everything(superuser):
    """Every value of every table, as (table, column, value): TOAST included, as Postgres puts it together."""
    columns = superuser.execute(
        text("SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN information_schema.tables t"
             " USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'")
    ).all()  # fmt: skip
    for table, column in columns:
        for value in superuser.execute(text(f'SELECT "{column}" FROM "{table}"')).scalars():
            if value is not None:
                yield (
                    table,
                    column,
                    bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode(),
                )


@pytest.fixture
def full(ann, opened, deliver, letter):
    deliver(
        ann,
        letter(
            WORDS["subject"],
            f"{WORDS['body']}\r\n",
            sender=f"{WORDS['sender']} <{WORDS['sender']}@example.org>",
        ),
    )

    def fill(keys):
        draft = drafts.create(
            keys, (ann.name, ann.address), Fields(subject=WORDS["draft"], body=WORDS["draft"])
        )
        upload = Upload(f"{WORDS['file']}.txt", "text/plain", WORDS["attachment"].encode() * 400)
        drafts.attach(keys, draft.message_id, [upload], 10**6)
        contacts.add(keys, Details(name=WORDS["contact"], addresses=(f"{WORDS['contact']}@example.org",)))
        identities.keep(keys, Identity(0, "Ann", ann.address, signature=WORDS["signature"]))

    opened(ann, fill)
    return ann


def test_P24_a_deleted_account_leaves_no_decryptable_byte(full, worker, web_app, master, superuser, caplog):
    caplog.set_level(logging.DEBUG)
    jobs.bell.redis.flushall()
    [wrapped] = superuser.execute(text("SELECT wrapped FROM mailbox_key")).scalars()
    assert opens(master, wrapped, full.mailbox_id)
    bundle = MailboxKeys(master, full.mailbox_id, bytes(wrapped))._bundle
    own = superuser.execute(text("SELECT content_key FROM message")).scalars().all()
    with web_app.app_context(), transaction():
        erasure = asking.ask(full.account_id)
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(
        text(
            "UPDATE erasure SET asked_at = asked_at - interval '40 days', due_at = due_at - interval '40 days'"
        )
    )
    superuser.exec_driver_sql("SET session_replication_role = origin")
    more = True
    while more:
        with worker.app_context(), transaction():
            step = doing.look(erasure)
            more = doing.go_on(master, step)
    with worker.app_context(), transaction():
        doing.told(doing.look(erasure), arrived=True)

    left = list(everything(superuser))
    assert len(left) > 50, "the database was looked into"
    gone = [bytes(wrapped), *map(bytes, own), bundle]
    for table, column, value in left:
        for kind, word in WORDS.items():
            for form in (word.encode(), word.encode("utf-16-le"), word.encode().hex().encode()):
                assert form not in value, (kind, table, column)
        for key in gone:
            assert key not in value, (table, column)
            assert key.hex().encode() not in value, (table, column)
        assert not opens(master, value, full.mailbox_id), (table, column)
        if (table, column) not in {("errand", "facts"), ("session_denial", "subject")}:
            assert full.user_id.encode() not in value, (table, column)
        assert full.address.encode() not in value, (table, column)
        assert b"elsewhere.example" not in value, (table, column)

    for name in jobs.bell.redis.scan_iter():
        held = name + repr(jobs.bell.redis.dump(name)).encode()
        assert not any(word.encode() in held for word in [*WORDS.values(), full.address])
    for word in [*WORDS.values(), full.address, full.user_id]:
        assert word not in caplog.text


def opens(master, value, mailbox_id):
    """Whether the master key opens it as the keys of this mailbox."""
    try:
        MailboxKeys(master, mailbox_id, bytes(value))
    except (KeyTrouble, Tampered, ValueError):
        return False
    return True


def test_the_search_can_find_what_is_there(full, master, superuser):
    """Otherwise the test above could not fail."""
    left = list(everything(superuser))
    assert any(
        opens(master, value, full.mailbox_id) for table, _column, value in left if table == "mailbox_key"
    )
    assert any(full.address.split("@")[0].encode() == value for _table, _column, value in left)
    assert any(b"elsewhere.example" in value for _table, _column, value in left)
