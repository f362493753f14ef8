"""Whom a mailbox writes to, under which names it sends, and what it answers while its reader is away. Content is sealed."""

from datetime import date

from sqlalchemy import (
    Boolean,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


def _of_contact(column: str, name: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["mailbox_id", column], ["contact.mailbox_id", "contact.contact_id"], name=name, ondelete="CASCADE"
    )


class Contact(Base):
    """A person or a group. `head` is what lists show (name, addresses), `more` the rest; both sealed.

    `learned` ones were written to and never looked at; `deleted_at` is kept for a day, so that it can be taken back.
    """

    __tablename__ = "contact"
    __table_args__ = (
        Index(
            "contact_kept",
            "mailbox_id",
            "kind",
            "contact_id",
            postgresql_where=text("state = 'kept' AND deleted_at IS NULL"),
        ),
        Index(
            "contact_learned",
            "mailbox_id",
            text("changed_at DESC"),
            text("contact_id DESC"),
            postgresql_where=text("state = 'learned' AND deleted_at IS NULL"),
        ),
        Index("contact_deleted", "mailbox_id", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
    )

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    contact_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text, server_default="person")
    state: Mapped[str] = mapped_column(Text, server_default="kept")
    is_suggested: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    head: Mapped[bytes] = mapped_column(LargeBinary)
    more: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[StampNow]
    changed_at: Mapped[StampNow]
    deleted_at: Mapped[Stamp | None]


class ContactHandle(Base):
    """What a contact is found by, blind: each of its addresses, or the name of a group. One contact has each.

    `number` is the place of the address among the contact's; `written` counts messages to it.
    """

    __tablename__ = "contact_handle"
    __table_args__ = (
        _of_contact("contact_id", "contact_handle_contact_exists"),
        Index("contact_handle_of_contact", "mailbox_id", "contact_id"),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    token: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    contact_id: Mapped[BigId]
    number: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    written: Mapped[BigId] = mapped_column(server_default="0")
    written_at: Mapped[Stamp | None]


class ContactBeginning(Base):
    """A token of the beginning of a word in a contact's name or addresses."""

    __tablename__ = "contact_beginning"
    __table_args__ = (
        _of_contact("contact_id", "contact_beginning_contact_exists"),
        Index("contact_beginning_of_contact", "mailbox_id", "contact_id"),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    beginning: Mapped[str] = mapped_column(Text, primary_key=True)
    contact_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)


class ContactMember(Base):
    """Who is in a group."""

    __tablename__ = "contact_member"
    __table_args__ = (
        _of_contact("group_id", "contact_member_group_exists"),
        _of_contact("contact_id", "contact_member_contact_exists"),
        Index("contact_member_of_contact", "mailbox_id", "contact_id"),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    group_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    contact_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)


class SenderIdentity(Base):
    """A name and an address that mail is sent under, with its signature, sealed. The id 0 is the mailbox's own address."""

    __tablename__ = "sender_identity"
    __table_args__ = (
        Index("sender_identity_one_default", "mailbox_id", unique=True, postgresql_where=text("is_default")),
    )

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    identity_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    is_default: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[StampNow]


class Vacation(Base):
    """What is answered while the reader is away (sealed), and on which days of their zone; None is open."""

    __tablename__ = "vacation"

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    is_on: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    first_day: Mapped[date | None] = mapped_column(Date)
    last_day: Mapped[date | None] = mapped_column(Date)
    zone: Mapped[str] = mapped_column(Text, server_default="UTC")
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    changed_at: Mapped[StampNow]


class VacationAnswer(Base):
    """That a sender, by a blind token, was answered, and when."""

    __tablename__ = "vacation_answer"
    __table_args__ = (Index("vacation_answer_by_time", "mailbox_id", "answered_at"),)

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    token: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    answered_at: Mapped[StampNow]
