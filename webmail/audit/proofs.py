"""A proof for one event, for whoever does not trust us: it holds without the log, against a signed root."""

import base64
import json
from typing import Any

from sqlalchemy import text

from webmail.audit import tree
from webmail.audit.notes import write_proof
from webmail.db import db
from webmail.errors import NotFound

SUFFIX = ".tlog-proof"


def proof(number: int, *, about: int | None = None) -> str | None:
    """A `.tlog-proof` file (c2sp.org/tlog-proof) for one event; None while no checkpoint covers it yet: ask again later.

    Its `extra` is JSON: `entry`, the text whose leaf is proved; with `about`, also what opens the commitment to that account, and
    what was sealed if it is opened. `about`: for the owner's own page, which may see nothing but what is about this account;
    without it the role has to be one that reads the log. Raises NotFound for no such event, or one whose detail was dropped.
    """
    extra = _entry(number) if about is None else _own(number, about)
    row = db.session.execute(_COVERS, {"number": number}).one_or_none()
    if row is None:
        return None
    path = tree.inclusion(number - 1, row.size, _subtree)
    return write_proof(json.dumps(extra, ensure_ascii=False).encode(), number - 1, path, row.note)


_COVERS = text("SELECT size, note FROM audit_checkpoint WHERE size >= :number ORDER BY size DESC LIMIT 1")


def consistency(old: int, new: int) -> list[bytes]:
    """Proof that the log of `new` events continues the log of `old` ones (RFC 6962 section 2.1.2)."""
    return tree.consistency(old, new, _subtree)


def _subtree(level: int, ends: int) -> bytes:
    found = db.session.execute(_NODE, {"level": level, "ends": ends}).scalar()
    if found is None:
        raise NotFound("event")
    return bytes(found)


_NODE = text("SELECT audit_node(:level, :ends)")


def _entry(number: int) -> dict[str, Any]:
    entry = db.session.execute(
        text("SELECT entry FROM audit_event WHERE number = :number"), {"number": number}
    ).scalar()
    if entry is None:
        raise NotFound("event")
    return {"entry": entry}


def _own(number: int, account_id: int) -> dict[str, Any]:
    row = db.session.execute(_ABOUT, {"account": account_id, "before": number + 1}).one_or_none()
    if row is None or row.number != number or row.entry is None:
        raise NotFound("event")
    extra = {"entry": row.entry, "about": {"account": account_id, "salt": row.salt.hex()}}
    if row.opened is not None:
        body = base64.b64encode(row.opened).decode()
        extra["opened"] = {"salt": row.opened_salt.hex(), "body": body}
    return extra


_ABOUT = text("SELECT number, entry, salt, opened, opened_salt FROM audit_about(:account, :before, 1)")
