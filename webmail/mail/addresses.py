"""Mail addresses, read strictly: for decisions. For display there is `address_lists`, which never fails.

`parse_path` and `parse_recipients` decide where mail goes, so they refuse what is not plainly one address (RFC 5321 section
4.1.2, with UTF-8 after RFC 6531).
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from webmail.errors import MtumailError
from webmail.mail import idn
from webmail.mail.charsets import clean_name

MAX_LOCAL: Final = 64  # octets, RFC 5321 section 4.5.3.1.1
MAX_PATH: Final = 254  # octets without the angle brackets, RFC 5321 section 4.5.3.1.3
MAX_RECIPIENTS: Final = 100
MAX_TYPED: Final = 1000  # characters of one address with its name, as typed
MAX_NAME: Final = 300  # characters of a display name that are kept

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-"
_DOT_ATOM = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*)"')
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
NEEDS_QUOTES = re.compile(r'[,;:@<>()"\\\[\]]')
"""Characters that a name among typed addresses has only within quotes."""
_BAD_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


class AddressError(MtumailError):
    """What a person or a peer gave is not an address. `reason` is a short code, `piece` the part it is about."""

    def __init__(self, reason: str, piece: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.piece = piece[:200]


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox. `local` is unquoted and keeps its case; `domain` is lower-case ASCII (A-labels, or a literal in brackets).

    From a header, `domain` may be empty: then there is a name, or a bare word, but nothing that mail could be sent to.
    """

    local: str
    domain: str
    name: str = ""

    @property
    def email(self) -> str:
        """The address as it goes into an envelope or a header: quoted where it must be, the domain in ASCII."""
        return f"{self._local}@{self.domain}" if self.domain else self._local

    @property
    def display(self) -> str:
        """The address to show: the domain in Unicode, unless that could pass for another one."""
        return f"{self._local}@{idn.to_display(self.domain)}" if self.domain else self._local

    @property
    def label(self) -> str:
        """The name, or the address where there is none: for a list row, where the address is shown elsewhere."""
        return self.name or self.display

    @property
    def key(self) -> str:
        """What all spellings of one mailbox have in common: case and tags do not count."""
        return f"{base_local(self.local)}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        """False: only a server with SMTPUTF8 can take it (RFC 6531)."""
        return self.local.isascii()

    @property
    def _local(self) -> str:
        if not self.local or _DOT_ATOM.fullmatch(self.local):
            return self.local if self.local or not self.domain else '""'
        return '"' + self.local.replace("\\", "\\\\").replace('"', '\\"') + '"'


def base_local(local: str) -> str:
    """The name a mailbox is looked up by: case folded, NFC, the tag after the first "+" removed. Never empty for a local
    part that is not."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).casefold())
    return folded.partition("+")[0] or folded


def fold(address: str) -> str:
    """An address by which others are known again: case folded, NFC, the domain in A-labels where it can be. Never raises."""
    local, at, domain = unicodedata.normalize("NFC", address.strip()).rpartition("@")
    return unicodedata.normalize("NFC", local.casefold()) + at + (idn.to_ascii(domain) or domain.casefold())


def _has_control(text: str) -> bool:
    return any(unicodedata.category(c) in _BAD_CATEGORIES for c in text)


def parse_spec(text: str) -> Address:
    """One addr-spec, `local@domain`, and nothing around it. Raises AddressError."""
    if _has_control(text):
        raise AddressError("control", text)
    local, domain, octets = _split_local(text)
    if not domain:
        raise AddressError("no-domain", text)
    if len(local.encode("utf-8")) > MAX_LOCAL or octets > MAX_LOCAL:
        raise AddressError("local-too-long", text)
    if domain.startswith("["):
        if not idn.is_literal(domain):
            raise AddressError("bad-domain", text)
        return Address(local, domain.lower().replace("[ipv6:", "[IPv6:"))
    ascii_domain = idn.to_ascii(domain)
    if ascii_domain is None:
        raise AddressError("bad-domain", text)
    address = Address(local, ascii_domain)
    if len(address.email.encode("utf-8")) > MAX_PATH:
        raise AddressError("too-long", text)
    return address


def _split_local(text: str) -> tuple[str, str, int]:
    """(unquoted local part, domain as written, octets of the local part as written). Raises AddressError."""
    if text.startswith('"'):
        quoted = _QUOTED.match(text)
        if not quoted or text[quoted.end() : quoted.end() + 1] != "@":
            raise AddressError("bad-local", text)
        return (
            _normal(ESCAPED.sub(r"\1", quoted[1])),
            text[quoted.end() + 1 :],
            len(quoted[0].encode("utf-8")),
        )
    local, at, domain = text.partition("@")
    if text.startswith("@"):
        raise AddressError("source-route" if ":" in domain else "bad-local", text)
    if not at:
        raise AddressError("no-domain", text)
    if (
        not _DOT_ATOM.fullmatch(local)
        or any(c.isspace() for c in local)
        or unicodedata.category(local[0])[0] == "M"
    ):
        raise AddressError("bad-local", text)
    if _normal(local) != local and not _DOT_ATOM.fullmatch(_normal(local)):
        raise AddressError("bad-local", text)  # U+037E becomes ";" in NFC
    return _normal(local), domain, len(local.encode("utf-8"))


def _normal(local: str) -> str:
    return local if local.isascii() else unicodedata.normalize("NFC", local)


def parse_path(path: str) -> Address:
    """An SMTP envelope path (RFC 5321 section 4.1.2), with or without its angle brackets. Raises AddressError.

    `postmaster` alone is an address without a domain (section 4.5.1). The null path `<>` is not an address: reason "empty".
    Percent and bang forms stay what they are, a local part that nobody has. Source routes are refused.
    """
    if _has_control(path):
        raise AddressError("control", path)
    if path.startswith("<") or path.endswith(">"):
        if not (path.startswith("<") and path.endswith(">") and len(path) > 1):
            raise AddressError("brackets", path)
        path = path[1:-1]
    if not path:
        raise AddressError("empty")
    if len(path) > 4 * MAX_PATH:
        raise AddressError("too-long", path)
    if path.lower() == "postmaster":
        return Address(path, "")
    return parse_spec(path)


# A quote that is never closed takes the rest of its line, so that none is looked through twice.
_PIECE = re.compile(r'"(?:[^"\\\r\n]++|\\[^\r\n])*+"?|<[^<>\r\n]*+>|[,;\r\n]|[^",;<\r\n]++|.', re.DOTALL)
SEPARATORS: Final = (",", ";", "\r", "\n")
BLANKS: Final = " \t\u00a0"  # around a recipient
_NAMED = re.compile(r"(?P<name>[^<>]*?)\s*<(?P<spec>[^<>]*)>")
_TYPED_NAME = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^"\\()<>@,;:\[\]]*)')


def parse_recipients(text: str) -> tuple[Address, ...]:
    """What a person types into To, Cc or Bcc: addresses with or without names, parted by commas, semicolons or line ends.

    Each address once, in order. Raises AddressError that names the first bad piece, or "too-many" beyond 100.
    """
    found: dict[str, Address] = {}
    for piece in _pieces(text):
        address = _typed(piece)
        found.setdefault(f"{address.local}@{address.domain}", address)
        if len(found) > MAX_RECIPIENTS:
            raise AddressError("too-many", piece)
    return tuple(found.values())


def as_typed(name: str, email: str) -> str:
    """Somebody as one types them into a field: `Ann <ann@example.org>`, the name in quotes where it would be parted."""
    if not name:
        return email
    if NEEDS_QUOTES.search(name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{email}>'
    return f"{name} <{email}>"


def pieces(text: str) -> list[str]:
    """What a person types into To, Cc or Bcc as recipients and the marks between them, in order: joined they are `text`."""
    found: list[list[str]] = [[]]
    for token in _PIECE.findall(text):
        if token in SEPARATORS:
            found += [[token], []]
        else:
            found[-1].append(token)
    return ["".join(tokens) for tokens in found if tokens]


def _pieces(text: str) -> list[str]:
    if len(text) > MAX_RECIPIENTS * MAX_TYPED:
        raise AddressError("too-long", text)
    return [one for piece in pieces(text) if (one := piece.strip(BLANKS)) and piece not in SEPARATORS]


def _typed(piece: str) -> Address:
    if len(piece) > MAX_TYPED:
        raise AddressError("too-long", piece)
    named = _NAMED.fullmatch(piece)
    spec = named["spec"].strip(" ") if named else piece
    written = named["name"] if named else ""
    name = _TYPED_NAME.fullmatch(written) or (
        _TYPED_NAME.fullmatch(f'"{written}"') if '"' not in written else None
    )
    if not name or any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in written):
        raise AddressError("bad-name", piece)
    try:
        address = parse_spec(spec)
    except AddressError as error:
        raise AddressError(error.reason, piece) from None
    last = address.domain.rpartition(".")[2]
    if "." not in address.domain or address.domain.startswith("[") or last.isdigit():
        raise AddressError("bad-domain", piece)
    shown = ESCAPED.sub(r"\1", name["quoted"]) if name["quoted"] is not None else name["plain"]
    return Address(address.local, address.domain, clean_name(shown)[:MAX_NAME])
