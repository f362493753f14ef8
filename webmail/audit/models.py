"""The tables of the audit log. Only functions in the database write them: see the migration, and `recording`."""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class AuditEvent(Base):
    """One event. `entry` is the text that was hashed; it and `actor` are NULL once retention has dropped them. `nodes`: the roots
    of the complete subtrees that this leaf completes, smallest first, 32 bytes each."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("audit_event_kind_at", "kind", "at"),
        Index("audit_event_actor_at", "actor", "at"),
        Index("audit_event_case_at", "case_id", "at", postgresql_where=text("case_id IS NOT NULL")),
    )

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[Stamp] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(Text)
    actor: Mapped[str | None] = mapped_column(Text)
    entry: Mapped[str | None] = mapped_column(Text)
    leaf: Mapped[bytes] = mapped_column(LargeBinary)
    chain: Mapped[bytes] = mapped_column(LargeBinary)
    case_id: Mapped[BigId | None]
    nodes: Mapped[bytes] = mapped_column(LargeBinary)


class AuditKey(Base):
    """What checkpoints are signed with (Ed25519), and what sealed entries are sealed with (HPKE); private halves are wrapped."""

    __tablename__ = "audit_key"

    purpose: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[StampNow]


class AuditCheckpoint(Base):
    """A signed root: `note` is the whole signed note."""

    __tablename__ = "audit_checkpoint"

    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary)
    note: Mapped[str] = mapped_column(Text)
    at: Mapped[StampNow]


class AuditCheckpointSent(Base):
    """A checkpoint that is in the second place too."""

    __tablename__ = "audit_checkpoint_sent"

    size: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("audit_checkpoint.size"), primary_key=True, autoincrement=False
    )
    at: Mapped[StampNow]


class AuditSubject(Base):
    """Whom an event is about: what opens the commitment in its entry. Deleted, the entry is about nobody any more."""

    __tablename__ = "audit_subject"
    __table_args__ = (Index("audit_subject_number", "number"),)

    account_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[BigId] = mapped_column(
        ForeignKey("audit_event.number"), primary_key=True, autoincrement=False
    )
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    commitment: Mapped[bytes] = mapped_column(LargeBinary)


class AuditSealed(Base):
    """What a sealed entry says, sealed with the service's key; the entry holds its commitment."""

    __tablename__ = "audit_sealed"

    number: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("audit_event.number"), primary_key=True, autoincrement=False
    )
    commitment: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class AuditOpened(Base):
    """A sealed entry that was opened: `commitment` = SHA-256(`salt` || `body`), as the database has checked."""

    __tablename__ = "audit_opened"

    number: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("audit_sealed.number"), primary_key=True, autoincrement=False
    )
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[StampNow]
