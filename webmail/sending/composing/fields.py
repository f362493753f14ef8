"""Header fields as bytes: folding, encoded words (RFC 2047), addresses (RFC 5322 3.4), file names (RFC 2231).

Nothing here repairs what a person wrote: a control character in a field is refused, because each of them is a line end
to some program on the way.
"""

import base64
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

from webmail.errors import MtumailError
from webmail.mail.addresses import Address, AddressError, parse_spec
from webmail.mail.charsets import BIDI

MAX_LINE: Final = 76  # RFC 2047 section 2 for lines with encoded words; below the 78 of RFC 5322
MAX_WORD: Final = 75
MAX_SUBJECT: Final = 2000  # characters
MAX_NAME: Final = 300
MAX_FILE_NAME: Final = 255

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_MSG_ID = re.compile(r"<[!-;=?-~]{1,250}@[!-;=?-~]{1,250}>")
_MSG_ID_OTHERS = re.compile(r"<[!-;=?-~]{1,900}>")


class CompositionError(MtumailError):
    """A field cannot be sent as it is. `field` is a header's name in lower case, `body` or `attachment`; `reason` a
    short code."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def checked(field: str, text: str, limit: int) -> str:
    """`text` unchanged. Raises CompositionError for control characters, line ends of any kind, and lone surrogates."""
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        raise CompositionError(field, "control")
    if len(text) > limit:
        raise CompositionError(field, "too-long")
    return text


def unstructured(name: str, text: str) -> str:
    """`Name: text` with CRLF at its end. ASCII stays as it is, folded at its own spaces; the rest is encoded words."""
    text = checked(name.lower(), text, MAX_SUBJECT).strip()
    words = re.findall(r" *[^ ]+", text)
    if not text.isascii() or "=?" in text or any(len(word) > MAX_LINE - len(name) - 2 for word in words):
        return f"{name}: " + "\r\n ".join(encoded_words(text, len(name) + 2)) + "\r\n"
    lines, line = [], f"{name}:" + ("" if words else " ")
    for number, word in enumerate(words):
        word = word if number else f" {word}"
        if number and len(line) + len(word) > MAX_LINE:
            lines.append(line)
            line = ""
        line += word
    return "\r\n".join([*lines, line]) + "\r\n"


def encoded_words(text: str, used: int) -> list[str]:
    """Encoded words for `text`, each at most 75 octets and of whole characters; `used` columns are taken on the first line.

    Q where most of it stays readable, else B. Readers put adjacent words together without the space between.
    """
    octets = text.encode("utf-8")
    q_length = sum(1 if octet in _Q_SAFE or octet == 32 else 3 for octet in octets)
    kind = "Q" if q_length * 2 <= len(octets) * 5 else "B"
    room = MAX_WORD - len("=?utf-8?Q??=")
    words, current = [], ""
    left = min(room, max(room - max(0, used - 1), 16))
    for cluster in _clusters(text):
        if current and _length(kind, current + cluster) > left:
            words.append(current)
            current, left = "", room
        current += cluster
    return [f"=?utf-8?{kind}?{_payload(kind, word)}?=" for word in [*words, current]]


def _clusters(text: str) -> Iterable[str]:
    """Characters with the marks and joiners that belong to them, in pieces that always fit into one word."""
    cluster = ""
    for character in text:
        joined = (
            unicodedata.category(character) in ("Mn", "Me", "Mc")
            or character == "\u200d"
            or cluster.endswith("\u200d")
        )
        if cluster and not (joined and len(cluster.encode("utf-8")) <= 12):
            yield cluster
            cluster = ""
        cluster += character
    if cluster:
        yield cluster


def _payload(kind: str, text: str) -> str:
    octets = text.encode("utf-8")
    if kind == "B":
        return base64.b64encode(octets).decode("ascii")
    return "".join(
        "_" if octet == 32 else chr(octet) if octet in _Q_SAFE else f"={octet:02X}" for octet in octets
    )


def _length(kind: str, text: str) -> int:
    return len(_payload(kind, text))


def addresses(name: str, people: Sequence[Address]) -> str:
    """An address list field with CRLF at its end, folded between addresses. Raises CompositionError."""
    lines, line = [], f"{name}:"
    for number, person in enumerate(people):
        pieces = _mailbox(name, person, len(name) + 2)
        pieces[-1] += "," if number < len(people) - 1 else ""
        for piece in pieces:
            if (
                len(line.encode("utf-8")) + 1 + len(piece.encode("utf-8")) > MAX_LINE
                and line.strip() != f"{name}:"
            ):
                lines.append(line)
                line = ""
            line += f" {piece}"
    return "\r\n".join([*lines, line]) + "\r\n"


def _mailbox(field: str, person: Address, used: int) -> list[str]:
    """One mailbox as pieces that may stand on lines of their own."""
    try:
        email = parse_spec(person.email).email
    except AddressError as error:
        raise CompositionError(field.lower(), error.reason) from None
    name = checked(field.lower(), person.name, MAX_NAME).strip()
    if not name:
        return [email]
    if name.isascii() and "=?" not in name and len(name) <= 60:
        plain = _ATOMS.fullmatch(name)
        shown = name if plain else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return [shown, f"<{email}>"]
    return [*encoded_words(name, used), f"<{email}>"]


def message_ids(name: str, ids: Sequence[str]) -> str:
    """A field of message-ids, one a line after the first. Raises CompositionError."""
    for one in ids:
        if not _MSG_ID_OTHERS.fullmatch(one):
            raise CompositionError(name.lower(), "bad-message-id")
    return f"{name}: " + "\r\n ".join(ids) + "\r\n"


def own_message_id(message_id: str, domain: str) -> str:
    """The Message-ID field, which must be at `domain`: replies and delivery reports find their message by it."""
    if not _MSG_ID.fullmatch(message_id) or message_id[1:-1].rpartition("@")[2].lower() != domain.lower():
        raise CompositionError("message-id", "not-ours")
    return f"Message-ID: {message_id}\r\n"


def is_message_id(text: str) -> bool:
    """Whether somebody else's message-id can be repeated in a header."""
    return _MSG_ID_OTHERS.fullmatch(text) is not None


def disposition(file_name: str, kind: str = "attachment") -> str:
    """Content-Disposition of a file ("attachment" or "inline"), with CRLF. Names that are not short plain ASCII go by RFC 2231
    section 4.1."""
    name = checked("attachment", file_name, MAX_FILE_NAME)
    if not name.strip(". ") or "/" in name or "\\" in name or not BIDI.isdisjoint(name):
        raise CompositionError("attachment", "bad-name")
    if name.isascii() and len(name) <= 55 and "=?" not in name:
        escaped = name.replace('"', '\\"')
        return f'Content-Disposition: {kind};\r\n filename="{escaped}"\r\n'
    pieces, current = [], ""
    for unit in re.findall(r"%..|[^%]", "utf-8''" + quote(name.encode("utf-8"), safe="!#$&+.^_`|~-")):
        if len(current) + len(unit) > 58:
            pieces.append(current)
            current = ""
        current += unit
    pieces.append(current)
    if len(pieces) == 1:
        return f"Content-Disposition: {kind};\r\n filename*={pieces[0]}\r\n"
    numbered = ";\r\n".join(f" filename*{number}*={piece}" for number, piece in enumerate(pieces))
    return f"Content-Disposition: {kind};\r\n{numbered}\r\n"
