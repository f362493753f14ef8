"""An answer to an invitation as a message (iMIP, RFC 6047): words for people, and the same for calendars."""

import base64
import hashlib

from webmail.sending.composing.message import Composition, build
from webmail.sending.relay.content import refuse_unclean

_MARK = b"\r\nMIME-Version: 1.0\r\n"


def build_answer(composition: Composition, calendar: bytes) -> bytes:
    """`composition` with an iTIP REPLY beside its text (multipart/alternative). Raises CompositionError as `build` does.

    The calendar part is base64: relays may touch the spaces and line ends of any other, and its folding lives on them.
    """
    if composition.attachments:
        raise ValueError("an answer carries no files")
    # A header line that begins with this name is the last of the header: nobody can write another.
    head, mark, text_part = build(composition).partition(_MARK)
    encoded = base64.encodebytes(calendar).rstrip().replace(b"\n", b"\r\n")
    calendar_part = (
        b"Content-Type: text/calendar; method=REPLY; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + encoded
        + b"\r\n"
    )
    # Its first two characters stand neither in base64 nor in quoted-printable; in plain text, not by chance.
    boundary = b"=_" + hashlib.sha256(text_part + calendar).hexdigest()[:32].encode()
    line = b"--" + boundary
    content_type = b'Content-Type: multipart/alternative;\r\n boundary="' + boundary + b'"\r\n\r\n'
    inside = b"".join(line + b"\r\n" + part + b"\r\n" for part in (text_part, calendar_part))
    raw = head + mark + content_type + inside + line + b"--\r\n"
    refuse_unclean(raw)
    return raw
