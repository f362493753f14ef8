"""What belongs in Junk."""

from __future__ import annotations

from webmail.embedded.demo_mail import wire
from webmail.embedded.demo_mail.cast import ANN, BEN
from webmail.embedded.demo_mail.story import Person, Story


def tell(story: Story) -> None:
    _phish(story)
    _winner(story)


def _phish(story: Story) -> None:
    # The domain imitates ours, and neither the envelope nor the DKIM domain belongs to it: DMARC cannot align.
    story.mail(
        Person("mtumail Mailbox Team", "service@mtumai1.example.com"),
        [ANN],
        story.calendar.day(6, "03:12", 0),
        "Your mailbox is almost full (98 %)",
        f"""
        Dear user {story.address(ANN)},

        Your mailbox has reached 98 % of its quota. 14 incoming messages are on hold.
        Confirm your password within 24 hours to receive them:

        https://{story.domain}.quota-upgrade.example.com/login?user=ann

        Mailbox Team
        """,
        html=f"""
        <html><body style="font-family:Arial"><table width="500" style="border:1px solid #ccc"><tr>
        <td bgcolor="#c0392b" style="color:#ffffff;padding:12px"><b>Your mailbox is almost full (98&nbsp;%)</b></td></tr>
        <tr><td style="padding:16px">Dear user {story.address(ANN)},<br><br>14 incoming messages are on hold.
        Confirm your password within <b>24 hours</b>:<br><br>
        <a href="https://login.quota-upgrade.example.com/?user=ann" style="background:#c0392b;color:#ffffff;padding:10px">
        https://{story.domain}/settings</a><br><br>
        <span style="color:#ffffff;font-size:1px">weather kettle orchard ladder tomorrow violin</span></td></tr></table>
        <img src="https://login.quota-upgrade.example.com/p.gif?ann" width="1" height="1"></body></html>
        """,
        extra=[
            "Reply-To: helpdesk@quota-upgrade.example.com",
            "X-Priority: 1",
            (
                "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=bulk-send.example.net; s=k1;\r\n"
                " h=from:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n b=Zm9yIHNob3cgb25seQ=="
            ),
        ],
        envelope="b-77120@bulk-send.example.net",
        folder="junk",
        unread=True,
    )


def _winner(story: Story) -> None:
    day = story.calendar.day
    story.mail(
        Person("DR. BARNABAS GOLD (ESQ)", "b.gold1961@freemail.example.com"),
        [],
        day(15, "01:44", 0),
        "CONGRATULATION!!! YOUR EMAIL HAVE WON $2,500,000.00",
        "",
        bcc=[ANN],
        folder="junk",
        body=_lottery(),
    )
    story.mail(
        Person("Kevin from RankRocket", "kevin@rankrocket.example.net"),
        [ANN, BEN],
        day(27, "14:08", 0),
        "Quick question about your website",
        """
        Hi there,

        I was on your website and noticed 37 SEO errors that cost you customers.
        May I send a free audit? If I hear nothing I will follow up four more times.

        Kevin
        """,
        extra=["X-Mailer: BlastMaster 3000"],
        envelope="kevin=bounce@rankrocket.example.net",
        folder="junk",
    )


def _lottery() -> wire.Part:
    return wire.text(
        wire.tidy("""
        ATTENTION: LUCKY WINNER,

        THIS IS TO INFORM YOU THAT YOUR EMAIL ADDRESS ATTACHED TO TICKET NUMBER
        00-7741-B WON THE SUM OF $2,500,000.00 (TWO MILLION FIVE HUNDRED THOUSAND)
        IN THE WORLD EMAIL LOTTERY WHICH YOU DID NOT ENTER.

        TO CLAIM, SEND YOUR FULL NAME, TELEPHONE AND A SMALL FEE OF $250 FOR THE
        STAMP. KEEP THIS SECRET FROM YOUR FAMILY AND YOUR BANK.

        YOURS FAITHFULLY,
        DR. BARNABAS GOLD (ESQ)
        """)
    )
