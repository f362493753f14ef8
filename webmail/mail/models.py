"""What a mailbox is and what lies in it. Metadata is readable, content is sealed; each key begins with the mailbox."""

from sqlalchemy import (
    Boolean,
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
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class Mailbox(Base):
    """A mailbox. `change_counter` grows with every change of its messages; ETags are made from it."""

    __tablename__ = "mailbox"

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    display_name: Mapped[str] = mapped_column(Text, server_default="")
    state: Mapped[str] = mapped_column(Text, server_default="active")
    may_receive: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    quota_bytes: Mapped[BigId]
    used_bytes: Mapped[BigId] = mapped_column(server_default="0")
    change_counter: Mapped[BigId] = mapped_column(server_default="0")
    created_at: Mapped[StampNow]


class MailboxKey(Base):
    """The mailbox's private keys, wrapped by the master key. Destroying this row makes the mailbox noise."""

    __tablename__ = "mailbox_key"

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)


class MailboxMember(Base):
    """Whose mailbox it is: owners, writers and readers. An open mailbox has an owner; others join by an invitation."""

    __tablename__ = "mailbox_member"
    __table_args__ = (Index("mailbox_member_account_id", "account_id"),)

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    account_id: Mapped[BigId] = mapped_column(
        ForeignKey("account.account_id"), primary_key=True, autoincrement=False
    )
    role: Mapped[str] = mapped_column(Text, server_default="owner")
    since: Mapped[StampNow]


class MailAddress(Base):
    """An address that leads to a mailbox: local part folded, without its plus tag. `likeness`: one form for all names that could
    be taken for it (`identity.names`), which nobody else can choose."""

    __tablename__ = "address"
    __table_args__ = (
        Index("address_mailbox_id", "mailbox_id"),
        Index("address_likeness_taken_once", "domain_id", "likeness", unique=True),
        Index(
            "address_one_primary_a_mailbox", "mailbox_id", unique=True, postgresql_where=text("is_primary")
        ),
    )

    domain_id: Mapped[BigId] = mapped_column(
        ForeignKey("domain.domain_id"), primary_key=True, autoincrement=False
    )
    local_part: Mapped[str] = mapped_column(Text, primary_key=True)
    mailbox_id: Mapped[BigId] = mapped_column(ForeignKey("mailbox.mailbox_id"))
    is_primary: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    likeness: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[StampNow]


class Folder(Base):
    """A folder of one mailbox. The six of every mailbox have the same small ids everywhere: see `folders`."""

    __tablename__ = "folder"
    __table_args__ = (
        UniqueConstraint("mailbox_id", "kind"),
        Index("folder_that_empties", "mailbox_id", postgresql_where=text("keep_days IS NOT NULL")),
    )

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    folder_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text)
    keep_days: Mapped[int | None] = mapped_column(SmallInteger)
    """Trash and Junk, by their owner's wish: what has lain there longer is deleted for ever."""


_SHOWN, _HELD = text("state <> 'received'"), text("held_by IS NOT NULL")


class Message(Base):
    """A message's metadata and its sealed summary. `received` rows wait for filing and are not shown yet."""

    __tablename__ = "message"
    __table_args__ = (
        ForeignKeyConstraint(
            ["mailbox_id", "folder_id"],
            ["folder.mailbox_id", "folder.folder_id"],
            name="message_folder_exists",
        ),
        ForeignKeyConstraint(
            ["mailbox_id", "came_from_folder_id"],
            ["folder.mailbox_id", "folder.folder_id"],
            name="message_came_from_folder_exists",
        ),
        Index(
            "message_in_folder",
            "mailbox_id",
            "folder_id",
            text("received_at DESC"),
            text("message_id DESC"),
            postgresql_where=_SHOWN,
        ),
        Index(
            "message_unread_in_folder",
            "mailbox_id",
            "folder_id",
            postgresql_where=text("unread AND state <> 'received' AND held_by IS NULL"),
        ),
        Index("message_in_thread", "mailbox_id", "thread_id", "received_at", postgresql_where=_SHOWN),
        Index("message_held", "held_by", "mailbox_id", "message_id", postgresql_where=_HELD),
        Index("message_held_in_mailbox", "mailbox_id", postgresql_where=_HELD),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    folder_id: Mapped[BigId]
    came_from_folder_id: Mapped[BigId | None]
    state: Mapped[str] = mapped_column(Text)
    direction: Mapped[str] = mapped_column(Text)
    received_at: Mapped[StampNow]
    size_bytes: Mapped[BigId]
    thread_id: Mapped[BigId | None]
    unread: Mapped[bool] = mapped_column(server_default=text("true"))
    starred: Mapped[bool] = mapped_column(server_default=text("false"))
    answered: Mapped[bool] = mapped_column(server_default=text("false"))
    forwarded: Mapped[bool] = mapped_column(server_default=text("false"))
    attachments: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    envelope_from: Mapped[str] = mapped_column(Text, server_default="")
    envelope_to: Mapped[str] = mapped_column(Text, server_default="")
    content_key: Mapped[bytes] = mapped_column(LargeBinary)
    summary: Mapped[bytes | None] = mapped_column(LargeBinary)
    moved_at: Mapped[Stamp | None]
    held_by: Mapped[BigId | None]
    """A quarantine of the staff's (`governance.quarantine.models`): until that ends, the row is there for no page and no job."""


def of_message(name: str) -> ForeignKeyConstraint:
    """The constraint `name`: a row belongs to a message, and goes with it."""
    return ForeignKeyConstraint(
        ["mailbox_id", "message_id"],
        ["message.mailbox_id", "message.message_id"],
        name=name,
        ondelete="CASCADE",
    )


class MessageMark(Base):
    """What a message is known again by in every mailbox: its words and its Message-ID, blinded. Read by functions alone."""

    __tablename__ = "message_mark"
    __table_args__ = (
        of_message("message_mark_message_exists"),
        Index(
            "message_mark_content",
            "content",
            "mailbox_id",
            "message_id",
            postgresql_where=text("content IS NOT NULL"),
        ),
        Index(
            "message_mark_reference",
            "reference",
            "mailbox_id",
            "message_id",
            postgresql_where=text("reference IS NOT NULL"),
        ),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    reference: Mapped[bytes | None] = mapped_column(LargeBinary)


class MessageSource(Base):
    """The message as it came over the wire, sealed."""

    __tablename__ = "message_source"
    __table_args__ = (of_message("message_source_message_exists"),)

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class MessageView(Base):
    """What reading it needs (head, cleaned body, attachment list) and its formatted body, sealed apart; `version` says which
    parser and cleaner made them."""

    __tablename__ = "message_view"
    __table_args__ = (of_message("message_view_message_exists"),)

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(Integer)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    layout: Mapped[bytes | None] = mapped_column(LargeBinary)


class MessageIndex(Base):
    """Blind index: tokens of words with positions and weights, and of the beginnings of words in subject and addresses."""

    __tablename__ = "message_index"
    __table_args__ = (
        of_message("message_index_message_exists"),
        Index("message_index_words", "words", postgresql_using="gin"),
        Index("message_index_beginnings", "beginnings", postgresql_using="gin"),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    words: Mapped[str] = mapped_column(TSVECTOR)
    beginnings: Mapped[str] = mapped_column(TSVECTOR)


class ThreadReference(Base):
    """Which conversation a Message-ID (blinded) belongs to."""

    __tablename__ = "thread_reference"
    __table_args__ = (Index("thread_reference_mailbox_id_thread_id", "mailbox_id", "thread_id"),)

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    reference: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    thread_id: Mapped[BigId]


class Correspondent(Base):
    """Who wrote to this mailbox or was written to, by a blind token; the address itself is kept, sealed, only for a rule."""

    __tablename__ = "correspondent"
    __table_args__ = (
        Index(
            "correspondent_with_a_rule",
            "mailbox_id",
            postgresql_where=text("pictures OR blocked_at IS NOT NULL"),
        ),
    )

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    token: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    received: Mapped[BigId] = mapped_column(server_default="0")
    sent: Mapped[BigId] = mapped_column(server_default="0")
    pictures: Mapped[bool] = mapped_column(server_default=text("false"))
    blocked_at: Mapped[Stamp | None]
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    first_at: Mapped[StampNow]
    last_at: Mapped[StampNow]
    failed_at: Mapped[Stamp | None]
    failed_status: Mapped[str] = mapped_column(Text, server_default="")


class MessagePicture(Base):
    """A remote picture that the reader agreed to have fetched: downsized, and sealed under the message's key."""

    __tablename__ = "message_picture"
    __table_args__ = (of_message("message_picture_message_exists"),)

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(Text, server_default="wanted")
    problem: Mapped[str] = mapped_column(Text, server_default="")
    original_bytes: Mapped[BigId] = mapped_column(server_default="0")
    width: Mapped[int] = mapped_column(Integer, server_default="0")
    height: Mapped[int] = mapped_column(Integer, server_default="0")
    content_type: Mapped[str] = mapped_column(Text, server_default="")
    size_bytes: Mapped[BigId] = mapped_column(server_default="0")
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    changed_at: Mapped[StampNow]


class Unsubscription(Base):
    """That the reader asked to be taken off the list a message came by, and what became of it."""

    __tablename__ = "unsubscription"
    __table_args__ = (of_message("unsubscription_message_exists"),)

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    way: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="asked")
    reply_code: Mapped[int | None] = mapped_column(SmallInteger)
    problem: Mapped[str] = mapped_column(Text, server_default="")
    asked_at: Mapped[StampNow]
    changed_at: Mapped[StampNow]


class InvitationAnswer(Base):
    """What the reader answered to the invitation in a message."""

    __tablename__ = "invitation_answer"
    __table_args__ = (of_message("invitation_answer_message_exists"),)

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    answer: Mapped[str] = mapped_column(Text)
    answered_at: Mapped[StampNow]
