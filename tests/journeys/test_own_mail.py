"""Mail from one of our people to another: out through the relay, back in through inbound, and confirmed; a forgery is not."""

import smtplib
import uuid
from email.message import EmailMessage
from html import unescape

import pytest

pytestmark = pytest.mark.slow

CONFIRMED = "Sender confirmed"
UNPROVEN = "It says it is from your own service"


def shown(client, eventually, subject):
    """The page of the message with this subject, found in the inbox."""
    rows = lambda: client.get("/mail/inbox").rows()  # noqa: E731
    found = eventually(lambda: [row for row in rows() if row[2] == subject], 20, f"{subject!r} in the inbox")
    page = client.get(found[0][1])
    assert page.status == 200
    return unescape(page.text)


def test_mail_between_two_of_us_is_confirmed(ann_client, ben_client, relayed, eventually):
    subject = f"From the next desk {uuid.uuid4().hex[:10]}"
    composer = ann_client.get("/compose")
    values = {"to": "ben@mtumail.test", "subject": subject, "body": "Grüße – it is me.\n"}
    ann_client.press(composer, composer.form(id="compose"), "Send", **values)
    assert relayed(subject).raw.count(b"DKIM-Signature: v=1;") == 2
    text = shown(ben_client, eventually, subject)
    assert CONFIRMED in text
    assert UNPROVEN not in text


@pytest.mark.parametrize("how", ["unsigned", "with the signature of another message"])
def test_whoever_forges_one_of_us_is_not_confirmed(service, ann_client, ben_client, relayed, eventually, how):
    subject = f"Pay at once {uuid.uuid4().hex[:10]}"
    message = EmailMessage()
    message["From"] = "Ann Whitfield <ann@mtumail.test>"
    message["To"] = "ben@mtumail.test"
    message["Subject"] = subject
    message["Message-ID"] = f"<{uuid.uuid4().hex}@mtumail.test>"
    message["Date"] = "Mon, 23 Nov 2026 10:00:00 +0000"
    message.set_content("Send money.\n")
    raw = bytes(message).replace(b"\n", b"\r\n")
    if how != "unsigned":
        genuine = f"Lunch {uuid.uuid4().hex[:10]}"
        composer = ann_client.get("/compose")
        values = {"to": "zoe@example.org", "subject": genuine, "body": "At noon?\n"}
        ann_client.press(composer, composer.form(id="compose"), "Send", **values)
        signatures, _, _ = relayed(genuine).raw.partition(b"Date: ")
        raw = signatures[signatures.index(b"DKIM-Signature: ") :] + raw
    with smtplib.SMTP("127.0.0.1", service.smtp_port, timeout=20) as server:
        server.sendmail("ann@mtumail.test", ["ben@mtumail.test"], raw)
    text = shown(ben_client, eventually, subject)
    assert UNPROVEN in text
    assert CONFIRMED not in text
