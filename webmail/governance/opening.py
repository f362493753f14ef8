"""Opening what was reported: the one way for staff to content that somebody gave them, and it is written down first.

`case_open` in the database writes the audit event and who looked; `case_read` gives the sealed content to whoever has such an
opening that is not older than fifteen minutes, and to nobody else. The role of staff pages has no other right to it.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from webmail.db import db, new_id
from webmail.errors import NotFound
from webmail.governance.service_keys import PURPOSE
from webmail.keys import MasterKeys, Place, open_service, unseal

PARTS = ("text", "headers", "formatted")


@dataclass(frozen=True, slots=True)
class Opened:
    """Content that was opened: whose case and item it is of, which part was asked for, and until when it may be shown again."""

    opening_id: int
    case_id: int
    item_id: int
    part: str
    source: str
    raw: bytes
    ends_at: datetime


def begin(item_id: int, viewer_id: int, part: str) -> int:
    """Write down that the viewer opens a part of what was brought; the opening's id. Raises NotFound for nothing to open.

    Commit it before anything is shown: `read` then finds it.
    """
    if part not in PARTS:
        raise NotFound("part")
    opening_id = new_id()
    values = {"opening": opening_id, "viewer": viewer_id, "item": item_id, "part": part}
    if db.session.execute(_OPEN, values).scalar() is None:
        raise NotFound("item")
    return opening_id


_OPEN = text("SELECT case_open(:opening, :viewer, :item, :part)")


def read(master: MasterKeys, opening_id: int, viewer_id: int) -> Opened:
    """What an opening of this viewer's opened. Raises NotFound for another's, one that has ended, or none; KeyTrouble."""
    row = db.session.execute(_READ, {"opening": opening_id, "viewer": viewer_id}).first()
    if row is None:
        raise NotFound("opening")
    table, mailbox_id, row_id = (
        ("report", row.mailbox_id, row.report_id) if row.source == "report" else ("case_item", 0, row.item_id)
    )
    key_place, place = (Place(table, mailbox_id, row_id, name) for name in ("content_key", "sealed"))
    content_key = open_service(master, PURPOSE, bytes(row.wrapped), bytes(row.content_key), key_place)
    raw = unseal(content_key, bytes(row.sealed), place)
    return Opened(opening_id, row.case_id, row.item_id, row.part, row.source, raw, row.ends_at)


_READ = text("SELECT * FROM case_read(:opening, :viewer)")


def open_reported(master: MasterKeys, item_id: int, viewer_id: int, part: str = "text") -> Opened:
    """Write down that the viewer opens it, and open it, in the one open transaction: no row, no content."""
    return read(master, begin(item_id, viewer_id, part), viewer_id)
