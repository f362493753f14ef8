"""Drafts of our own export, as they were; what is here already is known by its words and its files."""

import hashlib
from dataclasses import replace

from sqlalchemy import text

from webmail.db import db, new_id
from webmail.errors import NotFound
from webmail.keys import MailboxKeys
from webmail.mail import identities
from webmail.privacy.export import draft_file
from webmail.privacy.export.records import draft_ids
from webmail.privacy.taking_in.reading import MOST_MESSAGE
from webmail.privacy.taking_in.zips import Draft
from webmail.sending import drafts
from webmail.sending.drafts import Fields, Upload


class Known:
    """What drafts the mailbox has, each opened once at the most."""

    def __init__(self, keys: MailboxKeys) -> None:
        self._keys = keys
        self._found: dict[bytes, list[int]] | None = None

    def has(self, fields: Fields, files: tuple[tuple[str, str, bytes], ...]) -> bool:
        """Whether a draft with these words and files is here."""
        if self._found is None:
            self._found = {}
            for draft_id in draft_ids(self._keys.mailbox_id):
                self.note(draft_id, drafts.load(self._keys, draft_id).fields)
        sums = sorted(hashlib.sha256(content).digest() for _name, _type, content in files)
        return any(sums == self._sums(draft_id) for draft_id in self._found.get(_words(fields), ()))

    def note(self, draft_id: int, fields: Fields) -> None:
        """Know one more."""
        if self._found is not None:
            self._found.setdefault(_words(fields), []).append(draft_id)

    def _sums(self, draft_id: int) -> list[bytes]:
        return sorted(hashlib.sha256(one.content).digest() for one in drafts.files(self._keys, draft_id))


def _words(fields: Fields) -> bytes:
    told = (fields.to, fields.cc, fields.bcc, fields.subject, fields.body, fields.formatted)
    return hashlib.sha256(repr(told).encode("utf-8", "replace")).digest()


def take(keys: MailboxKeys, known: Known, one: Draft) -> tuple[str, int]:
    """Put a draft back: what became of it, as a code, and its id, or 0. Raises Refused when the mailbox is full."""
    told = one.told
    if told is None:
        return "left-out", 0
    if known.has(told.fields, one.files):
        return "drafts-known", 0
    sender = _sender(keys, told)
    fields = replace(told.fields, identity=sender.id if any(told.sender) else None)
    draft_id = new_id()
    try:
        with db.session.begin_nested():
            drafts.create(keys, sender.author, fields, draft_id)
            uploads = [Upload(*file) for file in one.files]
            drafts.attach(keys, draft_id, uploads, MOST_MESSAGE)
            at = {"mailbox": keys.mailbox_id, "draft": draft_id, "at": told.saved_at}
            for statement in (_SAVED, _RECEIVED):
                db.session.execute(statement, at)
    except (ValueError, NotFound):
        return "left-out", 0
    known.note(draft_id, fields)
    return "drafts", draft_id


_SAVED = text("UPDATE draft SET saved_at = :at WHERE mailbox_id = :mailbox AND message_id = :draft")
_RECEIVED = text("UPDATE message SET received_at = :at WHERE mailbox_id = :mailbox AND message_id = :draft")


def _sender(keys: MailboxKeys, told: draft_file.Told) -> identities.Identity:
    """Under whose name it was written, if that is a name of this mailbox; else its own."""
    everybody = identities.of(keys)
    for one in everybody:
        if one.author == told.sender:
            return one
    return next(one for one in everybody if one.is_default)
