"""A server's complaint (ARF) names the return path of somebody of ours, so that a case is about him. Only who has his mail can."""

import pytest
from sqlalchemy import text

from webmail.db import transaction
from webmail.mail import mailboxes, receiving
from webmail.mail.addresses import parse_spec
from workers import filing, intake

ARF = """From: <fbl@isp.example>\r
To: abuse@mtumail.test\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r
\r
--b\r
Content-Type: text/plain\r
\r
A report.\r
--b\r
Content-Type: message/feedback-report\r
\r
Feedback-Type: abuse\r
User-Agent: Isp/1.0\r
Version: 1\r
Original-Mail-From: <{path}>\r
\r
--b\r
Content-Type: message/rfc822\r
\r
From: Ann <ann@mtumail.test>\r
Subject: Offer\r
Message-ID: <1@mtumail.test>\r
\r
Buy now.\r
--b--\r
"""


@pytest.fixture
def complain(worker, owner_app, superuser):
    """Whom a complaint with this return path is about."""

    def send(path):
        intake.drain()
        with owner_app.app_context(), transaction():
            to = mailboxes.resolve(parse_spec("abuse@mtumail.test"))
            receiving.receive(receiving.Envelope("fbl@isp.example", [to]), ARF.format(path=path).encode())
        filing.drain()
        intake.drain()
        newest = "SELECT account_id FROM case_file ORDER BY opened_at DESC LIMIT 1"
        return superuser.execute(text(newest)).scalar_one()

    return send


def test_P07_a_guessed_path_accuses_nobody_and_the_true_one_does(press, complain, superuser, ann):
    fields = {"to": "zoe@example.org", "subject": "Offer", "body": "Buy now.", "send": "1"}
    assert press(ann, "/compose", **fields).status_code in (200, 303)
    row = superuser.execute(text("SELECT envelope_from FROM submission"))
    path = row.scalar_one()
    tag = path.partition("+")[2].partition("@")[0]
    other_secret = path.replace(tag[-10:], "aaaaaaaaaa")
    for guessed in ("ann@mtumail.test", other_secret, path.replace("ann+", "ben+")):
        assert complain(guessed) is None
        superuser.execute(
            text("UPDATE case_file SET state = 'closed', closed_at = now() WHERE state <> 'closed'")
        )
    assert complain(path) == ann.account_id
