"""Command lines, parsed (RFC 5321 section 4.1): verbs, paths and parameters. Pure; aiosmtpd's own parser is too trusting."""

import re
from dataclasses import dataclass
from datetime import datetime

from inbound.valid_since import read_parameter
from webmail.mail.addresses import AddressError, parse_path

MAIL_PARAMETER_BYTES = 26 + 17 + 10
"""What SIZE (RFC 1870), BODY (RFC 6152) and SMTPUTF8 (RFC 6531) may add to the length of a MAIL command."""

_PARAMETER = re.compile(r"(?P<key>[A-Za-z0-9][A-Za-z0-9-]*)(?:=(?P<value>[^=\x00-\x20\x7f]+))?")
_ROUTE = re.compile(r"@[^:]*:")
# Real senders break the dot rules of RFC 5321's local part (`first..last@`, `name.@`), and nothing is routed by a sender:
# such an address is kept as it came rather than the mail lost.
_LOOSE_SENDER = re.compile(r"[^\s<>@,;:\"()\[\]\\]{1,64}@[A-Za-z0-9._-]{1,255}")


class Malformed(Exception):
    """A command that cannot be used; `reply` is the name of the reply."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Command:
    """A verb in upper case and the rest of its line, without the blanks around it."""

    verb: str
    argument: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A MAIL command: the sender ("" for the null sender), declared size in bytes (None: not declared), SMTPUTF8."""

    sender: str
    size: int | None
    smtputf8: bool


@dataclass(frozen=True, slots=True)
class Rcpt:
    """A RCPT command: the path, and since when the sender knows whose it is (RFC 7293; None: it does not say)."""

    path: str
    valid_since: datetime | None = None


def parse_command(line: bytes) -> Command:
    """One line with its line end. Raises Malformed."""
    if not line.endswith(b"\r\n"):
        raise Malformed("bad_line_end")
    try:
        text = line[:-2].decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("bad_characters") from None
    if any(char < " " or "\x7f" <= char <= "\x9f" or char in "\u2028\u2029" for char in text):
        raise Malformed("bad_characters")
    verb, _, argument = text.partition(" ")
    return Command(verb.upper(), argument.strip(" "))


def parse_mail(argument: str, extended: bool) -> Mail:
    """The argument of MAIL, `FROM:<path> parameters`. Parameters need EHLO (`extended`). Raises Malformed."""
    path, rest = split_path(argument, "FROM:")
    size, smtputf8 = None, False
    for key, value in _parameters(rest, extended).items():
        if key == "SIZE" and value is not None and re.fullmatch(r"[0-9]{1,20}", value):
            size = int(value)
        elif key == "SMTPUTF8" and value is None:
            smtputf8 = True
        elif key == "BODY" and value is not None and value.upper() in ("7BIT", "8BITMIME"):
            pass
        else:
            raise Malformed("bad_syntax" if key in ("SIZE", "SMTPUTF8", "BODY") else "unknown_parameter")
    if not smtputf8 and not path.isascii():
        raise Malformed("utf8_sender")
    return Mail(_sender(path), size, smtputf8)


def parse_rcpt(argument: str, extended: bool) -> Rcpt:
    """The argument of RCPT, `TO:<path> parameters`; the path without its brackets, not yet judged. Raises Malformed."""
    path, rest = split_path(argument, "TO:")
    parameters = _parameters(rest, extended)
    valid_since = None
    if "RRVS" in parameters:
        valid_since = read_parameter(parameters.pop("RRVS"))
        if valid_since is None:
            raise Malformed("bad_syntax")
    if parameters:
        raise Malformed("unknown_parameter")
    if not path:
        raise Malformed("bad_recipient")
    return Rcpt(path, valid_since)


def split_path(argument: str, keyword: str) -> tuple[str, str]:
    """Split `keyword<path> rest`; a quoted string in the path may hold `>`. Raises Malformed.

    A blank before the bracket is common and harmless; a path without brackets is neither.
    """
    if argument[: len(keyword)].upper() != keyword:
        raise Malformed("bad_syntax")
    text = argument[len(keyword) :].lstrip(" ")
    if not text.startswith("<"):
        raise Malformed("bad_syntax")
    quoted = escaped = False
    for index, char in enumerate(text[1:], 1):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == ">" and not quoted:
            rest = text[index + 1 :]
            if rest and not rest.startswith(" "):
                raise Malformed("bad_syntax")
            return text[1:index], rest.strip(" ")
    raise Malformed("bad_syntax")


def _parameters(text: str, extended: bool) -> dict[str, str | None]:
    words = text.split()
    if words and not extended:
        raise Malformed("unknown_parameter")
    found: dict[str, str | None] = {}
    for word in words:
        match = _PARAMETER.fullmatch(word)
        if match is None or match["key"].upper() in found:
            raise Malformed("bad_syntax")
        found[match["key"].upper()] = match["value"]
    return found


def _sender(path: str) -> str:
    if not path:
        return ""
    route = _ROUTE.match(path)
    plain = path[route.end() :] if route else path
    if not _LOOSE_SENDER.fullmatch(plain):
        try:
            parse_path(plain)
        except AddressError:
            raise Malformed("bad_sender") from None
    return plain
