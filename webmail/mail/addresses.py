"""Mail addresses: one strict reading for decisions, one that never fails for display.

`parse_path` and `parse_recipients` decide where mail goes, so they refuse what is not plainly one address (RFC 5321 section
4.1.2, with UTF-8 after RFC 6531). `parse_list` shows what a stranger wrote in a header: what cannot be read as exactly one
address becomes a name without an address, never a guess at one of two.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from webmail.errors import MtumailError
from webmail.mail import idn
from webmail.mail.charsets import clean_name, decode_words

MAX_LOCAL: Final = 64  # octets, RFC 5321 section 4.5.3.1.1
MAX_PATH: Final = 254  # octets without the angle brackets, RFC 5321 section 4.5.3.1.3
MAX_RECIPIENTS: Final = 100
MAX_TYPED: Final = 1000  # characters of one address with its name, as typed
MAX_ADDRESSES: Final = 1000
MAX_NAME: Final = 300  # characters of a display name that are kept

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-"
_DOT_ATOM = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*)"')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
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
    def is_ascii(self) -> bool:
        """False: only a server with SMTPUTF8 can take it (RFC 6531)."""
        return self.local.isascii()

    @property
    def is_misleading(self) -> bool:
        """The name shows another address, or the address mixes scripts: worth a warning beside it."""
        name = self.name.casefold()
        shown = {self.email.casefold(), self.display.casefold()}
        claims = "@" in name and not any(one and one in name for one in shown)
        return claims or idn.is_mixed(self.local) or "xn--" in idn.to_display(self.domain)

    @property
    def _local(self) -> str:
        if not self.local or _DOT_ATOM.fullmatch(self.local):
            return self.local if self.local or not self.domain else '""'
        return '"' + self.local.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True)
class AddressList:
    """The addresses of one kind of header, in order; `more` counts those beyond the limit."""

    addresses: tuple[Address, ...] = ()
    more: int = 0

    def __len__(self) -> int:
        return len(self.addresses)

    def __iter__(self) -> Iterator[Address]:
        return iter(self.addresses)


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
            _normal(_ESCAPED.sub(r"\1", quoted[1])),
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


def _pieces(text: str) -> list[str]:
    if len(text) > MAX_RECIPIENTS * MAX_TYPED:
        raise AddressError("too-long", text)
    pieces: list[list[str]] = [[]]
    for token in _PIECE.findall(text):
        if token in (",", ";", "\r", "\n"):
            pieces.append([])
        else:
            pieces[-1].append(token)
    written = ("".join(tokens).strip(" \t\u00a0") for tokens in pieces)
    return [piece for piece in written if piece]


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
    shown = _ESCAPED.sub(r"\1", name["quoted"]) if name["quoted"] is not None else name["plain"]
    return Address(address.local, address.domain, clean_name(shown)[:MAX_NAME])


_LAX_DOMAIN = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,30}")
_TOKEN = re.compile(
    r'"(?P<quoted>(?:[^"\\]++|\\.)*+)(?P<closed>"?)'
    r"|(?P<word>=\?[^?\s]{1,60}\?[bBqQ]\?[^?\s]*+\?=)"
    r"|(?P<literal>\[[^\]\[\s<>,;()\"]*+\])"
    r"|(?P<special>[()<>,;:@\\])"
    r"|(?P<space>[ \t\r\n]++)"
    r"|(?P<atom>[^\"()<>,;:@\\\[ \t\r\n]++|\[)",
    re.DOTALL,
)


class _Item:
    """What was read of one list entry so far: the phrase before the angle bracket, the address in it, comments, faults."""

    def __init__(self) -> None:
        self.phrase: list[tuple[str, str]] = []
        self.spec: list[tuple[str, str]] | None = None
        self.in_angle = False
        self.comments: list[str] = []
        self.broken = False

    @property
    def target(self) -> list[tuple[str, str]]:
        return self.spec if self.in_angle and self.spec is not None else self.phrase

    def address(self) -> Address | None:
        """None where there is nothing at all between two commas."""
        words = _words(self.phrase)
        if self.spec is not None:
            name = words or _name(" ".join(self.comments))
            local, domain = _spec(self.spec)
        else:
            name, (local, domain) = _name(" ".join(self.comments)), _spec(self.phrase)
        if domain and not self.broken:
            return Address(local, domain, "" if name == f"{local}@{domain}" else name)
        if self.spec and len(self.spec) == 1 and self.spec[0][0] == "atom" and not self.broken:
            return Address(_words(self.spec), "", words)
        shown = [words, _words(self.spec) if self.spec else ""]
        whole = _name(" ".join([one for one in shown if one] + (self.comments if self.broken else [])))
        if not whole:
            return None
        bare = not self.broken and len(self.target) == 1 and self.target[0][0] == "atom" and not self.comments
        return Address(whole, "") if bare and "@" not in whole else Address("", "", whole)


def _name(text: str) -> str:
    return clean_name(decode_words(text[:8192]))[:MAX_NAME].strip()


def _words(tokens: list[tuple[str, str]]) -> str:
    return _name("".join(text for _, text in tokens))


def _spec(tokens: list[tuple[str, str]]) -> tuple[str, str]:
    """(local, domain) of an address in a header, or two empty strings where it is not one."""
    marks = [i for i, (_, text) in enumerate(tokens) if text == ":"]
    if marks and tokens[0][1] == "@":
        tokens = tokens[
            marks[-1] + 1 :
        ]  # an obsolete route (RFC 5322 section 4.4): the mailbox is what follows it
    tokens = _without_space(tokens)
    ats = [i for i, (kind, text) in enumerate(tokens) if kind == "special" and text == "@"]
    if len(ats) != 1 or any(kind == "space" or (kind == "special" and text != "@") for kind, text in tokens):
        return "", ""
    local = clean_name("".join(text for _, text in tokens[: ats[0]]))
    written = "".join(text for kind, text in tokens[ats[0] + 1 :] if kind != "quoted")
    if len(local) > 4 * MAX_LOCAL or len(written) > 1024:
        return "", ""
    if written.startswith("["):
        return (local, written.lower().replace("[ipv6:", "[IPv6:")) if idn.is_literal(written) else ("", "")
    shown = clean_name(written)
    domain = idn.to_ascii(shown) or (shown.lower() if _LAX_DOMAIN.fullmatch(shown) else "")
    return (local, domain) if local and domain else ("", "")


def _without_space(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Space at the ends and around "@" and "." is allowed in old mail; anywhere else it parts two things."""
    kept: list[tuple[str, str]] = []
    for i, (kind, text) in enumerate(tokens):
        if kind == "space":
            before = kept[-1][1] if kept else "@"
            after = tokens[i + 1] if i + 1 < len(tokens) else ("", "@")
            if before.endswith(("@", ".")) or after[1].startswith(("@", ".")) or after[0] == "space":
                continue
        kept.append((kind, text))
    while kept and kept[-1][0] == "space":
        kept.pop()
    return kept


def parse_list(value: str, limit: int = MAX_ADDRESSES) -> AddressList:
    """The addresses of a header field (RFC 5322 section 3.4), for display. Never raises; linear; groups are opened up."""
    found: list[Address] = []
    more = 0
    for item in _items(value):
        if len(found) >= limit:
            more += bool(item.phrase or item.spec)
        elif (address := item.address()) is not None:
            found.append(address)
    return AddressList(tuple(found), more)


def _items(value: str) -> Iterator[_Item]:
    item, depth, comment_from = _Item(), 0, 0
    for token in _TOKEN.finditer(value):
        kind, text = str(token.lastgroup), token[0]
        if depth:
            if kind == "special" and text in "()":
                depth += 1 if text == "(" else -1
                if not depth:
                    item.comments.append(value[comment_from : token.start()])
                    item.target.append(("space", " "))
            continue
        if text == "(" and kind == "special":
            depth, comment_from = 1, token.end()
        elif text in ",;" and kind == "special" and not (item.in_angle and _is_route(item.spec)):
            yield item
            item = _Item()
        elif text == ":" and kind == "special" and not item.in_angle:
            item = _Item() if not _has_at(item.phrase) else item
            item.broken = item.broken or bool(item.phrase)
        elif text == "<" and kind == "special":
            if item.spec is not None and not item.in_angle:
                yield item
                item = _Item()
            item.spec, item.in_angle = item.spec or [], True
        elif text == ">" and kind == "special":
            item.in_angle = False
        else:
            _take(item, token)
    if depth:
        item.comments.append(value[comment_from:])
        item.broken = True
    yield item


def _take(item: _Item, token: re.Match[str]) -> None:
    kind, text = str(token.lastgroup), token[0]
    if token["quoted"] is not None:
        kind, text = "quoted", _ESCAPED.sub(r"\1", token["quoted"])
        item.broken = item.broken or not token["closed"]
    elif kind == "special" and text != "@":
        item.broken = item.broken or text == ")"
    item.target.append((kind, text))


def _is_route(spec: list[tuple[str, str]] | None) -> bool:
    return bool(spec) and spec is not None and spec[0][1] == "@"


def _has_at(tokens: list[tuple[str, str]]) -> bool:
    return ("special", "@") in tokens
