"""A first look at an attachment, as text: what can be told of a file without its program. Pure: no database, no Flask."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final, Literal

from webmail import jail
from webmail.mail.charsets import decode, unix_ends
from webmail.mail.sanitize.text import VISIBLE

Kind = Literal["picture", "text", "pdf", "message", "calendar"]

MAX_PDF_BYTES: Final = 32 << 20
MAX_LINE: Final = 2000
"""Characters of one line: a file of one endless line is cut, too."""
MAX_CHARACTERS: Final = 100_000

_LIMITS = jail.Limits(cpu=3, memory=384 << 20, wall=6)

_TYPES: Final[dict[str, Kind]] = {
    **dict.fromkeys(("image/png", "image/jpeg", "image/jpg", "image/pjpeg", "image/gif", "image/webp", "image/avif",
                     "image/x-png"), "picture"),
    **dict.fromkeys(("text/plain", "text/csv", "text/tab-separated-values", "text/markdown", "text/x-markdown", "text/x-log",
                     "text/x-diff", "text/x-patch", "text/vcard", "text/x-vcard", "text/directory", "text/yaml", "text/xml",
                     "text/rfc822-headers", "message/delivery-status", "message/disposition-notification",
                     "message/feedback-report", "application/json", "application/ld+json", "application/yaml",
                     "application/x-yaml", "application/toml", "application/csv", "application/xml", "application/x-ndjson",
                     "application/pgp-keys", "application/pgp-signature"), "text"),
    "application/pdf": "pdf", "application/x-pdf": "pdf",
    "message/rfc822": "message", "message/global": "message",
    "text/calendar": "calendar", "application/ics": "calendar",
}  # fmt: skip
_EXTENSIONS: Final[dict[str, Kind]] = {
    **dict.fromkeys(("png", "jpg", "jpeg", "jpe", "jfif", "gif", "webp", "avif"), "picture"),
    **dict.fromkeys(("txt", "text", "csv", "tsv", "md", "markdown", "log", "json", "ndjson", "jsonl", "yaml", "yml", "toml", "ini",
                     "cfg", "conf", "diff", "patch", "vcf", "asc", "xml", "tex", "rst", "srt", "sql"), "text"),
    "pdf": "pdf", "eml": "message", "ics": "calendar",
}  # fmt: skip
_SAYS_NOTHING: Final = frozenset(("", "application/octet-stream", "application/x-download", "application/force-download",
                                  "application/download", "application/unknown", "application/binary", "binary/octet-stream",
                                  "application/x-octet-stream", "application/x-unknown-content-type", "unknown/unknown",
                                  ))  # fmt: skip
_EXTENSION: Final = re.compile(r"\.([A-Za-z0-9]{1,10})$")


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no preview. `code` is one of: type (not what it says), encrypted, large, damaged, slow, memory, deep,
    crash, error, long, and busy, which alone is worth another try."""

    code: str


@dataclass(frozen=True, slots=True)
class PdfPreview:
    """`text` of the first of `pages`: empty where that is a picture (a scan). `cut`: there is more on that page."""

    pages: int
    text: str
    cut: bool


@dataclass(frozen=True, slots=True)
class TextPreview:
    """The first lines. `known`: its character set is one that is read; else it was guessed. `cut`: there is more."""

    text: str
    lines: int
    cut: bool
    known: bool


def kind(content_type: str, name: str) -> Kind | None:
    """Which preview a file is offered, by its declared type and its name together; where these differ, none.

    A type that says nothing leaves it to the name, a name without an extension to the type. HTML, SVG and whatever could
    run have none. That the bytes are what both say is for `pictures.shrink` and the others here to find out.
    """
    declared = content_type.partition(";")[0].strip().lower()
    ending = _EXTENSION.search(name.rstrip(" ."))
    by_type = _TYPES.get(declared)
    if ending is None or by_type == "message":  # a message is named by its subject, which may end in anything
        return by_type
    by_name = _EXTENSIONS.get(ending[1].lower())
    if declared in _SAYS_NOTHING:
        return by_name
    if by_name == by_type or (declared == "text/plain" and by_name in ("calendar", "message")):
        return by_name
    return None


def pdf_text(content: bytes, *, characters: int = 6000) -> PdfPreview | Refused:
    """The words of a PDF's first page, read in the jail. Control and bidi characters are made visible."""
    if b"%PDF-" not in content[:1024]:
        return Refused("type")
    if len(content) > MAX_PDF_BYTES:
        return Refused("large")
    reply = jail.run("pdf.text", content, {"characters": characters}, limits=_LIMITS)
    if isinstance(reply, jail.Refusal):
        return Refused(reply.code)
    try:
        told = json.loads(reply)
        pages, words, cut = int(told["pages"]), str(told["text"]), bool(told["cut"])
    except (ValueError, KeyError, TypeError):
        return Refused("crash")
    lines = (line.rstrip() for line in _visible(words).split("\n"))
    return PdfPreview(max(pages, 1), re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n"), cut)


def text(content: bytes, charset: str, *, lines: int = 200) -> TextPreview:
    """The first `lines` of a text file, of 2,000 characters at most, and 100,000 in all. For a `<pre>`; not yet escaped.

    Control and bidi characters are made visible, and line ends are all LF. Never raises; linear in what is shown.
    """
    octets = (
        4 * MAX_CHARACTERS
    )  # of UTF-32; the end of the last character may be missing, and is cut off with the rest
    words, known = decode(content[:octets], charset)
    cut = len(content) > octets or len(words) > MAX_CHARACTERS
    shown = _visible(words[:MAX_CHARACTERS]).removesuffix("\n").split("\n")
    cut = cut or len(shown) > lines
    out = []
    for line in shown[:lines]:
        cut = cut or len(line) > MAX_LINE
        out.append(line[:MAX_LINE])
    return TextPreview("\n".join(out), len(out) if words else 0, cut, known)


def _visible(words: str) -> str:
    return unix_ends(words).translate(VISIBLE)
