"""An export and what it is made of, sealed under a key of its own that the mailbox's keys open."""

from datetime import date

from sqlalchemy import (
    ARRAY,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow
from webmail.mail.models import Message

Index("message_by_size", Message.mailbox_id, Message.size_bytes)
"""What an import asks: a message that is here already has the same size."""


class Export(Base):
    """What was asked for, and how far it has come: `last_*` is the last message that is in it."""

    __tablename__ = "export"
    __table_args__ = (
        Index(
            "export_one_at_a_time",
            "mailbox_id",
            unique=True,
            postgresql_where=text("state IN ('waiting', 'making')"),
        ),
        Index("export_account_id", "account_id"),
    )

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    export_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    state: Mapped[str] = mapped_column(Text, server_default="waiting")
    form: Mapped[str] = mapped_column(Text)
    folders: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    with_records: Mapped[bool]
    content_key: Mapped[bytes] = mapped_column(LargeBinary)
    total_messages: Mapped[BigId] = mapped_column(server_default="0")
    done_messages: Mapped[BigId] = mapped_column(server_default="0")
    last_folder: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    last_at: Mapped[Stamp | None]
    last_message: Mapped[BigId | None]
    problem: Mapped[str] = mapped_column(Text, server_default="")
    made_at: Mapped[StampNow]
    finished_at: Mapped[Stamp | None]


class ExportPart(Base):
    """A file of an export. It is whole, and may be fetched, once it has its checksum."""

    __tablename__ = "export_part"
    __table_args__ = (
        ForeignKeyConstraint(
            ["mailbox_id", "export_id"],
            ["export.mailbox_id", "export.export_id"],
            name="export_part_export_exists",
            ondelete="CASCADE",
        ),
        UniqueConstraint("mailbox_id", "export_id", "name", name="export_part_name_taken_once"),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    export_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    folder_id: Mapped[int | None] = mapped_column(SmallInteger)
    month: Mapped[date | None] = mapped_column(Date)
    messages: Mapped[BigId] = mapped_column(server_default="0")
    size_bytes: Mapped[BigId] = mapped_column(server_default="0")
    sha256: Mapped[bytes | None] = mapped_column(LargeBinary)


class ExportChunk(Base):
    """A piece of a part; `entries` tells of the messages that begin in it and in those after it of the same step."""

    __tablename__ = "export_chunk"
    __table_args__ = (
        ForeignKeyConstraint(
            ["mailbox_id", "export_id", "number"],
            ["export_part.mailbox_id", "export_part.export_id", "export_part.number"],
            name="export_chunk_part_exists",
            ondelete="CASCADE",
        ),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    export_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    start_byte: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    size_bytes: Mapped[int] = mapped_column(Integer)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    entries: Mapped[bytes | None] = mapped_column(LargeBinary)
