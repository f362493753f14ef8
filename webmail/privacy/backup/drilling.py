"""A drill: what a restore made is looked at as somebody would who needs it. It reads, and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from webmail import audit
from webmail.audit.notes import Verifier
from webmail.errors import MtumailError
from webmail.keys import MasterKeys, Place, open_mailbox, unseal
from webmail.privacy.backup.programs import BackupFailed, plain_url
from webmail.privacy.backup.restoring import OWNER, Restored

MAILBOXES, MESSAGES = 50, 3
"""How many mailboxes are opened, and of each how many messages."""
_SAME = ("account", "mailbox", "domain", "service_key", "dkim_key")


@dataclass(frozen=True, slots=True)
class Proof:
    """What a drill found to be so. `events`: in the log, every hash recomputed; `opened`: messages that opened."""

    events: int
    mailboxes: int
    opened: int


def prove(url: str, done: Restored, master: MasterKeys) -> Proof:
    """Look at what was restored at `url`: counts, the log, messages of some mailboxes, and nothing that was deleted.

    Raises BackupFailed: counts-differ, log-broken, came-back, does-not-open.
    """
    with psycopg.connect(plain_url(url), application_name="mtumail-drill") as connection:
        connection.execute(f"SET ROLE {OWNER}".encode())
        _counts(connection, done)
        if connection.execute(_BACK).fetchone() != (0,):
            raise BackupFailed("came-back", "what was deleted exists")
        mailboxes, opened = _open_some(connection, master)
    return Proof(_log(url), mailboxes, opened)


_BACK = """
    SELECT count(*) FROM message m JOIN tombstone t ON t.mailbox_id = m.mailbox_id
       AND (t.message_id IS NULL OR t.message_id = m.message_id)"""


def _counts(connection: psycopg.Connection[tuple[Any, ...]], done: Restored) -> None:
    wanted = {table: done.manifest.rows[table] for table in _SAME}
    if not done.erased:
        wanted["message"] = done.manifest.rows["message"] - done.deleted
    for table, count in wanted.items():
        if connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() != (count,):
            raise BackupFailed("counts-differ", table)


class _Drill:
    """By what right a drill opens: it has the restored database, in which nobody reads, and tells nothing but that it opened."""

    def __init__(self, wrapped: bytes) -> None:
        self._wrapped = wrapped

    def admit(self, mailbox_id: int) -> bytes:
        return self._wrapped


def _open_some(connection: psycopg.Connection[tuple[Any, ...]], master: MasterKeys) -> tuple[int, int]:
    boxes = connection.execute(_BOXES, [MAILBOXES]).fetchall()
    opened = 0
    for mailbox_id, wrapped in boxes:
        try:
            keys = open_mailbox(master, mailbox_id, _Drill(bytes(wrapped)))
            for message_id, content_key, sealed in connection.execute(_LETTERS, [mailbox_id, MESSAGES]):
                content = keys.open_content_key(bytes(content_key), message_id)
                unseal(content, bytes(sealed), Place("message_source", mailbox_id, message_id, "sealed"))
                opened += 1
        except MtumailError as error:
            raise BackupFailed("does-not-open", type(error).__name__) from None
    return len(boxes), opened


_BOXES = "SELECT mailbox_id, wrapped FROM mailbox_key ORDER BY random() LIMIT %s"
_LETTERS = """
    SELECT m.message_id, m.content_key, s.sealed FROM message m JOIN message_source s USING (mailbox_id, message_id)
     WHERE m.mailbox_id = %s ORDER BY random() LIMIT %s"""


def _log(url: str) -> int:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool)
    with Session(engine) as session:
        raw = session.connection().connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        key = raw.execute("SELECT name, public_key FROM audit_key WHERE purpose = 'checkpoints'").fetchone()
        notes = audit.stored_checkpoints(session)
        report = audit.examine(
            session, notes=notes, verifier=Verifier(key[0], bytes(key[1])) if key else None
        )
    engine.dispose()
    if report.faults:
        raise BackupFailed("log-broken", str(report.faults[0]))
    return int(report.read)
