"""What comes back by itself: a report of failed delivery, and an answer by machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime

from webmail.embedded.demo_mail import wire
from webmail.embedded.demo_mail.cast import ANN, LUCIE, PETER
from webmail.embedded.demo_mail.story import Person, Story


def tell(story: Story) -> None:
    _bounced(story)
    _away(story)


def _bounced(story: Story) -> None:
    """A message that could not be delivered, its report (RFC 3464), and the second try."""
    day = story.calendar.workday
    wrong = replace(PETER, address="p.olollo@tolwe-water.example.net")
    sent = story.mail(
        ANN,
        [wrong],
        day(17, "09:20", 2),
        "Lunch for forty",
        """
        Dear Peter,

        200 kg of maize and 60 kg of beans are paid and can be fetched from the
        store in Marwa with the attached number: 4471. Please thank your sister.

        Ann
        """,
    )
    explained = wire.text(
        wire.tidy(f"""
        This is the mail system at host relay.{story.domain}.

        I'm sorry to have to inform you that your message could not
        be delivered to one or more recipients. It's attached below.

        <{wrong.address}>: host mx.tolwe-water.example.net[198.51.100.25] said: 550 5.1.1
            <{wrong.address}>: Recipient address rejected: User unknown
            (in reply to RCPT TO command)
        """)
    )
    status = (
        f"Reporting-MTA: dns; relay.{story.domain}\r\n"
        f"Arrival-Date: {format_datetime(sent.date)}\r\n\r\n"
        f"Final-Recipient: rfc822; {wrong.address}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Remote-MTA: dns; mx.tolwe-water.example.net\r\n"
        f"Diagnostic-Code: smtp; 550 5.1.1 <{wrong.address}>: Recipient address\r\n"
        "    rejected: User unknown\r\n"
    )
    report = wire.multipart(
        "report",
        [
            explained,
            wire.Part(("Content-Type: message/delivery-status",), status.encode()),
            wire.Part(("Content-Type: message/rfc822",), sent.raw),
        ],
        " report-type=delivery-status;",
    )
    daemon = Person("Mail Delivery System", f"MAILER-DAEMON@relay.{story.domain}")
    story.mail(
        daemon,
        [ANN],
        sent.date + timedelta(minutes=1),
        "Undelivered Mail Returned to Sender",
        "",
        extra=["Auto-Submitted: auto-replied"],
        envelope="",
        body=report,
    )
    story.mail(
        ANN,
        [PETER],
        day(17, "09:26", 2),
        "Lunch for forty",
        """
        Dear Peter,

        second try, I had put one l too many into your name. 200 kg of maize and 60
        kg of beans are paid and can be fetched from the store in Marwa with the
        number 4471. Please thank your sister.

        Ann
        """,
    )
    story.mail(
        PETER,
        [ANN],
        day(16, "20:14", 3),
        "Re: Lunch for forty",
        """
        Madam Ann,

        maize fetched, beans fetched. My sister says forty is what you call it, she
        is cooking for sixty. Nobody in Tolwe digs alone.

        Peter
        """,
        starred=True,
    )


def _away(story: Story) -> None:
    """An answer by machine (RFC 3834)."""
    day = story.calendar.workday
    question = story.mail(
        ANN,
        [LUCIE],
        day(31, "10:00", 2),
        "Chlorine test strips: which ones?",
        """
        Bonjour Lucie,

        the store offers strips for 0 to 3 mg/l and for 0 to 10. I would take the
        first. Any reason not to?

        Ann
        """,
    )
    story.mail(
        LUCIE,
        [ANN],
        day(31, "10:01", 1),
        "Absence : Re: Chlorine test strips: which ones?",
        f"""
        Bonjour,

        je suis en mission sur le terrain jusqu'au {day(26, "09:00").day}/{day(26, "09:00").month} et je lis
        mes messages le soir, quand le réseau le veut bien. Pour une urgence sanitaire, appelez le labo.

        I am in the field and read mail in the evenings only.

        Lucie Fontaine
        """,
        answers=question,
        extra=["Auto-Submitted: auto-replied", "X-Auto-Response-Suppress: All", "Precedence: bulk"],
        envelope="",
    )
