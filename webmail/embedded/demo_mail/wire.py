"""RFC 5322 and MIME bytes for the demo mail, written as different mail programs write them.

The point of the demo mail is variety: old character sets, every transfer encoding, RFC 2231 names.
`EmailMessage` writes all mail in one way and picks random boundaries, so it is put together here.
"""

from __future__ import annotations

import base64
import hashlib
import quopri
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from email.header import Header
from email.utils import encode_rfc2231

_ATOM_WORDS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")


@dataclass(frozen=True, slots=True)
class Part:
    """One MIME entity: its header lines without line ends, and its encoded body with CRLF."""

    headers: tuple[str, ...]
    body: bytes

    def to_bytes(self) -> bytes:
        return "".join(line + "\r\n" for line in self.headers).encode("ascii") + b"\r\n" + self.body


@dataclass(frozen=True, slots=True)
class File:
    """Something attached, or shown inline when `content_id` is given."""

    name: str
    content_type: str
    content: bytes
    content_id: str = ""
    quoted_name: bool = False
    """Write the name as an encoded word inside quotes: against RFC 2047, and very common."""


def unstructured(name: str, text: str, charset: str = "utf-8") -> str:
    """A folded header line, encoded words only where the text is not ASCII."""
    header = Header(text, None if text.isascii() else charset, maxlinelen=76, header_name=name)
    return f"{name}: {header.encode(linesep=chr(13) + chr(10))}"


def mailbox(name: str, address: str, charset: str = "utf-8") -> str:
    """`name <address>` with the name as atoms, a quoted string or encoded words (RFC 5322 3.4, RFC 2047)."""
    if not name:
        return address
    if not name.isascii():
        return f"{Header(name, charset, maxlinelen=60).encode(linesep=chr(13) + chr(10))} <{address}>"
    if _ATOM_WORDS.fullmatch(name):
        return f"{name} <{address}>"
    return '"{}" <{}>'.format(name.replace("\\", r"\\").replace('"', r"\""), address)


def text(
    content: str, subtype: str = "plain", charset: str = "utf-8", cte: str = "", params: str = ""
) -> Part:
    """A text part; `cte` forces a transfer encoding, else the mildest that fits is taken."""
    data = content.encode(charset).replace(b"\n", b"\r\n")
    longest = max(map(len, data.split(b"\r\n")))
    if not cte:
        if data.isascii() and longest <= 900:
            cte = "7bit"
        else:
            cte = "quoted-printable" if sum(byte < 128 for byte in data) * 3 > len(data) * 2 else "base64"
    if data.isascii() and charset == "utf-8" and subtype == "plain":
        charset = "us-ascii"
    return Part(
        (f"Content-Type: text/{subtype}; charset={charset}{params}", f"Content-Transfer-Encoding: {cte}"),
        _encoded(data, cte),
    )


def _encoded(data: bytes, cte: str) -> bytes:
    if cte == "base64":
        return base64.encodebytes(data).replace(b"\n", b"\r\n")
    if cte == "quoted-printable":
        return quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return data


def flowed(content: str) -> str:
    """Mark the line ends inside paragraphs as soft (RFC 3676): a space at their end, quotes left alone."""
    lines = content.split("\n")
    return "\n".join(
        line + " "
        if len(line) > 50 and after.strip() and not line.startswith(">") and after[0] not in "> -*|+"
        else line
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
    )


def file_part(item: File) -> Part:
    """A file as base64, its name quoted, or by RFC 2231 when it is not ASCII."""
    if item.name.isascii():
        named = f'filename="{item.name}"'
    elif item.quoted_name:
        named = 'filename="{}"'.format(Header(item.name, "utf-8", maxlinelen=400).encode())
    else:
        named = _continued("filename", encode_rfc2231(item.name, "utf-8"))
    headers = [
        f"Content-Type: {item.content_type}",
        f"Content-Disposition: {'inline' if item.content_id else 'attachment'};\r\n {named}",
        "Content-Transfer-Encoding: base64",
    ]
    if item.content_id:
        headers.append(f"Content-ID: <{item.content_id}>")
    return Part(tuple(headers), _encoded(item.content, "base64"))


def _continued(name: str, value: str) -> str:
    """RFC 2231 section 3: a long parameter in numbered pieces, never cutting a %XX in two."""
    pieces = re.findall(r"(?:%..|[^%]){1,50}", value) if len(value) > 60 else [value]
    if len(pieces) == 1:
        return f"{name}*={value}"
    return ";\r\n ".join(f"{name}*{number}*={piece}" for number, piece in enumerate(pieces))


def multipart(subtype: str, parts: Sequence[Part], params: str = "", preamble: str = "") -> Part:
    """The parts under a boundary that follows from their bytes."""
    inner = [part.to_bytes() for part in parts]
    boundary = "=_" + hashlib.sha256(subtype.encode() + b"".join(inner)).hexdigest()[:24]
    line = boundary.encode()
    body = preamble.encode("ascii") + b"".join(b"--" + line + b"\r\n" + part + b"\r\n" for part in inner)
    content_type = f'Content-Type: multipart/{subtype};{params}\r\n boundary="{boundary}"'
    return Part((content_type,), body + b"--" + line + b"--\r\n")


def tidy(content: str) -> str:
    """A block of source text as a mail body: no common indent, one line end at its end."""
    return textwrap.dedent(content).strip("\n") + "\n"
