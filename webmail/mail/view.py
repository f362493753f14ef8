"""What opening a message shows, made from its bytes. Pure: `reading` keeps and opens it.

`build` is the one reading of a message: list, view, search, attachments and reply all take from it, so they cannot disagree.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from typing import Any

from webmail.db import show_id
from webmail.mail import authentication, mime, sanitize, unsubscribe
from webmail.mail.authentication import Authentication, Signature
from webmail.mail.introductions import is_forward
from webmail.mail.sanitize import urls
from webmail.mail.unsubscribe import Mailto, Offer

PARSER = 4
MAX_PICTURES = 40  # each is a request that reads the whole message
MAX_LINK_FACTS = 30
_ONE_CLICK = ("List-Unsubscribe", "List-Unsubscribe-Post")
VERSION = PARSER * 1000 + sanitize.VERSION
Person = tuple[str, str]


@dataclass(frozen=True, slots=True)
class File:
    """A part that is offered for download."""

    number: int
    name: str
    content_type: str
    size: int
    charset: str = ""
    turned: bool = False
    """Its name was written to be misread: `mime` took the mark out that did it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of the reading view: safe HTML, whole by itself. `quoted`: history that a page folds."""

    html: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class LinkFact:
    """A link as `trust` judges it: one that misleads, or the first one to its host."""

    url: str
    host: str
    text: str
    mismatch: bool


@dataclass(frozen=True, slots=True)
class View:
    """Everything a page needs of one message but its formatted body. People are (name, address) pairs."""

    subject: str = ""
    sender: Person = ("", "")
    authors: int = 0
    to: tuple[Person, ...] = ()
    cc: tuple[Person, ...] = ()
    bcc: tuple[Person, ...] = ()
    reply_to: tuple[Person, ...] = ()
    date: str = ""
    message_id: str = ""
    references: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    text: str = ""
    """The plain text of the body: what a reply quotes and search indexes."""
    snippet: str = ""
    pieces: tuple[Piece, ...] = ()
    """The reading view, in order."""
    full_links: bool = False
    """Links are written out, and `links` is empty."""
    refused: str = ""
    """Why the reading view was made from text, or the formatted view is missing: a code of `sanitize`."""
    laid_out: bool = False
    """There is a formatted view: see `Layout`."""
    links: tuple[str, ...] = ()
    """Targets of the short links in the reading view, by number from 1."""
    link_facts: tuple[LinkFact, ...] = ()
    trackers: tuple[str, ...] = ()
    remote_images: int = 0
    files: tuple[File, ...] = ()
    problems: tuple[str, ...] = ()
    authentication: Authentication | None = None
    """What inbound wrote about the sender's domain; None for mail that did not come in through it."""
    offer: Offer | None = None
    """How to get off the list that the message came by."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The formatted view. `images` are the remote pictures (number, address); `pictured` is the body with them let in."""

    html: str
    links: tuple[str, ...] = ()
    images: tuple[tuple[int, str], ...] = ()
    pictured: str | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """A message as it was read."""

    view: View
    layout: Layout | None


def build(
    raw: bytes, message_id: int, *, full_links: bool = False, parsed: mime.Message | None = None
) -> Built:
    """Read a message, whatever it is. Never raises for what is in it; bounded by the limits of `mime` and `sanitize`.

    `parsed`: what `mime` made of it, where that is known already.
    """
    parsed = mime.parse(raw) if parsed is None else parsed
    told = authentication.read(parsed.headers)
    view = View(
        subject=parsed.subject,
        sender=_person(parsed.sender) if parsed.sender else ("", ""),
        authors=len(parsed.from_),
        to=_people(parsed.to),
        cc=_people(parsed.cc),
        bcc=_people(parsed.bcc),
        reply_to=_people(parsed.reply_to),
        date=parsed.date.isoformat() if parsed.date else "",
        message_id=parsed.message_id,
        references=tuple(dict.fromkeys((*parsed.references, *filter(None, [parsed.in_reply_to])))),
        headers=tuple((header.name, header.value[:2000]) for header in parsed.headers[:200]),
        text=mime.message_text(parsed)[: 1 << 20],
        snippet=mime.snippet(parsed),
        files=tuple(file_of(part) for part in parsed.attachments),
        problems=parsed.problems,
        full_links=full_links,
        authentication=told,
        offer=_offer(parsed, told),
    )
    return _with_body(view, parsed, show_id(message_id))


def _offer(parsed: mime.Message, told: Authentication | None) -> Offer | None:
    """RFC 8058 section 4: one click only where a passing signature covers both fields."""
    covered = told is not None and told.covers(parsed.headers, _ONE_CLICK)
    made = unsubscribe.offer([(header.name, header.value) for header in parsed.headers], covered)
    return made if made or made.list_id else None


def _with_body(view: View, parsed: mime.Message, shown_id: str) -> Built:
    bodies = _bodies(parsed)
    if not bodies:
        return Built(_as_text(view, shown_id), None)
    alone = len(bodies) == 1  # several bodies are cleaned one by one, and each would number its links from 1
    prefix = f"{shown_id}/l/" if alone and not view.full_links else None
    reading = [sanitize.safely("reading", html, link_prefix=prefix) for html in bodies]
    made = [item for item in reading if isinstance(item, sanitize.Reading) and not item.refused]
    if len(made) < len(bodies):
        return Built(replace(_as_text(view, shown_id), refused=_code(reading)), None)
    view = _read(view, made, short=prefix is not None)
    if not any(piece.html.strip() for piece in view.pieces) and view.text.strip():
        view = replace(_as_text(view, shown_id), trackers=view.trackers)
    laid_out = [
        item
        for item in (_lay_out(parsed, html, alone=alone) for html in bodies)
        if isinstance(item, sanitize.Formatted) and not item.refused
    ]
    if len(laid_out) < len(bodies):
        return Built(view, None)
    layout = Layout(
        html="".join(item.html for item in laid_out),
        links=tuple(link.url for link in laid_out[0].links) if alone else (),
        images=tuple((image.number, image.url) for image in laid_out[0].images) if alone else (),
    )
    return Built(
        replace(view, laid_out=True, remote_images=sum(len(item.images) for item in laid_out)), layout
    )


def pictured(raw: bytes) -> str | None:
    """The formatted body with its remote pictures let in, as `r/<number>`; None where there is none."""
    parsed = mime.parse(raw)
    bodies = _bodies(parsed)
    if len(bodies) != 1:
        return None
    made = _lay_out(parsed, bodies[0], alone=True, image_prefix="r/")
    return made.html if isinstance(made, sanitize.Formatted) and not made.refused else None


def file_of(part: mime.Part) -> File:
    """A part as it is offered for download."""
    return File(part.number, part.download_name, part.content_type, part.size, part.charset, part.turned)


def _bodies(parsed: mime.Message) -> list[str]:
    return [html for html in (parsed.html_parts or (parsed.html or "",)) if html.strip()]


def _lay_out(
    parsed: mime.Message, html: str, *, alone: bool, image_prefix: str | None = None
) -> sanitize.Reading | sanitize.Formatted | sanitize.Refusal:
    # Relative to the frame's address, `…/<message>/formatted/<pass>/`.
    cids = {name: f"i/{part.number}" for name, part in islice(parsed.inline_images.items(), MAX_PICTURES)}
    prefix = "../../f/" if alone else None
    return sanitize.safely("formatted", html, link_prefix=prefix, cids=cids, image_prefix=image_prefix)


def _read(view: View, made: Sequence[sanitize.Reading], *, short: bool) -> View:
    links = [link for item in made for link in item.links]
    return replace(
        view,
        pieces=_pieces(view, made),
        links=tuple(link.url for link in links) if short else (),
        link_facts=_facts(links),
        trackers=tuple(sorted({host for item in made for host in item.trackers})),
    )


def _pieces(view: View, made: Sequence[sanitize.Reading]) -> tuple[Piece, ...]:
    """What was passed on is not history but what the message is about, so nothing of it is folded."""
    folds = not is_forward(view.subject)
    return tuple(Piece(part.html, part.quoted and folds) for item in made for part in item.parts)


def _facts(links: Sequence[sanitize.Link]) -> tuple[LinkFact, ...]:
    """Those that mislead come first; of the others one is enough of each host, and names that are plain come last."""
    told = [link for link in links if link.mismatch]
    others = list({link.host: link for link in reversed(links) if not link.mismatch}.values())[::-1]
    others.sort(key=lambda link: urls.is_plain(link.host))
    chosen = (told + others)[:MAX_LINK_FACTS]
    return tuple(LinkFact(link.url[:300], link.host, link.text, link.mismatch) for link in chosen)


def _as_text(view: View, shown_id: str) -> View:
    made = sanitize.plain_reading(view.text)
    return replace(_read(view, [made], short=False), refused=made.refused or "")


def _code(results: Sequence[sanitize.Reading | sanitize.Formatted | sanitize.Refusal]) -> str:
    for item in results:
        if isinstance(item, sanitize.Refusal):
            return item.code
        if item.refused:
            return item.refused
    return "error"


def _person(address: Any) -> Person:
    return (address.name, address.email)


def _people(addresses: Any) -> tuple[Person, ...]:
    return tuple(_person(address) for address in addresses)


# --- as JSON -------------------------------------------------------------------------------------------------------------

_PAIRS = ("to", "cc", "bcc", "reply_to", "headers")
_LISTS = ("references", "links", "trackers", "problems")
_DEFAULTS = {field.name: field.default for field in fields(View)}


def view_to_json(view: View) -> bytes:
    """A view as JSON; what is as it mostly is stays out, for every opening reads it."""
    told = {name: value for name, value in asdict(view).items() if value != _DEFAULTS[name]}
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")


def view_from_json(content: bytes) -> View:
    """The inverse of `view_to_json`."""
    told: dict[str, Any] = json.loads(content)
    for name in _PAIRS:
        if name in told:
            told[name] = tuple((item[0], item[1]) for item in told[name])
    for name in _LISTS:
        if name in told:
            told[name] = tuple(told[name])
    if "sender" in told:
        told["sender"] = (told["sender"][0], told["sender"][1])
    for name, kind in (("files", File), ("pieces", Piece), ("link_facts", LinkFact)):
        if name in told:
            told[name] = tuple(kind(**item) for item in told[name])
    if told.get("authentication"):
        signatures = tuple(Signature(**item) for item in told["authentication"]["dkim"])
        told["authentication"] = Authentication(**told["authentication"] | {"dkim": signatures})
    if told.get("offer"):
        mailto = told["offer"]["mailto"]
        told["offer"] = Offer(**told["offer"] | {"mailto": Mailto(**mailto) if mailto else None})
    return View(**told)


def layout_to_json(layout: Layout) -> bytes:
    """A layout as JSON."""
    return json.dumps(asdict(layout), ensure_ascii=False).encode("utf-8", "replace")


def layout_from_json(content: bytes) -> Layout:
    """The inverse of `layout_to_json`."""
    told = json.loads(content)
    images = tuple((item[0], item[1]) for item in told["images"])
    return Layout(told["html"], tuple(told["links"]), images, told["pictured"])
