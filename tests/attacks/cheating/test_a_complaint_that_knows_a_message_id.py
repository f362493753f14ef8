"""A server's complaint (ARF) without a return path names a Message-ID: somebody accuses another one with an id that he has seen."""

import pytest
from sqlalchemy import text

from webmail.db import rows, show_id, transaction
from webmail.governance.cases.sealing import open_secret
from webmail.governance.quarantine import marking
from webmail.mail import fingerprint, mailboxes, messages, receiving
from webmail.mail.addresses import parse_spec
from workers import filing, intake

ARF = """From: <fbl@isp.example>\r
To: abuse@mtumail.test\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r
\r
--b\r
Content-Type: message/feedback-report\r
\r
Feedback-Type: abuse\r
User-Agent: Isp/1.0\r
Version: 1\r
\r
--b\r
Content-Type: message/rfc822\r
\r
From: {sender}\r
Subject: Offer\r
Message-ID: <{id}>\r
\r
Buy now.\r
--b--\r
"""


@pytest.fixture
def sent(press, ann, superuser, owner_app, opened, master):
    """Ann's letter as it left; (its number, its Message-ID)."""
    fields = {"to": "zoe@example.org", "subject": "Offer", "body": "Buy now.", "send": "1"}
    assert press(ann, "/compose", **fields).status_code in (200, 303)
    number = superuser.execute(text("SELECT message_id FROM submission")).scalar_one()
    raw = opened(ann, lambda keys: messages.source(keys, number))
    reference = fingerprint.reference(raw)

    def leave(_keys):
        mark = marking.reference_mark(open_secret(master), reference)
        return rows("SELECT message_named(%(message)s, %(mark)s)", {"message": number, "mark": mark})

    opened(ann, leave)
    return number, reference


@pytest.fixture
def complain(worker, owner_app, superuser):
    """Whom a complaint is about, and which message of his."""

    def send(sender: str, message_id: str):
        intake.drain()
        superuser.execute(
            text("UPDATE case_file SET state = 'closed', closed_at = now() WHERE state <> 'closed'")
        )
        with owner_app.app_context(), transaction():
            to = mailboxes.resolve(parse_spec("abuse@mtumail.test"))
            raw = ARF.format(sender=sender, id=message_id).encode()
            receiving.receive(receiving.Envelope("fbl@isp.example", [to]), raw)
        filing.drain()
        intake.drain()
        newest = "SELECT f.account_id, i.sent_message_id FROM case_file f JOIN case_item i USING (case_id) ORDER BY i.arrived_at DESC LIMIT 1"
        return tuple(superuser.execute(text(newest)).one())

    return send


def test_P07_only_the_true_id_with_its_authors_address_names_anybody(complain, sent, ann, ben):
    number, message_id = sent
    assert complain(ann.address, "guessed@mtumail.test") == (None, None)
    assert complain(ben.address, message_id) == (None, None), "it did not leave from Ben's mailbox"
    assert complain("zoe@example.org", message_id) == (None, None)
    assert complain(f"Ann <{ann.address}>", message_id) == (ann.account_id, number)


def test_P07_the_case_leads_to_the_message_by_a_grant_alone(
    complain, sent, ann, sam, browser_of, press, superuser
):
    number, message_id = sent
    complain(ann.address, message_id)
    case = superuser.execute(text("SELECT case_id FROM case_file WHERE state <> 'closed'")).scalar_one()
    page = browser_of(sam).get(f"/staff/cases/{show_id(case)}").text
    assert "Ask to open it as it was sent" in page
    form = press(
        sam, "/staff/access/new", case=show_id(case), mailbox=show_id(ann.mailbox_id), m=show_id(number)
    )
    assert "Ask to open mail" in form.text
    assert "Buy now" not in page + form.text
