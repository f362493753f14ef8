"""What is written down about backups: each run, and how far the journal is."""

from sqlalchemy import BigInteger, Identity, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class BackupRun(Base):
    """One run: a backup, a drill or a restore; of the journal, and of removing older ones (`pruning`), those that failed."""

    __tablename__ = "backup_run"
    __table_args__ = (Index("backup_run_kind_run_id", "kind", text("run_id DESC")),)

    run_id: Mapped[BigId] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text, server_default="")
    started_at: Mapped[StampNow]
    finished_at: Mapped[Stamp | None]
    bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    rows: Mapped[int] = mapped_column(BigInteger, server_default="0")
    outcome: Mapped[str] = mapped_column(Text, server_default="")


class BackupJournal(Base):
    """Up to where the journal holds what happened."""

    __tablename__ = "backup_journal"

    part: Mapped[str] = mapped_column(Text, primary_key=True)
    written_at: Mapped[Stamp]
    audit_number: Mapped[BigId]
    stones_at: Mapped[Stamp]
    keys_mark: Mapped[str] = mapped_column(Text)
