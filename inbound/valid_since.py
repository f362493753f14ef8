"""Mail for whoever had an address at some time, and not for who has it now (RFC 7293, Require-Recipient-Valid-Since). Pure.

A sender may say, with RCPT or in the header, since when it knows the recipient. A mailbox that got the address later is somebody
else's: the mail, a new password perhaps, is refused. What is asked for and cannot be read asks for nothing in a header field, as
mail would be lost for it otherwise; with RCPT it is a syntax error.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from webmail.mail.addresses import AddressError, parse_spec

_PARAMETER = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))(?:;[CR])?", re.IGNORECASE
)
_FIELD = re.compile(
    rb"^require-recipient-valid-since[ \t]*:((?:[^\r\n]|\r\n[ \t]){0,998})", re.IGNORECASE | re.MULTILINE
)
_COMMENT = re.compile(r"\([^()]*\)")
_MOST_FIELDS = 100


def read_parameter(value: str | None) -> datetime | None:
    """The moment that RRVS= names; None for one that is malformed. What a next server is to do (`;C`, `;R`) is not for us."""
    found = _PARAMETER.fullmatch(value or "")
    try:
        return datetime.fromisoformat(found[1].upper()) if found else None
    except ValueError:
        return None


def read_fields(wire: bytes, start: int = 0) -> list[tuple[str, datetime]]:
    """The addresses (as keys) and moments that the header of a message names, from `start` on; without what cannot be read."""
    end = wire.find(b"\r\n\r\n", start)
    stop = end if end >= 0 else len(wire)
    found = []
    for number, field in enumerate(_FIELD.finditer(wire, start, stop)):
        if number == _MOST_FIELDS:
            break
        value = _COMMENT.sub("", field[1].decode("utf-8", "replace").replace("\r\n", ""))
        spec, _semicolon, date = value.rpartition(";")
        try:
            at = parsedate_to_datetime(date.strip())
            found.append(
                (parse_spec(spec.strip().strip("<>")).key, at if at.tzinfo else at.replace(tzinfo=UTC))
            )
        except (AddressError, ValueError, TypeError, IndexError, OverflowError):
            continue
    return found


def is_other_owner(since: datetime | None, asked: datetime) -> bool:
    """Whether a mailbox that has had its address from `since` on (None: for ever) is another one than who is meant."""
    return since is not None and since > asked


def refuses(wire: bytes, start: int, recipients: Iterable[tuple[str, datetime | None]]) -> bool:
    """Whether the header of a message asks for somebody else than one of these recipients (address as resolved, since when).

    One answer is for all of a message's recipients: where one is wrong none gets it, and the sender is told.
    """
    asked = read_fields(wire, start)
    if not asked:
        return False
    owned = {}
    for address, since in recipients:
        try:
            owned[parse_spec(address).key] = since
        except AddressError:
            continue
    return any(is_other_owner(owned[key], at) for key, at in asked if key in owned)
