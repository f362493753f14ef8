"""The addresses of a header field, for display: what a stranger wrote there. What cannot be read as exactly one address becomes a
name without an address, never a guess at one of two."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from webmail.mail import idn
from webmail.mail.addresses import ESCAPED, MAX_LOCAL, MAX_NAME, Address
from webmail.mail.charsets import clean_name, decode_words

MAX_ADDRESSES: Final = 1000


@dataclass(frozen=True, slots=True)
class AddressList:
    """The addresses of one kind of header, in order; `more` counts those beyond the limit."""

    addresses: tuple[Address, ...] = ()
    more: int = 0

    def __len__(self) -> int:
        return len(self.addresses)

    def __iter__(self) -> Iterator[Address]:
        return iter(self.addresses)


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
        kind, text = "quoted", ESCAPED.sub(r"\1", token["quoted"])
        item.broken = item.broken or not token["closed"]
    elif kind == "special" and text != "@":
        item.broken = item.broken or text == ")"
    item.target.append((kind, text))


def _is_route(spec: list[tuple[str, str]] | None) -> bool:
    return bool(spec) and spec is not None and spec[0][1] == "@"


def _has_at(tokens: list[tuple[str, str]]) -> bool:
    return ("special", "@") in tokens
