"""What a message offers for leaving its list: RFC 2369 (List-Unsubscribe), RFC 8058 (one click), RFC 2919 (List-Id).

Nothing here asks anybody anything. An address is offered only when it can be pressed safely; whoever asks for it still has to
refuse private networks, redirects and cookies.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from webmail.mail.addresses import AddressError, parse_spec
from webmail.mail.charsets import clean_name, decode_words
from webmail.mail.sanitize import urls

MAX_FIELD: Final = 8192  # characters of one field that are read
MAX_FIELDS: Final = 10
MAX_ADDRESSES: Final = 20  # in all fields together
MAX_URL: Final = 2048
MAX_SUBJECT, MAX_BODY, MAX_NAME = 200, 1000, 200

_TOKEN: Final = re.compile(r"[()<>,]|[^()<>,]+")
_ONE_CLICK: Final = re.compile(r"\s*List-Unsubscribe\s*=\s*One-Click\s*", re.IGNORECASE)
_LIST_ID: Final = re.compile(r"<([^<>]*)>[^<>]*$")
_ID: Final = re.compile(r"[^\s<>()@,;:\"\\]{1,255}")
_LOCAL_NAMES: Final = (
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "localdomain",
    "arpa",
    "onion",
)


@dataclass(frozen=True, slots=True)
class Mailto:
    """A message that leaves the list: one recipient, a line, a text with LF. Never a copy to anybody else."""

    to: str
    subject: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """Ways out of a list, best first: `post` (RFC 8058, at a press, from here), `mailto`, `page` (to open)."""

    post: str = ""
    """An https address to send `List-Unsubscribe=One-Click` to, with nothing that tells who sends it."""
    mailto: Mailto | None = None
    page: str = ""
    list_id: str = ""
    list_name: str = ""

    def __bool__(self) -> bool:
        return bool(self.post or self.mailto or self.page)


def offer(headers: Sequence[tuple[str, str]], dkim_covers: Callable[[str], bool] | bool = False) -> Offer:
    """What the header fields (name, unfolded value) of a message offer. Never raises; linear.

    `dkim_covers` says of a field's lower-case name whether a passing DKIM signature covers it, or of both needed fields at once.
    One click needs it (RFC 8058 section 4), and just one field of each name (section 3.1); without it the same address is only
    a page to open. Of each kind the first usable address counts.
    """
    fields = _values(headers, "list-unsubscribe")
    found = [item for value in fields for item in _addresses(value[:MAX_FIELD])][:MAX_ADDRESSES]
    pages = [url for url in (_web(text) for text, _ in found) if url]
    secure = next((url for url in pages if url.startswith("https:")), "")
    mailto = next((mail for mail in (_mailto(text) for text, _ in found) if mail), None)
    page = secure or next(iter(pages), "")
    bracketed = [url for url in (_web(text) for text, is_bracketed in found if is_bracketed) if url]
    one_click = next((url for url in bracketed if url.startswith("https:")), "")
    if not (one_click and len(fields) == 1 and _is_one_click(headers) and _covers(dkim_covers)):
        one_click = ""
    list_id, list_name = _list(headers)
    return Offer(one_click, mailto, page, list_id, list_name)


def _values(headers: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for one, value in headers if one.lower() == name][:MAX_FIELDS]


def _is_one_click(headers: Sequence[tuple[str, str]]) -> bool:
    posts = _values(headers, "list-unsubscribe-post")
    return len(posts) == 1 and len(posts[0]) < 200 and _ONE_CLICK.fullmatch(posts[0]) is not None


def _covers(dkim_covers: Callable[[str], bool] | bool) -> bool:
    if isinstance(dkim_covers, bool):
        return dkim_covers
    return dkim_covers("list-unsubscribe") and dkim_covers("list-unsubscribe-post")


def _addresses(value: str) -> Iterator[tuple[str, bool]]:
    """(address, whether it stood in angle brackets) in order. Comments are skipped; space inside brackets goes (RFC 2369 section
    2). A bare address between commas is not what the RFC asks for, but many write it."""
    depth, is_open = 0, False
    inside: list[str] = []
    bare: list[str] = []
    for match in _TOKEN.finditer(value):
        piece = match[0]
        if is_open and piece not in "<>":
            inside.append(piece)
        elif piece == "(" and not is_open:
            depth += 1
        elif piece == ")" and depth:
            depth -= 1
        elif depth:
            continue
        elif piece == "<":
            is_open, inside, bare = True, [], []
        elif piece == ">":
            if is_open:
                yield "".join("".join(inside).split()), True
            is_open, bare = False, []
        elif piece == ",":
            yield from _bare(bare)
            bare = []
        else:
            bare.append(piece)
    yield from _bare(bare)


def _bare(pieces: list[str]) -> Iterator[tuple[str, bool]]:
    text = "".join(pieces).strip()
    if text and not any(c.isspace() for c in text):
        yield text, False


def _web(text: str) -> str:
    """A canonical http(s) address that leads to a public host by name, or ""."""
    if len(text) > MAX_URL or not text[:5].lower().startswith("http"):
        return ""
    address = urls.canonical(text)
    if address is None or address.scheme not in ("http", "https") or address.odd:
        return ""
    return address.url if _is_public(address.url) else ""


def _is_public(url: str) -> bool:
    """Whether the host is a name of the open network. No list needs a number, and many numbers are near the server or the
    reader; names are looked up later, by whoever asks."""
    host = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0].partition(":")[0]
    labels = host.removesuffix(".").split(".")
    return len(labels) > 1 and labels[-1] not in _LOCAL_NAMES and not labels[-1].isdigit()


def _mailto(text: str) -> Mailto | None:
    """RFC 6068 with one recipient, a subject and a body. All other fields are dropped: nobody is put in copy by a list."""
    if len(text) > MAX_URL or text[:7].lower() != "mailto:":
        return None
    path, _, query = text[7:].partition("#")[0].partition("?")
    fields: dict[str, str] = {}
    for pair in query.split("&")[:MAX_ADDRESSES]:
        name, _, value = pair.partition("=")
        fields.setdefault(unquote(name, errors="replace").lower(), unquote(value, errors="replace"))
    to = unquote(path, errors="replace") or fields.get("to", "")
    try:
        address = parse_spec(to.strip(" "))
    except AddressError:
        return None
    if "." not in address.domain or address.domain.startswith("[") or not address.is_ascii:
        return None
    body = "\n".join(_line(line) for line in fields.get("body", "")[:MAX_BODY].splitlines())
    return Mailto(address.email, _line(fields.get("subject", "")[:MAX_SUBJECT]), body)


def _line(text: str) -> str:
    """One line without controls, line ends or anything invisible."""
    return "".join(
        c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else " " for c in text
    ).strip(" ")


def _list(headers: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """(id, name) of the list: `Name of it <name.example.org>`, RFC 2919 section 2. The id in lower case."""
    value = next(iter(_values(headers, "list-id")), "")[:1000].strip()
    found = _LIST_ID.search(value)
    ident = "".join((found[1] if found else value).split()).lower()
    if not _ID.fullmatch(ident) or "." not in ident.strip("."):
        ident = ""
    name = clean_name(decode_words(value[: found.start()]))[:MAX_NAME].strip(" \"'") if found else ""
    return ident, name
