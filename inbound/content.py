"""The content of a message as it comes after DATA (RFC 5321 sections 4.1.1.4 and 4.5.2). Pure.

Only CRLF "." CRLF ends a message. Of the other ways to end a line:

* CR or LF around a lone dot (`LF . LF`, `CR . CRLF`, `CRLF . CR`, ...) is the mark of SMTP smuggling and occurs in no honest
  mail: the message is refused once its real end has come.
* A bare CR or LF in the header section is refused: what the fields are would depend on who reads them (RFC 5321 section
  2.3.8). A message with LF line ends throughout is all header in this sense, and refused too.
* A bare CR or LF in the body, and NUL anywhere, is stored as it came: real mail has them, and they change nothing here.
"""

import re
from itertools import islice

_END = b"\r\n.\r\n"
_LONE_DOTS = (b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_RECEIVED = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)
_HOP_SCAN = 1 << 20


class Content:
    """Collects one message. `head` (our own fields, CRLF at its end) is stored before it; `limit` is in bytes, unstuffed."""

    __slots__ = ("_buffer", "_dots", "_floor", "_head", "_limit", "received", "refusal")

    def __init__(self, head: bytes, limit: int) -> None:
        self._buffer = bytearray(head)
        self._head = len(head)
        # The CRLF that ended the DATA command also begins the first line; the head's last one stands in for it.
        self._floor = len(head) - 2
        self._dots = 0
        self._limit = limit
        self.received = 0
        """Bytes from the wire so far."""
        self.refusal: str | None = None
        """Name of the reply that refuses the message, once that is certain; nothing is kept from then on."""

    @property
    def size(self) -> int:
        """Bytes of the message so far, unstuffed, without the head. Of no meaning after a refusal."""
        return len(self._buffer) - self._head - self._dots

    def feed(self, chunk: bytes) -> bytes | None:
        """Take what came. None: go on; bytes: the message has ended and these came after it."""
        buffer, before = self._buffer, len(self._buffer)
        buffer += chunk
        end = buffer.find(_END, max(self._floor, before - len(_END) + 1))
        stop = end + 2 if end >= 0 else len(buffer)
        self.received += len(chunk)
        self._dots += buffer.count(b"\r\n.", max(self._floor, before - 2), stop)
        if 0 <= end <= before - 3:
            self._dots -= 1  # the dot of the end itself, counted before it was known for what it is
        rest = bytes(buffer[end + len(_END) :]) if end >= 0 else None
        del buffer[stop:]
        if self.refusal is None:
            # An unfinished message may carry the first bytes of its end.
            slack = len(_END) if end < 0 else 0
            if self.size > self._limit + slack:
                self.refuse("too_large")
        else:
            self._trim()
        return rest

    def refuse(self, reply: str) -> None:
        """Keep nothing more; go on looking for the end, so that the session stays in step."""
        self.refusal = reply
        self._trim()

    def take(self) -> tuple[bytes, int]:
        """The stuffed bytes, head included, and the head's length. Call once, after the end; empties this object."""
        wire = bytes(self._buffer)
        self._buffer.clear()
        return wire, self._head

    def _trim(self) -> None:
        del self._buffer[: -len(_END) + 1]
        self._floor = 0


def fault(wire: bytes, head: int, hops: int, line_bytes: int) -> str | None:
    """Why a complete message is refused (the name of the reply), or None. `head` bytes at its start are ours."""
    if any(mark in wire for mark in _LONE_DOTS):
        return "bare_line_end"
    end = wire.find(b"\r\n\r\n", head - 2)
    header_end = end + 2 if end >= 0 else len(wire)
    if _BARE.search(wire, head, header_end):
        return "bare_line_end"
    fields = _RECEIVED.finditer(wire, head, min(header_end, head + _HOP_SCAN))
    if next(islice(fields, hops, None), None):
        return "too_many_hops"
    return "line_limit" if _has_long_line(wire, head, line_bytes) else None


def unstuff(wire: bytes) -> bytes:
    """Take one dot off every line that begins with one (RFC 5321 section 4.5.2)."""
    return wire.replace(b"\r\n.", b"\r\n")


def _has_long_line(wire: bytes, start: int, limit: int) -> bool:
    """True if a line has more than `limit` bytes with its CRLF. Jumps from line end to line end, near one call a `limit`."""
    while len(wire) - start > limit:
        end = wire.rfind(b"\r\n", start, start + limit)
        if end < 0:
            return True
        start = end + 2
    return False
