"""Content lines of vCards, unfolded and decoded: RFC 6350 section 3, RFC 2425 section 5.8, and vCard 2.1's quoted-printable."""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from webmail.mail.charsets import decode, guess

MAX_VALUE: Final = 65_536  # octets of one unfolded line; more is cut
MAX_HEAD: Final = 2_000  # of its name and parameters
MAX_LINES: Final = 200_000
CUT: Final = "\0"

_BREAKS = re.compile(rb"\n{2,}")
_HEAD = re.compile(rb'(?:[^":\r\n]++|"[^"\r\n]*+")*+:')
_NAME = re.compile(rb"(?:[A-Za-z0-9-]{1,60}\.)?([A-Za-z0-9-]{1,60})(?=[;:])")
_PARAM = re.compile(r';\s*([A-Za-z0-9-]{1,60})\s*(?:=\s*((?:"[^"]*"|[^";])*))?')


@dataclass(frozen=True, slots=True)
class Line:
    """One content line: its name in upper case and its value, verbatim but for charset and quoted-printable.

    `types` are the values of TYPE, and parameters without a name as 2.1 has them, in upper case.
    """

    name: str
    value: str
    types: frozenset[str] = frozenset()
    is_preferred: bool = False


class _Pieces:
    """The lines of a file one after the other, without a list of them: five million line ends are no five million objects."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at, self.count = content, 0, 0

    def starts(self, *marks: bytes) -> bool:
        """Whether there is a line, and it begins with one of these."""
        return self.count < MAX_LINES and self._content.startswith(marks, self._at)

    def is_cut(self) -> bool:
        """Whether there are more lines than are looked at."""
        return self._at < len(self._content) and self.count >= MAX_LINES

    def is_over(self) -> bool:
        """At the end of the file, or past the most lines that are looked at."""
        return self._at >= len(self._content) or self.count >= MAX_LINES

    def take(self) -> bytes:
        """The next line without its end."""
        end = self._content.find(b"\n", self._at)
        end = len(self._content) if end < 0 else end
        piece = self._content[self._at : end]
        self._at, self.count = end + 1, self.count + 1
        return piece


def lines(content: bytes, wanted: frozenset[str]) -> Iterator[Line]:
    """The lines of `content`, in order; those whose names are not `wanted` come without their value. Linear; blank lines and
    what comes after 200,000 lines are left out; of the latter a line named `CUT` tells."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        content = guess(content).encode("utf-8", "replace")
    content = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    pieces = _Pieces(_BREAKS.sub(b"\n", content))
    while not pieces.is_over():
        first = pieces.take()
        name = _NAME.match(first)
        if name is None:
            continue
        kept, room = [first[:MAX_VALUE]], MAX_VALUE - len(first)
        while pieces.starts(b" ", b"\t"):
            piece = pieces.take()
            if room > 0:
                kept.append(piece[1 : room + 1])
                room -= len(piece)
        label = name[1].decode("ascii").upper()
        if label not in wanted:
            yield Line(label, "")
            continue
        line = b"".join(kept)
        head = _HEAD.match(line, name.end(), name.end() + MAX_HEAD)
        if head is None:
            continue
        params = guess(line[name.end() : head.end() - 1])
        if "QUOTED-PRINTABLE" in params.upper():
            _soft(pieces, kept)
            line = b"".join(kept)
        yield _line(label, params, line[head.end() : MAX_VALUE])
    if pieces.is_cut():
        yield Line(CUT, "")


def _soft(pieces: _Pieces, kept: list[bytes]) -> None:
    """Take in the lines that a soft line break goes on with."""
    room = MAX_VALUE
    while not pieces.is_over() and kept[-1].rstrip(b" \t").endswith(b"=") and room > 0:
        kept[-1] = kept[-1].rstrip(b" \t")[:-1]
        kept.append(pieces.take())
        room -= len(kept[-1]) + 1


def _line(name: str, params: str, value: bytes) -> Line:
    charset, types, is_quoted, is_preferred = "", set(), False, False
    for match in _PARAM.finditer(params):
        label, told = match[1].upper(), (match[2] or "").strip().strip('"').upper()
        if match[2] is None:
            types.add(label)  # 2.1: ;HOME;PREF;QUOTED-PRINTABLE
        elif label == "TYPE":
            types |= {one.strip() for one in told.split(",")}
        elif label == "CHARSET":
            charset = told
        elif label == "ENCODING":
            types.add(told)
        elif label == "PREF":
            is_preferred = told == "1"
    is_quoted = bool(types & {"QUOTED-PRINTABLE", "Q"})
    if types & {"B", "BASE64"}:
        return Line(name, "")  # nothing that is wanted is a file
    if is_quoted:
        value = binascii.a2b_qp(value)
    # Without a charset vCard 3 and 4 are UTF-8; what is not is of the old days.
    return Line(name, decode(value, charset)[0], frozenset(types), is_preferred or "PREF" in types)


def split(value: str, mark: str, most: int = 100) -> list[str]:
    """The parts of a structured value between `mark`s that are not escaped, at most `most`, each unescaped."""
    if "\\" not in value:
        return value.split(mark)[:most] if mark else [value]
    parts: list[list[str]] = [[]]
    at = 0
    while at < len(value):
        letter = value[at]
        if letter == "\\" and at + 1 < len(value):
            parts[-1].append(_UNESCAPED.get(value[at + 1], value[at + 1]))
            at += 2
            continue
        if letter == mark and mark:
            if len(parts) >= most:
                break
            parts.append([])
        else:
            parts[-1].append(letter)
        at += 1
    return ["".join(part) for part in parts]


_UNESCAPED = {"n": "\n", "N": "\n"}


def unescape(value: str) -> str:
    """A text value (RFC 6350 section 3.4) as it was meant."""
    return split(value, "")[0]
