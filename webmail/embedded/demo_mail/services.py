"""Mail by machines: receipts, parcels, codes, warnings and a list digest."""

from __future__ import annotations

from email.utils import format_datetime

from webmail.embedded.demo_mail import files, wire
from webmail.embedded.demo_mail.cast import ANN, GRACE
from webmail.embedded.demo_mail.story import Person, Story, spoken
from webmail.embedded.demo_mail.wire import File

RAIL = Person("Valley Rail", "tickets@valley-rail.example.com", 2)
BOOKS = Person("Otter & Quill Books", "orders@otter-quill.example.net", 1)
POST = Person("Heron Parcels", "no-reply@track.heron-parcels.example.com", 2)
BANK = Person("Lakeside Savings", "no-reply@lakeside-savings.example.org", 2)
LIST = Person("rural-water list", "rural-water@lists.openwells.example.org", 0)


def tell(story: Story) -> None:
    _receipts(story)
    _parcel(story)
    _account(story)
    _digests(story)
    _trash(story)


def _receipts(story: Story) -> None:
    day = story.calendar.workday
    travel = story.calendar.workday(55, "07:42", 2)
    story.mail(
        RAIL,
        [ANN],
        day(60, "21:17", 2),
        "Your ticket: Port Lune to Marwa",
        f"""
        Thank you, Ann Whitfield.

        {spoken(travel)}, 07:42 Port Lune - 11:05 Marwa
        2nd class, coach 4, seat 61, forward, quiet

        Paid           18.40
        of which tax    1.36

        Show the attached page or just the number: VR 7K4 22P
        """,
        files=[
            File(
                "ticket-VR7K422P.pdf",
                "application/pdf",
                files.pdf(["Valley Rail", "Port Lune - Marwa 07:42", "Coach 4, seat 61", "VR 7K4 22P"]),
            )
        ],
        extra=["Auto-Submitted: auto-generated"],
        envelope="bounces@valley-rail.example.com",
    )
    logo = File("logo.png", "image/png", files.badge((116, 58, 32)), "logo@otter-quill.example.net")
    story.mail(
        BOOKS,
        [ANN],
        day(29, "10:02", 1),
        "Receipt for your order OQ-20931",
        """
        Hello Ann,

        "Wells, Springs and Other Holes", used, good        9.50
        "A Field Guide to Frogs", new                       14.00
        Postage                                              3.20
                                                           ------
        Paid by card ending 4410                            26.70

        We wrapped the frogs twice.
        Otter & Quill
        """,
        html="""
        <html><body style="font-family:Georgia,serif;color:#332">
        <p><img src="cid:logo@otter-quill.example.net" width="96" height="32" alt="Otter &amp; Quill"></p>
        <p>Hello Ann,</p>
        <table border="0" cellpadding="6" cellspacing="0" width="420" style="border-collapse:collapse">
        <tr style="border-bottom:1px solid #cba"><td>Wells, Springs and Other Holes <i>(used, good)</i></td>
        <td align="right">9.50</td></tr>
        <tr style="border-bottom:1px solid #cba"><td>A Field Guide to Frogs</td><td align="right">14.00</td></tr>
        <tr style="border-bottom:1px solid #cba"><td>Postage</td><td align="right">3.20</td></tr>
        <tr><td><b>Paid by card ending 4410</b></td><td align="right"><b>26.70</b></td></tr>
        </table>
        <p>We wrapped the frogs twice.</p></body></html>
        """,
        files=[logo],
        extra=["Auto-Submitted: auto-generated"],
    )


def _parcel(story: Story) -> None:
    due = story.calendar.workday(25, "12:00", 2)
    story.mail(
        POST,
        [ANN],
        story.calendar.workday(27, "05:31", 2),
        "Your parcel HP 2209 1184 is on its way",
        f"""
        From:      Otter & Quill Books
        Expected:  {spoken(due)}, between 10:00 and 14:00
        To:        Lakeside Flats, third floor

        Not at home? We leave it with Hedda S., as last time.
        Follow it: https://track.heron-parcels.example.com/HP22091184
        """,
        html=f"""
        <html><body><table width="100%" bgcolor="#f4f4f0"><tr><td align="center">
        <table width="480" bgcolor="#ffffff" cellpadding="16" style="font-family:Arial,sans-serif">
        <tr><td><h2 style="color:#1d5b4f;margin:0">On its way</h2>
        <p>From <b>Otter &amp; Quill Books</b>, expected <b>{spoken(due)}</b>, 10:00 to 14:00.</p>
        <p><a href="https://track.heron-parcels.example.com/HP22091184?src=mail"
        style="background:#1d5b4f;color:#ffffff;padding:10px 18px;text-decoration:none">Follow HP 2209 1184</a></p>
        <p style="color:#777777;font-size:12px">Not at home? We leave it with Hedda S., as last time.</p>
        </td></tr></table></td></tr></table>
        <img src="https://track.heron-parcels.example.com/open.gif?id=HP22091184" width="1" height="1" alt="">
        </body></html>
        """,
        extra=["Auto-Submitted: auto-generated"],
        envelope="bounce+hp22091184@track.heron-parcels.example.com",
    )


def _account(story: Story) -> None:
    seen = story.calendar.day(4, "06:58", 2)
    story.mail(
        BANK,
        [ANN],
        seen,
        "New sign-in to your account",
        f"""
        Somebody signed in to your account at Lakeside Savings:

            when:    {spoken(seen)}, 06:57
            where:   Marwa (roughly, from the network address)
            with:    a browser on a telephone we have not seen before

        If that was you, there is nothing to do. If not, call the number on the back
        of your card. We never ask for your password by mail.
        """,
        extra=["Auto-Submitted: auto-generated"],
        folder="inbox",
        unread=True,
    )
    story.mail(
        BANK,
        [ANN],
        story.calendar.ago(25, 2),
        "482 915 is your code",
        """
        482 915

        Your code for Lakeside Savings. It works for ten minutes and only once.
        Nobody from Lakeside will ever ask you for it.
        """,
        extra=["Auto-Submitted: auto-generated"],
        folder="inbox",
        unread=True,
    )


def _digests(story: Story) -> None:
    topics = (
        (
            38,
            "Bamboo as pipe",
            "We carry 4 m head in bamboo since two rains. Burn out the knots with a hot rod, soak in borax.",
            "How do you join them? Ours split at the sleeve.",
        ),
        (
            9,
            "Counting strokes on a hand pump",
            "A bicycle counter and a magnet: one turn a stroke. Costs less than the screws.",
            "Does it survive children? They like to hear it click.",
        ),
    )
    for number, (back, topic, first, second) in enumerate(topics, start=88):
        when = story.calendar.day(back, "23:55", 0)
        letters = [
            wire.Part(
                ("Content-Type: message/rfc822",),
                (
                    f"Date: {format_datetime(when)}\r\nFrom: {who}\r\nTo: {LIST.address}\r\n"
                    f"Subject: [rural-water] {subject}\r\nMessage-ID: <{number}.{place}@lists.openwells.example.org>\r\n"
                    f"Content-Type: text/plain; charset=us-ascii\r\n\r\n{text}\r\n"
                ).encode(),
            )
            for place, (who, subject, text) in enumerate(
                (
                    ("Hamo Tiko <hamo@tiko-drilling.example.net>", topic, first),
                    ("Birgit Aas <birgit@brunn.example.org>", f"Re: {topic}", second),
                )
            )
        ]
        head = wire.text(
            wire.tidy(f"""
            Send rural-water mailing list submissions to
                {LIST.address}

            Today's Topics:

               1. {topic} (Hamo Tiko)
               2. Re: {topic} (Birgit Aas)
            """)
        )
        parts = [head, wire.multipart("digest", letters), wire.text("End of digest\n")]
        story.mail(
            Person("rural-water-request", "rural-water-request@lists.openwells.example.org"),
            [LIST, ANN],
            when,
            f"rural-water Digest, Vol 12, Issue {number}",
            "",
            extra=[
                "List-Id: Water in the country <rural-water.lists.openwells.example.org>",
                "List-Post: <mailto:rural-water@lists.openwells.example.org>",
                "List-Unsubscribe: <https://lists.openwells.example.org/options/rural-water>",
                "Precedence: list",
            ],
            envelope="rural-water-bounces@lists.openwells.example.org",
            folder="inbox" if back < 20 else "archive",
            body=wire.multipart("mixed", parts),
        )


def _trash(story: Story) -> None:
    day = story.calendar.workday
    story.mail(
        GRACE,
        [ANN],
        day(34, "08:05", 3),
        "Cancelled: budget meeting",
        """
        No electricity in the county hall. New date follows.

        Grace
        """,
        folder="trash",
    )
    story.mail(
        RAIL,
        [ANN],
        day(45, "16:00", 2),
        "How was your journey?",
        """
        Dear Ann Whitfield,

        how did you like coach 4? Seven questions, three minutes, one free coffee.

        Valley Rail
        """,
        folder="trash",
    )
