"""Messages in an mbox file (mboxrd, RFC 4155): the exact bytes of each come back.

Four lines of ours stand between the `From ` line and the message: `X-Mtumail` says everything, `Status`, `X-Status` and
`X-Keywords` say the flags again as other programs read them. They are no part of the message, and who takes it out leaves just
these four away. Of the message itself, lines that begin with `From ` behind any number of `>` get one `>` more.
"""

import re
from typing import Final

from webmail.privacy.export.told import Told

MARK: Final = b"X-Mtumail: "
HEAD_LINES: Final = 4
_QUOTED = re.compile(rb"^(>*From )", re.MULTILINE)
_UNQUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


def entry(told: Told, raw: bytes) -> bytes:
    """A message as it stands in the file, with everything that is around it."""
    end = b"\r\n" if _ends_in_crlf(raw) else b"\n"
    sender = re.sub(r"[^!-~]", "_", told.sender) or "MAILER-DAEMON"
    day = told.received_at
    # asctime, in English wherever this runs
    stamp = (
        f"{_DAYS[day.weekday()]} {_MONTHS[day.month - 1]} {day.day:2d} {day:%H:%M:%S} {day.year:04d}".encode()
    )
    head = end.join(line.encode() for line in _head(told)) + end
    return b"From " + sender.encode() + b" " + stamp + b"\n" + head + quoted(raw) + b"\n\n"


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _head(told: Told) -> tuple[str, str, str, str]:
    status = "RO" if told.is_read else "O"
    more = ("A" if told.is_answered else "") + ("F" if told.is_starred else "")
    return (
        f"{MARK.decode()}{told.line()}",
        f"Status: {status}",
        f"X-Status: {more}",
        f"X-Keywords: {'$Forwarded' if told.is_forwarded else ''}",
    )


def _ends_in_crlf(raw: bytes) -> bool:
    first = raw.find(b"\n")
    return first > 0 and raw[first - 1 : first] == b"\r"


def quoted(raw: bytes) -> bytes:
    """`From ` at the beginning of a line, behind any number of `>`, with one more."""
    return _QUOTED.sub(rb">\1", raw)


def unquoted(raw: bytes) -> bytes:
    """What was quoted, as it was."""
    return _UNQUOTED.sub(rb"\1", raw)
