"""The audit log: append-only, tamper-evident events. Stores plain values, imports no concept, outlives them all.

`audit_append` in the database is the only way in. It takes a lock, numbers the event without gaps, stamps it with the database's
clock, and stores the canonical text with two hashes: `leaf` = SHA-256(0x00 || text), as in RFC 6962 section 2.1, and
`chain` = SHA-256(0x01 || previous chain || leaf). Every role of ours, the owner included, is refused UPDATE, DELETE and TRUNCATE.
Events hold ids and codes, never an address, a subject or a word of mail.
"""

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import BigInteger, Index, LargeBinary, RowMapping, Text, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from webmail.db import Base, Stamp, db

GENESIS = bytes(32)


class AuditEvent(Base):
    __tablename__ = "audit_event"
    __table_args__ = (Index("audit_event_kind_at", "kind", "at"),)

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[Stamp]
    kind: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    entry: Mapped[str] = mapped_column(Text)
    leaf: Mapped[bytes] = mapped_column(LargeBinary)
    chain: Mapped[bytes] = mapped_column(LargeBinary)


def record(kind: str, actor: str, **facts: str | int | bool | None) -> int:
    """Append one event in the open transaction; it stands or falls with it. Returns the event's number.

    `kind` is a dotted name (`mailbox.created`), `actor` who did it (`account:12`, `system:seed`, `cli:root`), `facts` ids, codes.
    """
    row = db.session.execute(_APPEND, {"kind": kind, "actor": actor, "facts": json.dumps(facts)})
    return int(row.scalar_one())


_APPEND = text("SELECT audit_append(:kind, :actor, CAST(:facts AS jsonb))")


@dataclass(frozen=True, slots=True)
class Fault:
    """Where the log does not hold: the number of the first event that is wrong, and how."""

    number: int
    what: str


def verify(session: Session, *, since: int = 1) -> tuple[int, Fault | None]:
    """Recompute every hash from event `since` on. Returns how many events were read, and the first fault or None.

    One pass, constant memory; a removed, reordered, inserted or changed row is a fault. (A cut tail is found against a
    checkpoint kept elsewhere.)
    """
    previous = GENESIS
    if since > 1:
        previous = session.execute(
            text("SELECT chain FROM audit_event WHERE number = :n"), {"n": since - 1}
        ).scalar_one()
    read = 0
    with closing(_rows(session, since)) as rows:
        for expected, row in enumerate(rows, since):
            read += 1
            fault = _fault(row, expected, previous)
            if fault:
                return read, fault
            previous = bytes(row["chain"])
    return read, None


def _rows(session: Session, since: int) -> Generator[RowMapping, None, None]:
    first = since if since > 1 else -(2**63)  # nothing may hide below the first
    result = session.execute(_ROWS, {"since": first}, execution_options={"yield_per": 2000})
    try:
        yield from result.mappings()
    finally:
        result.close()


_ROWS = text("""
    SELECT number, at, kind, actor, entry, leaf, chain FROM audit_event WHERE number >= :since ORDER BY number""")


def _fault(row: RowMapping, expected: int, previous: bytes) -> Fault | None:
    number: int = row["number"]
    if number != expected:
        return Fault(number, "was slipped in") if number < expected else Fault(expected, "is missing")
    leaf = sha256(b"\x00" + str(row["entry"]).encode()).digest()
    if leaf != bytes(row["leaf"]):
        return Fault(number, "was changed")
    if sha256(b"\x01" + previous + leaf).digest() != bytes(row["chain"]):
        return Fault(number, "does not follow the one before it")
    entry = json.loads(str(row["entry"]))
    at = row["at"]
    told = (entry["number"], entry["kind"], entry["actor"], datetime.fromisoformat(entry["at"]))
    if told != (number, row["kind"], row["actor"], at):
        return Fault(number, "has columns that differ from its entry")
    return None
