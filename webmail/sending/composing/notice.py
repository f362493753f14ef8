"""What an author is told by mail of a message that is late or has failed: a delivery status notification (RFC 3464, RFC 6533)."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from webmail.phrases import gettext as _
from webmail.phrases import near_moment
from webmail.sending.composing.message import Composition, build
from webmail.sending.relay.content import refuse_unclean

MAX_HEADER = 32_000
"""Octets of the original's header that go back with it."""
_MARK = b"\r\nMIME-Version: 1.0\r\n"


@dataclass(frozen=True, slots=True)
class Copy:
    """One recipient's copy: `until` is None for one that failed, else when trying ends. `reply` is what the relay said, or ""."""

    recipient: str
    reply: str
    code: int | None
    status: str
    """RFC 3463, or ""."""
    at: datetime
    """The last attempt."""
    until: datetime | None = None


def words(copies: Sequence[Copy]) -> str:
    """The notice's text for people, those who were not reached first; in the language of `phrases.written_in`."""
    paragraphs = []
    failed = [one for one in copies if one.until is None]
    late = [one for one in copies if one.until is not None]
    if failed:
        check = _("Look whether the address is right. The message lies in Sent as you wrote it.")
        paragraphs += [_("Not delivered, and not tried again:"), *map(_told, failed), check]
    if late and late[0].until:
        until = near_moment(late[0].until)
        paragraphs += [
            _("Not taken yet, and tried again until %(until)s:", until=until),
            *map(_told, late),
            _(
                "You need not send it again. If it cannot be delivered in the end, you will be told once more."
            ),
        ]
    return "\n\n".join(paragraphs) + "\n"


def _told(one: Copy) -> str:
    said = _('The server said: "%(reply)s"', reply=one.reply) if one.code else one.reply
    return f"    {one.recipient}\n    {said or _('The next server could not be reached, or did not answer.')}"


def build_notice(
    composition: Composition, copies: Sequence[Copy], *, reporter: str, arrived: datetime, header: bytes
) -> bytes:
    """`composition` (its text is `words`) as a multipart/report about `copies`. `reporter` is our host name.

    `header` is the original's header block without the empty line. Raises CompositionError as `build` does, ValueError for a header
    that is not clean.
    """
    if composition.attachments:
        raise ValueError("a notice carries no files")
    head, mark, text_part = build(composition).partition(_MARK)
    status = "\r\n".join(_fields(copies, reporter, arrived)).encode()
    header = _cut(header)
    wide = not (status.isascii() and header.isascii())
    parts = [
        text_part,
        _part(
            "message/global-delivery-status" if wide else "message/delivery-status",
            "what-happened.txt",
            status,
        ),
        _part("message/global-headers" if wide else "text/rfc822-headers", "your-message-header.txt", header),
    ]
    boundary = b"=_" + hashlib.sha256(b"".join(parts)).hexdigest()[:32].encode()
    line = b"--" + boundary
    told = (
        b'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="'
        + boundary
        + b'"\r\n\r\n'
    )
    raw = head + mark + told + b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"
    refuse_unclean(raw)
    return raw


def _part(content_type: str, name: str, content: bytes) -> bytes:
    encoding = "7bit" if content.isascii() else "8bit"
    head = (
        f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n"
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    )
    return head.encode() + content


def _cut(header: bytes) -> bytes:
    """At most 32,000 octets of whole lines, with CRLF at the end."""
    if len(header) > MAX_HEADER:
        header = header[:MAX_HEADER].rpartition(b"\r\n")[0]
    return header.rstrip(b"\r\n") + b"\r\n"


def _fields(copies: Sequence[Copy], reporter: str, arrived: datetime) -> Iterable[str]:
    yield f"Reporting-MTA: dns; {reporter}"
    yield f"Arrival-Date: {format_datetime(arrived)}"
    for one in copies:
        yield ""
        # In quotes or not, an address of ours has no space and no line end.
        yield f"Final-Recipient: {'rfc822' if one.recipient.isascii() else 'utf-8'}; {one.recipient}"
        yield f"Action: {'failed' if one.until is None else 'delayed'}"
        yield f"Status: {one.status or ('5.0.0' if one.until is None else '4.0.0')}"
        if one.code:
            yield f"Diagnostic-Code: smtp; {one.reply}"
        yield f"Last-Attempt-Date: {format_datetime(one.at)}"
        if one.until is not None:
            yield f"Will-Retry-Until: {format_datetime(one.until)}"
    yield ""
