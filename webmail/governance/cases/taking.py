"""Taking in what is brought to the staff: it joins the open case of the same matter, or opens one. Twice is once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import text

from webmail.db import db, new_id
from webmail.governance.cases import clocks
from webmail.governance.cases.sealing import CaseSecret
from webmail.governance.service_keys import public_key
from webmail.keys import MasterKeys, Place, new_content_key, seal, seal_for

MAX_LABEL = 200


@dataclass(frozen=True, slots=True)
class Brought:
    """One thing that is brought. `item_id` is what makes it the same when it comes twice.

    `about`: the account it is about; `label`: what it is about in a few words; `reporter`: what its bringer is known again by;
    `contact`: where an answer goes and what it answers; `raw`: content that staff open, and that opening is written down of;
    `sent`: mailbox and number of the message of ours that a server complains of.
    """

    item_id: int
    kind: str
    source: str
    subjects: tuple[bytes, ...] = ()
    label: str = ""
    about: int | None = None
    account_id: int | None = None
    report: tuple[int, int] | None = None
    event_number: int | None = None
    reporter: str = ""
    answerable: bool = False
    words: str = ""
    contact: Mapping[str, str] = field(default_factory=dict)
    secret: bytes | None = None
    size: int = 0
    raw: bytes | None = None
    sent: tuple[int, int] | None = None


def take(master: MasterKeys, secret: CaseSecret, brought: Brought, *, actor: str) -> int:
    """Put what was brought into a case; the case's id. Audited where that opens one. Raises nothing for what is in it."""
    mailbox_id, report_id = brought.report or (None, None)
    content_key, sealed = _sealed(master, brought)
    item = brought.item_id

    def kept(words: str, name: str) -> bytes | None:
        return secret.seal(words, "case_item", item, name) if words else None

    values = {
        "new_case": new_id(),
        "item": item,
        "kind": brought.kind,
        "source": brought.source,
        "wants": clocks.wants(brought.kind),
        "subjects": list(brought.subjects),
        "label": kept(brought.label[:MAX_LABEL], "label"),
        "about": brought.about,
        "account": brought.account_id,
        "mailbox": mailbox_id,
        "report": report_id,
        "event": brought.event_number,
        "reporter": secret.blind("reporter", brought.reporter) if brought.reporter else None,
        "answerable": brought.answerable,
        "size": brought.size or len(brought.raw or b""),
        "secret": brought.secret,
        "words": kept(brought.words, "words"),
        "contact": kept(json.dumps(dict(brought.contact)) if brought.contact else "", "contact"),
        "content_key": content_key,
        "sealed": sealed,
        "actor": actor,
    }
    case_id = int(db.session.execute(_TAKE, values).scalar_one())
    if brought.sent is not None:
        mailbox_of_sent, message_of_sent = brought.sent
        sent = {"item": item, "mailbox": mailbox_of_sent, "message": message_of_sent}
        db.session.execute(_SENT, sent)
    return case_id


_SENT = text("SELECT case_item_sent(:item, :mailbox, :message)")


_TAKE = text("""
    SELECT case_take(:new_case, :item, :kind, :source, :wants, CAST(:subjects AS bytea[]), CAST(:label AS bytea),
        CAST(:about AS bigint), CAST(:account AS bigint), CAST(:mailbox AS bigint), CAST(:report AS bigint), CAST(:event AS bigint),
        CAST(:reporter AS bytea), :answerable, :size, CAST(:secret AS bytea), CAST(:words AS bytea), CAST(:contact AS bytea),
        CAST(:content_key AS bytea), CAST(:sealed AS bytea), :actor)""")


def _sealed(master: MasterKeys, brought: Brought) -> tuple[bytes | None, bytes | None]:
    if brought.raw is None:
        return None, None
    content_key = new_content_key()
    key_place, place = (Place("case_item", 0, brought.item_id, name) for name in ("content_key", "sealed"))
    return seal_for(public_key(master), content_key, key_place), seal(content_key, brought.raw, place)
