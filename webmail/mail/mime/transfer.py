"""Content transfer encodings (RFC 2045 section 6, and uuencode), tolerant of garbage: every octet string decodes to something."""

import binascii
import re
from typing import Final

from webmail.mail.charsets import base64_run

_NAMES: Final = {
    "base64": "base64", "base-64": "base64", "b": "base64",
    "quoted-printable": "quoted-printable", "quoted printable": "quoted-printable", "quotedprintable": "quoted-printable",
    "q": "quoted-printable", "qp": "quoted-printable",
    "x-uuencode": "uuencode", "uuencode": "uuencode", "x-uue": "uuencode", "uue": "uuencode",
    "": "7bit", "7bit": "7bit", "8bit": "7bit", "binary": "7bit", "7-bit": "7bit", "8-bit": "7bit",
}  # fmt: skip

_MAX_UU_LINES: Final = 450_000  # 25 MiB in full lines; shorter lines are an attack on the loop
_TRAILING_SPACE = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
_BEGIN = re.compile(rb"(?:^|(?<=\n))begin [0-7]{3,4} [^\r\n]{0,1000}\r?\n")


def encoding_named(value: str) -> str | None:
    """The encoding a Content-Transfer-Encoding stands for, "7bit" for all that change nothing; None: unknown."""
    return _NAMES.get(value.partition(";")[0].partition("(")[0].strip(" \t\"'").lower())


def decode(data: bytes, encoding: str) -> bytes:
    """The octets behind the encoding. Never raises; time and memory are linear in the input."""
    if encoding == "base64":
        return _base64(data)
    if encoding == "quoted-printable":
        return _quoted_printable(data)
    if encoding == "uuencode":
        return _uuencode(data)
    return data


def _base64(data: bytes) -> bytes:
    """Whole padding ends the data (RFC 2045 section 6.8); where it is missing or odd, every digit counts."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        return base64_run(data)


def _quoted_printable(data: bytes) -> bytes:
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    # Space at a line's end was added on the way (RFC 2045 section 6.7 rule 3), and would break a soft line break.
    return binascii.a2b_qp(_TRAILING_SPACE.sub(b"", data))


def _uuencode(data: bytes) -> bytes:
    begin = _BEGIN.search(data)
    out, at = [], begin.end() if begin else 0
    for _ in range(_MAX_UU_LINES):
        if at >= len(data):
            break
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        line = data[at : min(end, at + 200)].rstrip(b"\r\n")
        at = end + 1
        if line in (b"end", b"`", b" "):
            break
        out.append(_uu_line(line))
    return b"".join(out)


def _uu_line(line: bytes) -> bytes:
    if not line:
        return b""
    for length in (
        len(line),
        1 + ((line[0] - 32 & 63) * 4 + 2) // 3,
    ):  # the second: what its first octet promises
        try:
            return binascii.a2b_uu(line[:length])
        except (binascii.Error, ValueError):
            continue
    return b""
