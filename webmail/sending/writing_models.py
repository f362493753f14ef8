"""What helps with writing: files that are on their way into a draft, and answers kept for the next time."""

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, LargeBinary, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, StampNow
from webmail.sending.models import of_draft


class DraftUpload(Base):
    """A file that comes in pieces: how much of it is here, and (`number`) which attachment it became once it was whole.

    `upload` is a blind token of what the browser says of the file, so that it is known again after a broken connection.
    """

    __tablename__ = "draft_upload"
    __table_args__ = (
        of_draft("draft_upload_draft_exists"),
        Index("draft_upload_by_time", "mailbox_id", "changed_at"),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    upload: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    total_bytes: Mapped[BigId]
    received_bytes: Mapped[BigId] = mapped_column(server_default="0")
    number: Mapped[int | None] = mapped_column(SmallInteger)
    changed_at: Mapped[StampNow]


class DraftChunk(Base):
    """A piece of such a file, sealed under the draft's key, by its first byte."""

    __tablename__ = "draft_chunk"
    __table_args__ = (
        ForeignKeyConstraint(
            ["mailbox_id", "message_id", "upload"],
            ["draft_upload.mailbox_id", "draft_upload.message_id", "draft_upload.upload"],
            name="draft_chunk_upload_exists",
            ondelete="CASCADE",
        ),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    upload: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    start_byte: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class KeptAnswer(Base):
    """Words that somebody writes again and again, and what they call them, sealed apart: a list needs the names alone."""

    __tablename__ = "kept_answer"

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    answer_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[bytes] = mapped_column(LargeBinary)
    words: Mapped[bytes] = mapped_column(LargeBinary)
    changed_at: Mapped[StampNow]
