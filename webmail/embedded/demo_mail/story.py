"""Who writes to whom and when: turns short descriptions of mail into what lies in people's folders."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

from webmail.embedded.demo_mail import wire
from webmail.embedded.demo_mail.wire import File, Part

LOCAL = ("ann", "ben", "sam", "sue", "rex", "ada")


@dataclass(frozen=True, slots=True)
class DemoMessage:
    """A message as it lies in one person's folder."""

    mailbox: str
    """The local part: ann, ben, sam, sue, rex or ada."""
    folder: str
    """inbox, sent, archive, junk or trash."""
    raw: bytes
    """The complete RFC 5322 message, CRLF."""
    received_at: datetime
    unread: bool
    starred: bool
    envelope_from: str
    """The SMTP envelope sender; empty for the null sender of a bounce."""


@dataclass(frozen=True, slots=True)
class Person:
    """A correspondent. An address that ends in `@` is completed with the demo domain."""

    name: str
    address: str
    hours: float = 0.0
    """Offset of their clock from UTC."""
    charset: str = "utf-8"
    program: str = ""
    """What they write mail with: a whole header line, or none."""

    @property
    def mailbox(self) -> str:
        """The local part of a demo person, else nothing."""
        local, _, domain = self.address.partition("@")
        return local if not domain else ""


@dataclass(frozen=True, slots=True)
class Written:
    """A message that others can answer."""

    message_id: str
    references: tuple[str, ...]
    subject: str
    date: datetime
    author: str
    content: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Calendar:
    """Times counted back from `now`, so that the demo is always fresh."""

    now: datetime

    def workday(self, back: int, clock: str, hours: float = 0.0) -> datetime:
        """`back` working days before today at `clock`, on a clock `hours` off UTC; never later than now."""
        zone = timezone(timedelta(hours=hours))
        day = self.now.astimezone(zone).date()
        for _ in range(back):
            day -= timedelta(days=1)
            while day.weekday() >= 5:
                day -= timedelta(days=1)
        hour, minute = map(int, clock.split(":"))
        return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)

    def day(self, back: int, clock: str, hours: float = 0.0) -> datetime:
        """Like `workday`, weekends included."""
        zone = timezone(timedelta(hours=hours))
        day = self.now.astimezone(zone).date() - timedelta(days=back)
        hour, minute = map(int, clock.split(":"))
        return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)

    def ago(self, minutes: int, hours: float = 0.0) -> datetime:
        return (self.now - timedelta(minutes=minutes)).astimezone(timezone(timedelta(hours=hours)))

    def next_weekday(self, weekday: int, clock: str, hours: float = 0.0) -> datetime:
        """The first such weekday (0 is Monday) at least two days ahead."""
        start = self.day(0, clock, hours) + timedelta(days=2)
        return start + timedelta(days=(weekday - start.weekday()) % 7)


def spoken(moment: datetime) -> str:
    """`Thursday 4 June`."""
    return f"{moment:%A} {moment.day} {moment:%B}"


@dataclass(slots=True)
class Story:
    """Collects what was written. `domain` is the demo domain."""

    calendar: Calendar
    domain: str
    kept: list[DemoMessage] = field(default_factory=list)

    def address(self, person: Person) -> str:
        return person.address + self.domain if person.mailbox else person.address

    def mail(
        self,
        author: Person,
        to: Sequence[Person],
        when: datetime,
        subject: str,
        content: str,
        *,
        cc: Sequence[Person] = (),
        bcc: Sequence[Person] = (),
        answers: Written | None = None,
        quote: str = "",
        html: str = "",
        files: Sequence[File] = (),
        extra: Sequence[str] = (),
        folder: str = "archive",
        unread: bool = False,
        starred: bool = False,
        flowed: bool = False,
        cte: str = "",
        envelope: str | None = None,
        body: Part | None = None,
    ) -> Written:
        """Write one message and put it into the folders of all demo people it concerns.

        `quote` is the line that introduces the quoted original, with {who} and {day} to fill in; without it
        nothing is quoted. `folder`, `unread` and `starred` are ann's (or that of the only demo recipient).
        `extra` are whole header lines. `body` replaces everything that content, html and files would make.
        """
        said = wire.tidy(content)
        if answers and quote:
            intro = quote.format(who=answers.author, day=spoken(answers.date))
            said += f"\n{intro}\n" + "".join(
                f">{'' if line.startswith('>') or not line else ' '}{line}\n"
                for line in answers.content.split("\n")[:-1]
            )
        references = (*answers.references, answers.message_id) if answers else ()
        message_id = self._message_id(author, when, subject)
        headers = self._headers(author, to, cc, when, subject, message_id, references)
        whole = body or _assemble(said, author.charset, html, files, flowed, cte)
        raw = self._raw([*headers, *extra], whole)
        written = Written(message_id, references, subject, when, author.name, said, raw)
        sender = self.address(author) if envelope is None else envelope
        self._keep(written, author, [*to, *cc, *bcc], sender, folder, unread, starred)
        return written

    def _message_id(self, author: Person, when: datetime, subject: str) -> str:
        address = self.address(author)
        digest = hashlib.sha256(f"{address} {subject} {when:%H%M}".encode()).hexdigest()[:10]
        return f"<{when:%Y%m%d.%H%M%S}.{digest}@{address.rpartition('@')[2]}>"

    def _headers(
        self,
        author: Person,
        to: Sequence[Person],
        cc: Sequence[Person],
        when: datetime,
        subject: str,
        message_id: str,
        references: tuple[str, ...],
    ) -> list[str]:
        def people(name: str, whom: Sequence[Person]) -> str:
            return f"{name}: " + ",\r\n ".join(
                wire.mailbox(one.name, self.address(one), author.charset) for one in whom
            )

        headers = [f"Date: {format_datetime(when)}", people("From", [author])]
        headers.append(people("To", to) if to else "To: undisclosed-recipients:;")
        if cc:
            headers.append(people("Cc", cc))
        headers.append(wire.unstructured("Subject", subject, author.charset))
        headers.append(f"Message-ID: {message_id}")
        if references:
            headers.append(f"In-Reply-To: {references[-1]}")
            headers.append("References: " + "\r\n ".join(references))
        if author.program:
            headers.append(author.program)
        headers.append("MIME-Version: 1.0")
        return headers

    @staticmethod
    def _raw(headers: Sequence[str], body: Part) -> bytes:
        return "".join(line + "\r\n" for line in headers).encode("ascii") + body.to_bytes()

    def _keep(
        self,
        written: Written,
        author: Person,
        recipients: Sequence[Person],
        envelope: str,
        folder: str,
        unread: bool,
        starred: bool,
    ) -> None:
        if author.mailbox:
            self.kept.append(
                DemoMessage(author.mailbox, "sent", written.raw, written.date, False, False, envelope)
            )
        demo = [one.mailbox for one in recipients if one.mailbox and one.mailbox != author.mailbox]
        for name in dict.fromkeys(demo):
            principal = name == "ann" or "ann" not in demo
            arrived = written.date + timedelta(seconds=2 + len(written.raw) % 37)
            raw = self._received(author, name, envelope, arrived) + written.raw
            place = folder if principal or folder == "junk" else "inbox"
            self.kept.append(
                DemoMessage(name, place, raw, arrived, unread and principal, starred and principal, envelope)
            )

    def _received(self, author: Person, name: str, envelope: str, arrived: datetime) -> bytes:
        host = (envelope or self.address(author)).rpartition("@")[2]
        number = hashlib.sha256(f"{host} {arrived}".encode()).hexdigest()[:12]
        stamp = format_datetime(arrived.astimezone(UTC))
        return (
            f"Received: from mx1.{host} (mx1.{host} [192.0.2.{int(number[:2], 16) % 254 + 1}])\r\n"
            f"\tby mx.{self.domain} with ESMTPS id {number}\r\n"
            f"\tfor <{name}@{self.domain}>; {stamp}\r\n"
        ).encode("ascii")


def _assemble(content: str, charset: str, html: str, files: Sequence[File], flowed: bool, cte: str) -> Part:
    params = "; format=flowed" if flowed else ""
    whole = wire.text(wire.flowed(content) if flowed else content, "plain", charset, cte, params)
    if html:
        page = wire.text(wire.tidy(html), "html", "utf-8")
        shown = [wire.file_part(one) for one in files if one.content_id]
        if shown:
            page = wire.multipart("related", [page, *shown], ' type="text/html";')
        whole = wire.multipart("alternative", [whole, page])
    loose = [wire.file_part(one) for one in files if not one.content_id]
    return wire.multipart("mixed", [whole, *loose]) if loose else whole


def by_mailbox(kept: Sequence[DemoMessage]) -> Mapping[str, list[DemoMessage]]:
    """The messages of each mailbox, in the order they arrived."""
    return {
        name: sorted((one for one in kept if one.mailbox == name), key=lambda one: one.received_at)
        for name in LOCAL
    }
