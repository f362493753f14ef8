"""What a message says, as a digest that is the same for everybody who got it. Pure; linear in the message's size.

Of a message counts what its reader sees: the words of its bodies, where its links lead, and its files. What changes on the way from
one sender to many recipients does not: trace fields, who it is to, dates, ids, line ends, spacing, transfer encodings, and names of
files. Few words are written by many (`MIN_LETTERS`): with those the sender and the subject count too.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

from webmail.mail import mime
from webmail.mail.addresses import fold

MIN_LETTERS = 40
_BLANKS = re.compile(r"\s+")
_LINKS = re.compile(r"""\b(?:href|src|action)\s*=\s*["']?([^\s"'<>]{1,2000})""", re.IGNORECASE)
_MESSAGE_ID = re.compile(
    rb"^message-id:[ \t]*(?:\r\n[ \t]+)?<([^<>\s]{1,990})>", re.IGNORECASE | re.MULTILINE
)
_VERSION = b"1"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """`content`: 32 bytes of SHA-256; `reference`: the Message-ID without brackets, "" for none."""

    content: bytes
    reference: str


def of(raw: bytes, parsed: mime.Message | None = None) -> Fingerprint:
    """The fingerprint of a message as it came over the wire, and as `mime` read it. Never raises for what is in it."""
    parsed = mime.parse(raw) if parsed is None else parsed
    words = _BLANKS.sub("", mime.message_text(parsed))
    pages = ["".join(_BLANKS.sub("", mime.strip_html(part))) for part in parsed.html_parts]
    links = sorted({link for part in parsed.html_parts for link in _LINKS.findall(part)})
    files = sorted(
        sha256(mime.part_content(raw, part)).hexdigest()
        for part in (*parsed.attachments, *parsed.inline_images.values())
    )
    said = [f"{len(pages)} {len(links)} {len(files)}", words, *pages, *links, *files]
    letters = sum(map(str.isalnum, words)) + sum(len(page) for page in pages)
    if letters < MIN_LETTERS and not files:
        sender = parsed.sender.email if parsed.sender else ""
        said += [fold(sender), _BLANKS.sub("", parsed.subject).casefold()]
    digest = sha256(_VERSION)
    for piece in said:
        told = piece.encode("utf-8", "replace")
        digest.update(len(told).to_bytes(8, "big") + told)
    return Fingerprint(digest.digest(), parsed.message_id.strip("<> "))


def reference(raw: bytes) -> str:
    """The Message-ID of a message that was written here, without brackets; "" for none. Looks at its header alone."""
    end = raw.find(b"\r\n\r\n")
    found = _MESSAGE_ID.search(raw, 0, end + 2 if end >= 0 else len(raw))
    return found[1].decode("utf-8", "replace") if found else ""
