"""What may go over the wire to a relay: checked message bytes, dot-stuffed (RFC 5321 sections 2.3.8 and 4.5.2)."""

from collections.abc import Iterator
from typing import Final

from webmail.mail.addresses import AddressError, parse_spec

MAX_LINE: Final = 998  # octets without the CRLF, RFC 5322 section 2.1.1
CHUNK: Final = 256 * 1024


def refuse_unclean(raw: bytes) -> None:
    """Raise ValueError unless `raw` is lines of at most 998 octets, each ended by CRLF, without NUL.

    A relay may take a bare CR or LF for the end of a line, and so for the end of the message: what follows would be
    read as commands of ours (SMTP smuggling).
    """
    if not raw:
        raise ValueError("the message is empty")
    if not raw.endswith(b"\r\n"):
        raise ValueError("the message does not end with CRLF")
    ends = raw.count(b"\r\n")
    if b"\0" in raw or raw.count(b"\r") != ends or raw.count(b"\n") != ends:
        raise ValueError("the message has a bare CR or LF, or a NUL")
    at = 0
    while at < len(raw):
        end = raw.rfind(b"\n", at, at + MAX_LINE + 2)
        if end < 0:
            raise ValueError(f"the message has a line of more than {MAX_LINE} octets at octet {at}")
        at = end + 1


def has_eight_bit(raw: bytes) -> bool:
    """Whether BODY=8BITMIME must be declared (RFC 6152)."""
    return not raw.isascii()


def has_utf8_header(raw: bytes) -> bool:
    """Whether the header needs SMTPUTF8 (RFC 6532)."""
    return not raw.partition(b"\r\n\r\n")[0].isascii()


def stuffed(raw: bytes) -> Iterator[bytes]:
    """`raw` in pieces of about 256 kB, every line that begins with a dot given a second one; without the final dot."""
    start, at_line_start = 0, True
    while start < len(raw):
        piece = raw[start : start + CHUNK]
        start += len(piece)
        # A CRLF cut in two, or a dot that begins the next piece, is seen because pieces end after a line feed.
        if start < len(raw) and (cut := piece.rfind(b"\n") + 1):
            start -= len(piece) - cut
            piece = piece[:cut]
        if at_line_start and piece.startswith(b"."):
            yield b"."
        at_line_start = piece.endswith(b"\n")
        yield piece.replace(b"\n.", b"\n..")


def wire_path(address: str, *, may_be_empty: bool = False) -> str:
    """The address as it stands between the angle brackets of MAIL and RCPT. Raises ValueError.

    Whatever could end the path and begin a parameter or a command is refused here, not left to a library.
    """
    if not address and may_be_empty:
        return ""
    try:
        return parse_spec(address).email
    except AddressError as error:
        raise ValueError(f"not an envelope address: {error.reason}") from None
