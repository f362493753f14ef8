"""Two newsletters as real senders build them: tables, inline CSS, style sheet, tracking links, pixel."""
# ruff: noqa: E501 - HTML as newsletter programs write it

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from html import escape

from webmail.embedded.demo_mail.cast import ANN, BEN
from webmail.embedded.demo_mail.story import Person, Story, spoken


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue of a newsletter."""

    title: str
    preview: str
    colour: str
    stories: tuple[tuple[str, str, str], ...]
    """Headline, text, words of the link."""


TIDE = Person("The Tide Table", "hello@news.tide-table.example.com")
SEEDS = Person("Fernweh Seeds & Tools", "garten@post.fernweh-seeds.example.net")

DRY_RIVERS = Issue(
    "Rivers that are not there",
    "A fisherman without water, a map without rivers, and a soup",
    "#0b5d7a",
    (
        (
            "The fisherman who counts stones",
            (
                "For eleven months of the year the river at Aldan is a road of white stones. Every morning Osei walks it "
                "from the bridge to the mill and counts the pools that are left. He has done so since he was nine, and "
                "his notebooks are now the longest record of any dry river on the coast."
            ),
            "Read his notebooks",
        ),
        (
            "A map that forgets on purpose",
            (
                "What if a map showed only the water that is there today? Two students tried it. The blue lines shrink "
                "while you look, and in August there is nothing left but the names."
            ),
            "See the map",
        ),
        (
            "Stone soup, this time with a recipe",
            (
                "Take a stone from the river, wash it well, and put it into two litres of water. Then add everything a "
                "sensible person would add to a soup. Take the stone out before you serve."
            ),
            "Cook it",
        ),
    ),
)
NIGHT_BOATS = Issue(
    "Night boats",
    "Three crossings you can only make after dark, and why the lamps are green",
    "#233a66",
    (
        (
            "Why the lamps are green",
            (
                "Red and white were taken. That is the whole story, but it took the harbour master of Port Lune forty "
                "minutes and two pots of tea to tell it, and we would not have missed a minute."
            ),
            "Hear him tell it",
        ),
        (
            "The slowest ferry",
            (
                "Six kilometres in three hours: she goes with the tide and waits for it, too. Bring a book. The crew has "
                "a shelf if you forget yours."
            ),
            "Look at the timetable",
        ),
    ),
)
AUTUMN = Issue(
    "Garlic goes in now",
    "Six sorts of garlic, a fork that does not bend, and 15 % off until the first frost",
    "#4d6b2f",
    (
        (
            "Six sorts of garlic",
            (
                "Plant the biggest cloves, eat the small ones. Under straw they will forget the winter. "
                "Our favourite is still Rosa of the Hill: late, pink and hot."
            ),
            "All six sorts",
        ),
        (
            "A fork that does not bend",
            (
                "Forged in one piece, with an ash handle you can change yourself. "
                "Four tines, 1.9 kg, and a promise for thirty years."
            ),
            "The fork",
        ),
    ),
)
SPRING = Issue(
    "Last call for early peas",
    "They can stand the frost. You need not.",
    "#3f7d4f",
    (
        (
            "Peas for the impatient",
            (
                "Sow them on the window sill in a gutter pipe, and slide the whole row into the bed when it is time. "
                "No root is hurt and the neighbours stare."
            ),
            "Early peas",
        ),
    ),
)


def tell(story: Story) -> None:
    day = story.calendar.day
    _issue(story, TIDE, NIGHT_BOATS, day(58, "06:00", 0), "archive", number=211)
    _issue(story, TIDE, DRY_RIVERS, day(2, "06:00", 0), "inbox", number=219, unread=True)
    _issue(story, SEEDS, SPRING, day(49, "11:30", 1), "trash", number=3307)
    _issue(story, SEEDS, AUTUMN, day(5, "11:30", 1), "inbox", number=3342)
    _issue(story, SEEDS, AUTUMN, day(5, "11:31", 1), "inbox", number=3342, reader=BEN)


def _issue(
    story: Story,
    sender: Person,
    issue: Issue,
    when: datetime,
    folder: str,
    *,
    number: int,
    unread: bool = False,
    reader: Person = ANN,
) -> None:
    host = sender.address.rpartition("@")[2]
    reader_key = hashlib.sha256(f"{story.address(reader)} {number}".encode()).hexdigest()[:20]
    leave = f"https://click.{host}/u/{reader_key}"
    words = "\n\n".join(f"{title.upper()}\n{text}" for title, text, _ in issue.stories)
    story.mail(
        sender,
        [reader],
        when,
        issue.title,
        f"{issue.title}\n{issue.preview}\n\n{words}\n\nYou asked for this letter. To leave: {leave}\n",
        html=_page(issue, host, reader_key, leave, when, number),
        extra=[
            f"List-Unsubscribe: <{leave}>,\r\n <mailto:leave+{reader_key}@{host}?subject=leave>",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            f"List-Id: {sender.name.replace('&', 'and')} <letter.{host}>",
            "Precedence: bulk",
            f"Feedback-ID: {number}:letter:{host.partition('.')[0]}:mailer",
        ],
        envelope=f"bounce-{number}-{reader_key}@bounce.{host}",
        folder=folder,
        unread=unread,
        cte="quoted-printable",
    )


def _page(issue: Issue, host: str, reader: str, leave: str, when: datetime, number: int) -> str:
    rows = "\n".join(
        _row(issue, host, reader, place, *one) for place, one in enumerate(issue.stories, start=1)
    )
    padding = "&#8199;&#847; " * 40
    return f"""<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
 "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" lang="en">
<head>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1.0" />
<meta name="x-apple-disable-message-reformatting" />
<title>{escape(issue.title)}</title>
<!--[if mso]><style>table {{border-collapse:collapse;}} td {{font-family:Arial,sans-serif;}}</style><![endif]-->
<style type="text/css">
  @import url('https://fonts.{host}/css?family=Fraunces');
  body {{ margin: 0; padding: 0; background: #eef1f3; -webkit-text-size-adjust: 100%; }}
  a:hover {{ text-decoration: underline !important; }}
  .button a {{ transition: all 100ms ease-in; }}
  @media only screen and (max-width: 620px) {{
    .wrap {{ width: 100% !important; }} .pad {{ padding: 16px !important; }} h1 {{ font-size: 24px !important; }}
  }}
  @media (prefers-color-scheme: dark) {{ .card {{ background: #16202a !important; color: #e8eef2 !important; }} }}
</style>
</head>
<body style="margin:0;padding:0;background-color:#eef1f3;">
<div style="display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;mso-hide:all;">
{escape(issue.preview)}{padding}</div>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" bgcolor="#eef1f3"><tr><td align="center">
<table role="presentation" class="wrap" width="600" cellpadding="0" cellspacing="0" border="0" style="width:600px;">
<tr><td align="right" style="padding:8px 24px;font:12px Arial,Helvetica,sans-serif;color:#6b7680;">
<a href="https://click.{host}/v/{number}/{reader}" style="color:#6b7680;">Read this letter in the browser</a></td></tr>
<tr><td bgcolor="{issue.colour}" class="pad" style="padding:32px 24px;background-color:{issue.colour};border-radius:6px 6px 0 0;">
<img src="https://img.{host}/logo@2x.png" width="48" height="48" alt="" style="display:block;border:0;" />
<h1 style="margin:16px 0 4px;font:bold 30px/36px Georgia,'Times New Roman',serif;color:#ffffff;">{escape(issue.title)}</h1>
<p style="margin:0;font:14px/20px Arial,Helvetica,sans-serif;color:#dfe7ec;">No. {number} &middot; {spoken(when)}</p>
</td></tr>
{rows}
<tr><td class="pad" style="padding:24px;font:12px/18px Arial,Helvetica,sans-serif;color:#6b7680;text-align:center;">
You get this letter because you asked for it at a fair or on our page.<br />
<a href="{leave}" style="color:#6b7680;text-decoration:underline;">Leave the list</a> &nbsp;|&nbsp;
<a href="https://click.{host}/p/{reader}" style="color:#6b7680;text-decoration:underline;">Choose what you get</a><br />
12 Harbour Steps, Port Lune</td></tr>
</table></td></tr></table>
<img src="https://click.{host}/o/{number}/{reader}.gif" width="1" height="1" alt="" border="0"
 style="height:1px !important;width:1px !important;border-width:0 !important;margin:0 !important;padding:0 !important" />
</body></html>
"""


def _row(issue: Issue, host: str, reader: str, place: int, title: str, text: str, link: str) -> str:
    target = f"https://click.{host}/c/{reader}/{place}?utm_source=letter&amp;utm_medium=email&amp;utm_campaign=main"
    return f"""<tr><td class="card pad" bgcolor="#ffffff" style="padding:24px;background-color:#ffffff;border-bottom:1px solid #e3e8eb;">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>
<td width="152" valign="top" style="width:152px;padding-right:16px;"><a href="{target}&amp;pos=image">
<img src="https://img.{host}/{place}/304x228.jpg" width="152" height="114" alt="{escape(title)}"
 style="display:block;border:0;border-radius:4px;" /></a></td>
<td valign="top" style="font:15px/22px Arial,Helvetica,sans-serif;color:#27323a;">
<h2 style="margin:0 0 8px;font:bold 20px/26px Georgia,'Times New Roman',serif;color:{issue.colour};">{escape(title)}</h2>
<p style="margin:0 0 14px;">{escape(text)}</p>
<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr>
<td class="button" bgcolor="{issue.colour}" style="border-radius:4px;">
<a href="{target}" style="display:inline-block;padding:9px 16px;font:bold 14px Arial,sans-serif;color:#ffffff;text-decoration:none;">
{escape(link)} &rarr;</a></td></tr></table>
</td></tr></table></td></tr>"""
