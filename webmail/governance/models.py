"""What people report, and the key that reports are sealed with."""

from sqlalchemy import ForeignKey, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, StampNow


class ServiceKey(Base):
    """A key pair of the service itself: what is sealed with it is for its staff, through their own door, and for nobody else."""

    __tablename__ = "service_key"

    purpose: Mapped[str] = mapped_column(Text, primary_key=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[StampNow]


class Report(Base):
    """A message that its owner reported: a copy of that one message, sealed for the staff by its owner's act, and nothing else."""

    __tablename__ = "report"
    __table_args__ = (UniqueConstraint("mailbox_id", "message_id", name="report_message_reported_once"),)

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    report_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId]
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    kind: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="open")
    content_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Gone a time after the case was closed."""
    words: Mapped[bytes | None] = mapped_column(LargeBinary)
    reported_at: Mapped[StampNow]
