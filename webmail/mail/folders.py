"""The folders of every mailbox: the same small ids everywhere, so that a message can be filed without reading the folder table."""

from dataclasses import dataclass
from enum import IntEnum

from sqlalchemy import insert

from webmail.db import db, rows
from webmail.errors import NotFound
from webmail.mail.models import Folder


class Kind(IntEnum):
    INBOX = 1
    SENT = 2
    DRAFTS = 3
    ARCHIVE = 4
    JUNK = 5
    TRASH = 6

    @property
    def slug(self) -> str:
        """The folder's name in URLs and in the database."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Count:
    """A folder and how much of it wants attention: unread mail, or waiting drafts."""

    kind: Kind
    unread: int


def create_all(mailbox_id: int) -> None:
    """Make the six folders of a new mailbox."""
    rows = [{"mailbox_id": mailbox_id, "folder_id": int(kind), "kind": kind.slug} for kind in Kind]
    db.session.execute(insert(Folder), rows)


def by_slug(slug: str) -> Kind:
    """The folder named `slug` in a URL. Raises NotFound."""
    try:
        return Kind[slug.upper()] if slug == slug.lower() else Kind(0)
    except (KeyError, ValueError):
        raise NotFound("folder") from None


def counts(mailbox_id: int) -> list[Count]:
    """Unread messages of each folder (and all drafts), from the partial index alone: its cost grows with what is unread."""
    found = dict(rows(_COUNTS, {"mailbox": mailbox_id}))
    return [Count(kind, found.get(int(kind), 0)) for kind in Kind]


_COUNTS = f"""
    SELECT folder_id, count(*) FROM message
     WHERE mailbox_id = %(mailbox)s AND unread AND state <> 'received' AND folder_id <> {Kind.DRAFTS.value} GROUP BY folder_id
     UNION ALL
    SELECT {Kind.DRAFTS.value}, count(*) FROM message
     WHERE mailbox_id = %(mailbox)s AND folder_id = {Kind.DRAFTS.value} AND state <> 'received'"""
