"""A composition and its bytes."""

import base64
import hashlib
import quopri
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from webmail.mail import markup, text
from webmail.mail.addresses import Address
from webmail.sending.composing import fields
from webmail.sending.composing.fields import CompositionError
from webmail.sending.relay.content import MAX_LINE, refuse_unclean

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_FALLBACK_TYPE: Final = "application/octet-stream"
# Everything but tab and line feed; a body is normalised before.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
PICTURE_TYPES: Final = frozenset(("image/gif", "image/jpeg", "image/png", "image/webp"))
"""What a formatted body can show; anything else that it names stays a file."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to send. Parameters of `content_type` are left out; what is not a type becomes application/octet-stream."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Composition:
    """A message as its author means it. `body` is plain text, `date` aware, `message_id` at the sender's domain.

    `formatted`: the body goes out as HTML, too, with the little formatting of `webmail.mail.markup`, beside the text as typed.
    """

    sender: Address
    subject: str
    body: str
    message_id: str
    date: datetime
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    formatted: bool = False
    reply_to: tuple[Address, ...] = ()


def new_message_id(domain: str) -> str:
    """A Message-ID that nobody can guess and that says nothing: not the time, not the host, not the person."""
    return f"<{secrets.token_hex(16)}@{domain}>"


def needs_smtputf8(composition: Composition) -> bool:
    """Whether an address in it can only travel with SMTPUTF8 (RFC 6531). Names and subjects never need it."""
    people = (composition.sender, *composition.to, *composition.cc, *composition.bcc)
    return not all(person.email.isascii() for person in people)


def envelope_recipients(composition: Composition) -> tuple[str, ...]:
    """To, Cc and Bcc for the envelope, each address once, in that order."""
    people = (*composition.to, *composition.cc, *composition.bcc)
    return tuple(dict.fromkeys(person.email for person in people))


def build(composition: Composition) -> bytes:
    """The complete message: CRLF, lines of at most 998 octets, no Bcc.

    Raises CompositionError, naming the field, for whatever could add a header, hide a name or not arrive as written.
    """
    head = "".join(_header(composition))
    body, files = _written(composition)
    # Never sent, and still checked: a bad Bcc must be said before the message is queued.
    fields.addresses("Bcc", composition.bcc)
    if files:
        body = _multipart("mixed", composition.message_id, [body, *map(_attached, files)])
    raw = head.encode() + body
    refuse_unclean(raw)
    return raw


def _written(composition: Composition) -> tuple[bytes, list[Attachment]]:
    """The body as a part, and the files that are not pictures in it."""
    plain = _text_part("plain; format=flowed", _typed(composition.body, flowed=True))
    if not composition.formatted:
        return plain, list(composition.attachments)
    named = markup.pictures(composition.body)
    shown: dict[str, Attachment] = {}
    files = []
    for item in composition.attachments:
        is_picture = item.content_type.partition(";")[0].strip().lower() in PICTURE_TYPES
        if is_picture and item.name in named and item.name not in shown:
            shown[item.name] = item
        else:
            files.append(item)
    ids = {name: _content_id(composition.message_id, number) for number, name in enumerate(shown, 1)}
    body = markup.to_html(_typed(composition.body), {name: f"cid:{told}" for name, told in ids.items()})
    page = _text_part("html", f"<!DOCTYPE html>\n<html>\n<body>\n{body}\n</body>\n</html>")
    if shown:
        pictures = [_attached(item, ids[name]) for name, item in shown.items()]
        page = _multipart("related", composition.message_id, [page, *pictures])
    return _multipart("alternative", composition.message_id, [plain, page]), files


def _content_id(message_id: str, number: int) -> str:
    """An id of a picture in a message (RFC 2392): from the Message-ID, so that the same composition has the same bytes."""
    return f"{hashlib.sha256(f'{number} {message_id}'.encode()).hexdigest()[:24]}@{message_id[1:-1].rpartition('@')[2]}"


def _multipart(kind: str, message_id: str, parts: Sequence[bytes]) -> bytes:
    boundary = _boundary(message_id, parts)
    line = b"--" + boundary.encode()
    head = f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"\r\n\r\n'
    return head.encode() + b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"


def _header(composition: Composition) -> list[str]:
    if composition.date.tzinfo is None:
        raise CompositionError("date", "no-zone")
    lines = [
        f"Date: {format_datetime(composition.date)}\r\n",
        fields.addresses("From", [composition.sender]),
        fields.addresses("To", composition.to) if composition.to else "To: undisclosed-recipients:;\r\n",
    ]
    if composition.cc:
        lines.append(fields.addresses("Cc", composition.cc))
    if composition.reply_to:
        lines.append(fields.addresses("Reply-To", composition.reply_to))
    lines.append(fields.unstructured("Subject", composition.subject))
    lines.append(fields.own_message_id(composition.message_id, composition.sender.domain))
    if composition.in_reply_to is not None:
        lines.append(fields.message_ids("In-Reply-To", [composition.in_reply_to]))
    if composition.references:
        lines.append(fields.message_ids("References", composition.references))
    lines.append("MIME-Version: 1.0\r\n")
    return lines


def _typed(body: str, *, flowed: bool = False) -> str:
    """The text with the line ends that there are here. Raises CompositionError for what must not leave."""
    body = body.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").rstrip()
    if _CONTROLS.search(body):
        raise CompositionError("body", "control")
    return text.flow(body) if flowed else body


def _text_part(kind: str, body: str) -> bytes:
    """A part of text: 7bit when it is ASCII and its lines fit, else UTF-8 as quoted-printable."""
    try:
        data = f"{body}\n".encode()
    except UnicodeEncodeError:
        raise CompositionError("body", "surrogate") from None
    charset, encoding = ("us-ascii", "7bit") if data.isascii() else ("utf-8", "quoted-printable")
    if max(map(len, data.split(b"\n"))) > MAX_LINE:
        encoding = "quoted-printable"
    if encoding == "quoted-printable":
        data = quopri.encodestring(data)
    name, _, more = kind.partition("; ")
    told = f"Content-Type: text/{name}; charset={charset}{'; ' if more else ''}{more}\r\n"
    head = f"{told}Content-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + data.replace(b"\n", b"\r\n")


def _attached(item: Attachment, content_id: str = "") -> bytes:
    """A file as a part; with a `content_id`, as a picture that the body shows."""
    content_type = item.content_type.partition(";")[0].strip().lower()
    if any(character in item.content_type for character in "\r\n\0"):
        raise CompositionError("attachment", "control")
    named = fields.disposition(item.name, "inline" if content_id else "attachment")
    if not _TYPE.fullmatch(content_type) or content_type.startswith("multipart/"):
        content_type = _FALLBACK_TYPE
    if content_type.startswith("message/"):
        # RFC 2046 section 5.2.1 forbids base64 here; what is not clean 7-bit keeps its bytes as a file instead.
        if content_type == "message/rfc822" and _is_plain(item.content):
            head = f"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n{named}\r\n"
            return head.encode() + item.content
        content_type = _FALLBACK_TYPE
    if content_type.startswith("text/") and _is_utf8(item.content):
        content_type += "; charset=utf-8"
    if content_id:
        named = f"Content-ID: <{content_id}>\r\n{named}"
    head = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: base64\r\n{named}\r\n"
    return head.encode() + base64.encodebytes(item.content).rstrip().replace(b"\n", b"\r\n")


def _is_plain(content: bytes) -> bool:
    try:
        refuse_unclean(content)
    except ValueError:
        return False
    return content.isascii()


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _boundary(message_id: str, parts: Sequence[bytes]) -> str:
    """A line that is in no part: from the Message-ID, so that the same composition has the same bytes."""
    number = 0
    while True:
        boundary = "=_" + hashlib.sha256(f"{number} {message_id}".encode()).hexdigest()[:32]
        if not any(boundary.encode() in part for part in parts):
            return boundary
        number += 1
