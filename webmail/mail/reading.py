"""What opening a message shows: parsed once, cleaned once, kept sealed, opened in a millisecond.

`build` is the one reading of a message: list, view, search, attachments and reply all take from it, so they cannot disagree.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from webmail.db import db, show_id
from webmail.errors import NotFound
from webmail.keys import MailboxKeys, Place, seal, unseal
from webmail.mail import messages, mime, sanitize
from webmail.mail.models import MessageView

PARSER = 2
MAX_PICTURES = 40  # each is a request that reads the whole message
VERSION = PARSER * 1000 + sanitize.VERSION
Person = tuple[str, str]


@dataclass(frozen=True, slots=True)
class File:
    """A part that is offered for download."""

    number: int
    name: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class View:
    """Everything a page needs of one message. People are (name, address) pairs."""

    subject: str = ""
    sender: Person = ("", "")
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
    reading: str = ""
    """Safe HTML for the reading view."""
    refused: str = ""
    """Why the reading view was made from text, or the formatted view is missing: a code of `sanitize`."""
    formatted: str | None = None
    links: tuple[str, ...] = ()
    """Targets of the short links in the reading view, by number from 1."""
    formatted_links: tuple[str, ...] = ()
    trackers: tuple[str, ...] = ()
    remote_images: int = 0
    files: tuple[File, ...] = ()
    problems: tuple[str, ...] = ()


def build(raw: bytes, message_id: int) -> View:
    """Read a message, whatever it is. Never raises for what is in it; bounded by the limits of `mime` and `sanitize`."""
    parsed = mime.parse(raw)
    view = View(
        subject=parsed.subject,
        sender=_person(parsed.sender) if parsed.sender else ("", ""),
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
        files=tuple(
            File(part.number, part.download_name, part.content_type, part.size) for part in parsed.attachments
        ),
        problems=parsed.problems,
    )
    return _with_body(view, parsed, show_id(message_id))


def _with_body(view: View, parsed: mime.Message, shown_id: str) -> View:
    bodies = [html for html in (parsed.html_parts or (parsed.html or "",)) if html.strip()]
    if not bodies:
        return _as_text(view)
    alone = len(bodies) == 1  # several bodies are cleaned one by one, and each would number its links from 1
    reading = [
        sanitize.safely("reading", html, link_prefix=f"{shown_id}/l/" if alone else None) for html in bodies
    ]
    made = [item for item in reading if isinstance(item, sanitize.Reading) and not item.refused]
    if len(made) < len(bodies):
        return replace(_as_text(view), refused=_code(reading))
    view = replace(
        view,
        reading="".join(item.html for item in made),
        links=tuple(link.url for link in made[0].links) if alone else (),
        trackers=tuple(sorted({host for item in made for host in item.trackers})),
    )
    if not view.reading.strip() and view.text.strip():
        view = _as_text(view)
    # Relative to the frame's address, `…/<message>/formatted/<pass>/`.
    cids = {name: f"i/{part.number}" for name, part in islice(parsed.inline_images.items(), MAX_PICTURES)}
    prefix = "../../f/" if alone else None
    formatted = [sanitize.safely("formatted", html, link_prefix=prefix, cids=cids) for html in bodies]
    laid_out = [item for item in formatted if isinstance(item, sanitize.Formatted) and not item.refused]
    if len(laid_out) < len(bodies):
        return view
    return replace(
        view,
        formatted="".join(item.html for item in laid_out),
        formatted_links=tuple(link.url for link in laid_out[0].links) if alone else (),
        remote_images=sum(len(item.images) for item in laid_out),
    )


def _as_text(view: View) -> View:
    return replace(view, reading=sanitize.plain(view.text))


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


# --- kept and opened -----------------------------------------------------------------------------------------------------


def store(keys: MailboxKeys, message_id: int, content_key: bytes, view: View) -> None:
    """Keep a view, sealed, over an older one."""
    sealed = seal(
        content_key,
        json.dumps(asdict(view), ensure_ascii=False).encode("utf-8", "replace"),
        _place(keys, message_id),
    )
    statement = insert(MessageView).values(
        mailbox_id=keys.mailbox_id, message_id=message_id, version=VERSION, sealed=sealed
    )
    fresh = {"version": statement.excluded.version, "sealed": statement.excluded.sealed}
    db.session.execute(
        statement.on_conflict_do_update(index_elements=["mailbox_id", "message_id"], set_=fresh)
    )


def load(keys: MailboxKeys, message_id: int) -> View:
    """The view of a message of this mailbox; read anew when an older parser or cleaner made it. Raises NotFound."""
    query = select(MessageView.version, MessageView.sealed).where(
        MessageView.mailbox_id == keys.mailbox_id, MessageView.message_id == message_id
    )
    row = db.session.execute(query).first()
    if row is None or row.version != VERSION:
        view = build(messages.source(keys, message_id), message_id)
        store(keys, message_id, messages.content_key(keys, message_id), view)
        return view
    return _from_json(
        json.loads(unseal(messages.content_key(keys, message_id), row.sealed, _place(keys, message_id)))
    )


def part(keys: MailboxKeys, message_id: int, number: int) -> tuple[File, bytes]:
    """One part of a message and its decoded bytes. Raises NotFound."""
    raw = messages.source(keys, message_id)
    for item in mime.parse(raw).attachments:
        if item.number == number:
            return File(item.number, item.download_name, item.content_type, item.size), mime.part_content(
                raw, item
            )
    raise NotFound("part")


def inline_image(keys: MailboxKeys, message_id: int, number: int) -> tuple[File, bytes]:
    """An image that the message's HTML shows, and its bytes. Raises NotFound for any other part."""
    raw = messages.source(keys, message_id)
    for item in mime.parse(raw).inline_images.values():
        if item.number == number:
            return File(item.number, item.download_name, item.content_type, item.size), mime.part_content(
                raw, item
            )
    raise NotFound("picture")


def every_part(keys: MailboxKeys, message_id: int) -> list[tuple[File, bytes]]:
    """All files of a message with their decoded bytes. Raises NotFound."""
    raw = messages.source(keys, message_id)
    parsed = mime.parse(raw)
    return [
        (File(item.number, item.download_name, item.content_type, item.size), mime.part_content(raw, item))
        for item in parsed.attachments
    ]


def _place(keys: MailboxKeys, message_id: int) -> Place:
    return Place("message_view", keys.mailbox_id, message_id, "sealed")


def _from_json(told: dict[str, Any]) -> View:
    pairs = ("to", "cc", "bcc", "reply_to", "headers")
    lists = ("references", "links", "formatted_links", "trackers", "problems")
    values = told | {name: tuple((item[0], item[1]) for item in told[name]) for name in pairs}
    values |= {name: tuple(told[name]) for name in lists}
    return View(
        **values | {"sender": tuple(told["sender"]), "files": tuple(File(**item) for item in told["files"])}
    )
