"""vCards, read in every version that people have (2.1, 3.0: RFC 2426, 4.0: RFC 6350) and written as 4.0. Pure.

A reader of our own: what is wanted is six properties of a format whose lines are half a page of grammar, and whoever sends the
file chooses every octet of it. The libraries at hand build an object for each property, guess charsets by exception, and decode
pictures on the way (vobject), or speak iCalendar alone (icalendar, whose lines know neither groups before a name nor the
quoted-printable of 2.1).

`read` never raises, is linear, and keeps to the limits of `reader`.
"""

from webmail.mail.vcard.model import Card, Cards, GroupCard
from webmail.mail.vcard.reader import MAX_BYTES, MAX_CARDS, read
from webmail.mail.vcard.writer import write

__all__ = ["MAX_BYTES", "MAX_CARDS", "Card", "Cards", "GroupCard", "read", "write"]
