"""Opening messages: what `view` made of them, kept sealed beside them, opened in a millisecond; and their parts."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import SQLColumnExpression, select, update
from sqlalchemy.dialects.postgresql import insert

from webmail.db import db, rows
from webmail.errors import NotFound
from webmail.keys import MailboxKeys, Place, seal, unseal
from webmail.mail import messages, mime, previews, remote_pictures
from webmail.mail.models import MessageView
from webmail.mail.view import (
    VERSION,
    Built,
    File,
    Layout,
    Person,
    View,
    build,
    file_of,
    layout_from_json,
    layout_to_json,
    pictured,
    view_from_json,
    view_to_json,
)

__all__ = ["VERSION", "Built", "File", "Layout", "Person", "View", "build"]

MAX_INSIDE = 5
"""Messages within messages are opened this deep."""


def store(keys: MailboxKeys, message_id: int, content_key: bytes, built: Built) -> None:
    """Keep what was read of a message, sealed, over an older reading."""
    sealed = seal(content_key, view_to_json(built.view), _place(keys, message_id, "sealed"))
    layout = _seal_layout(keys, message_id, content_key, built.layout)
    statement = insert(MessageView).values(
        mailbox_id=keys.mailbox_id, message_id=message_id, version=VERSION, sealed=sealed, layout=layout
    )
    fresh = {name: getattr(statement.excluded, name) for name in ("version", "sealed", "layout")}
    db.session.execute(
        statement.on_conflict_do_update(index_elements=["mailbox_id", "message_id"], set_=fresh)
    )


def _seal_layout(
    keys: MailboxKeys, message_id: int, content_key: bytes, layout: Layout | None
) -> bytes | None:
    if layout is None:
        return None
    return seal(content_key, layout_to_json(layout), _place(keys, message_id, "layout"))


def load(
    keys: MailboxKeys, message_id: int, *, full_links: bool | None = None, kept: messages.Kept | None = None
) -> View:
    """The view of a message of this mailbox; read anew when an older parser or cleaner made it, or when its links are not
    written out as `full_links` asks (None: either is good). `kept` is what was looked up before. Raises NotFound."""
    if kept is None:
        found = rows(_VIEW, {"mailbox": keys.mailbox_id, "message": message_id})
        kept = messages.Kept(*found[0]) if found else None
    if kept is not None and kept.version == VERSION:
        content_key = keys.open_content_key(kept.wrapped, message_id)
        view = view_from_json(unseal(content_key, kept.sealed, _place(keys, message_id, "sealed")))
        if full_links is None or view.full_links == full_links:
            return view
    else:
        remote_pictures.forget(keys.mailbox_id, message_id)  # another reading may number them in another way
    return _anew(keys, message_id, full_links=bool(full_links)).view


_VIEW = """
    SELECT v.version, v.sealed, m.content_key
      FROM message_view v JOIN message m USING (mailbox_id, message_id)
     WHERE v.mailbox_id = %(mailbox)s AND v.message_id = %(message)s"""
_LAYOUT = select(MessageView.version, MessageView.layout)


def layout(keys: MailboxKeys, message_id: int, *, pictures: bool = False) -> Layout:
    """The formatted view, with its remote pictures let in or not. Raises NotFound when there is none."""
    row = db.session.execute(_LAYOUT.where(*_mine(keys, message_id))).first()
    if row is None or row.version != VERSION:
        remote_pictures.forget(keys.mailbox_id, message_id)
        found = _anew(keys, message_id).layout
    elif row.layout is None:
        found = None
    else:
        content_key = messages.content_key(keys, message_id)
        found = layout_from_json(unseal(content_key, row.layout, _place(keys, message_id, "layout")))
    if found is None:
        raise NotFound("layout")
    if pictures and found.pictured is None and found.images:
        found = replace(found, pictured=pictured(messages.readable_source(keys, message_id)))
        sealed = _seal_layout(keys, message_id, messages.content_key(keys, message_id), found)
        db.session.execute(
            update(MessageView)
            .where(*_mine(keys, message_id))
            .values(layout=sealed)
            .execution_options(synchronize_session=False)
        )
    return found


def _anew(keys: MailboxKeys, message_id: int, *, full_links: bool = False) -> Built:
    built = build(messages.readable_source(keys, message_id), message_id, full_links=full_links)
    store(keys, message_id, messages.content_key(keys, message_id), built)
    return built


def _mine(keys: MailboxKeys, message_id: int) -> tuple[SQLColumnExpression[bool], ...]:
    return (MessageView.mailbox_id == keys.mailbox_id, MessageView.message_id == message_id)


def _place(keys: MailboxKeys, message_id: int, field: str) -> Place:
    return Place("message_view", keys.mailbox_id, message_id, field)


# --- parts ---------------------------------------------------------------------------------------------------------------


def part(keys: MailboxKeys, message_id: int, number: int, within: Sequence[int] = ()) -> tuple[File, bytes]:
    """One part of a message, or of a message `within` it, and its decoded bytes. Raises NotFound."""
    raw = inside(keys, message_id, within)
    return _offered(raw, mime.parse(raw).attachments, number)


def inline_image(keys: MailboxKeys, message_id: int, number: int) -> tuple[File, bytes]:
    """An image that the message's HTML shows, and its bytes. Raises NotFound for any other part."""
    raw = messages.readable_source(keys, message_id)
    return _offered(raw, mime.parse(raw).inline_images.values(), number)


def _offered(raw: bytes, parts: Iterable[mime.Part], number: int) -> tuple[File, bytes]:
    for item in parts:
        if item.number == number:
            return file_of(item), mime.part_content(raw, item)
    raise NotFound("part")


def every_part(keys: MailboxKeys, message_id: int, within: Sequence[int] = ()) -> list[tuple[File, bytes]]:
    """All files of a message with their decoded bytes. Raises NotFound."""
    raw = inside(keys, message_id, within)
    return [(file_of(item), mime.part_content(raw, item)) for item in mime.parse(raw).attachments]


def inside(keys: MailboxKeys, message_id: int, within: Sequence[int]) -> bytes:
    """The source of a message, or of the message that is attached to it, or of one attached to that: part numbers from
    the outside in. Raises NotFound for a part that is no message, and deeper than `MAX_INSIDE`."""
    raw = messages.readable_source(keys, message_id)
    if len(within) > MAX_INSIDE:
        raise NotFound("part")
    for number in within:
        found, raw = _offered(raw, mime.parse(raw).attachments, number)
        if previews.kind(found.content_type, found.name) != "message":
            raise NotFound("part")
    return raw
