"""A file of mail that is brought in: its pieces until it is read, how far that has come, and which messages came of it."""

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Integer, LargeBinary, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class MailImport(Base):
    """`position` is where reading goes on: a byte of an mbox, an entry of a zip; `trying` the one that is being read by itself."""

    __tablename__ = "mail_import"
    __table_args__ = (Index("mail_import_account_id", "account_id"),)

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    import_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    state: Mapped[str] = mapped_column(Text, server_default="uploading")
    folder_id: Mapped[int] = mapped_column(SmallInteger)
    content_key: Mapped[bytes] = mapped_column(LargeBinary)
    name: Mapped[bytes] = mapped_column(LargeBinary)
    total_bytes: Mapped[BigId]
    received_bytes: Mapped[BigId] = mapped_column(server_default="0")
    position: Mapped[BigId] = mapped_column(server_default="0")
    places: Mapped[BigId] = mapped_column(server_default="0")
    """How many positions there are; 0 before that is known."""
    trying: Mapped[BigId | None]
    read_bytes: Mapped[BigId] = mapped_column(server_default="0")
    taken: Mapped[BigId] = mapped_column(server_default="0")
    known: Mapped[BigId] = mapped_column(server_default="0")
    unreadable: Mapped[BigId] = mapped_column(server_default="0")
    too_large: Mapped[BigId] = mapped_column(server_default="0")
    no_mail: Mapped[BigId] = mapped_column(server_default="0")
    problem: Mapped[str] = mapped_column(Text, server_default="")
    brought: Mapped[dict[str, int]] = mapped_column(JSONB, server_default=text("'{}'"))
    """Of what is no message: how much was taken, known already or left out, by a code."""
    made_at: Mapped[StampNow]
    finished_at: Mapped[Stamp | None]


class MailImportChunk(Base):
    """A piece of the file, sealed under the import's key; gone once it has been read."""

    __tablename__ = "mail_import_chunk"
    __table_args__ = (
        ForeignKeyConstraint(
            ["mailbox_id", "import_id"],
            ["mail_import.mailbox_id", "mail_import.import_id"],
            name="mail_import_chunk_import_exists",
            ondelete="CASCADE",
        ),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    import_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    start_byte: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    size_bytes: Mapped[int] = mapped_column(Integer)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class MailImportMessage(Base):
    """A message that came with an import: what tells it from one that was here before."""

    __tablename__ = "mail_import_message"
    __table_args__ = (
        ForeignKeyConstraint(
            ["mailbox_id", "import_id"],
            ["mail_import.mailbox_id", "mail_import.import_id"],
            name="mail_import_message_import_exists",
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["mailbox_id", "message_id"],
            ["message.mailbox_id", "message.message_id"],
            name="mail_import_message_message_exists",
            ondelete="CASCADE",
        ),
        Index("mail_import_message_message_id", "mailbox_id", "message_id"),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    import_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
