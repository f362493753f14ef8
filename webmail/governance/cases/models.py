"""A case: something that was brought to the staff, whose it is now, and until when it wants an answer."""

from sqlalchemy import (
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow
from webmail.identity.models import Account

_NOT_CLOSED, _CLOSED = text("state <> 'closed'"), text("state = 'closed'")


class CaseFile(Base):
    """One matter. `account_id` is whom it is about, where that is somebody of ours; `label` is sealed for `label_item`."""

    __tablename__ = "case_file"
    __table_args__ = (
        Index("case_file_due", "due_at", "case_id", postgresql_where=_NOT_CLOSED),
        Index("case_file_due_of_state", "state", "due_at", "case_id", postgresql_where=_NOT_CLOSED),
        Index("case_file_due_of_kind", "kind", "due_at", "case_id", postgresql_where=_NOT_CLOSED),
        Index("case_file_due_of_somebody", "assigned_to", "due_at", "case_id", postgresql_where=_NOT_CLOSED),
        Index("case_file_closed", text("closed_at DESC"), "case_id", postgresql_where=_CLOSED),
        Index(
            "case_file_closed_of_kind", "kind", text("closed_at DESC"), "case_id", postgresql_where=_CLOSED
        ),
        Index(
            "case_file_closed_of_somebody",
            "assigned_to",
            text("closed_at DESC"),
            "case_id",
            postgresql_where=_CLOSED,
        ),
        Index("case_file_merged_into", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
        Index(
            "case_file_about_an_account",
            "account_id",
            text("opened_at DESC"),
            postgresql_where=text("account_id IS NOT NULL"),
        ),
    )

    case_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text, server_default="staff")
    state: Mapped[str] = mapped_column(Text, server_default="open")
    assigned_to: Mapped[BigId | None] = mapped_column(ForeignKey(Account.account_id))
    opened_by: Mapped[BigId | None] = mapped_column(ForeignKey(Account.account_id))
    account_id: Mapped[BigId | None] = mapped_column(ForeignKey(Account.account_id))
    opened_at: Mapped[StampNow]
    due_at: Mapped[Stamp]
    closed_at: Mapped[Stamp | None]
    outcome: Mapped[str] = mapped_column(Text, server_default="")
    outcome_words: Mapped[bytes | None] = mapped_column(LargeBinary)
    merged_into: Mapped[BigId | None] = mapped_column(ForeignKey("case_file.case_id"))
    items: Mapped[int] = mapped_column(server_default="0")
    revision: Mapped[int] = mapped_column(server_default="1")
    label: Mapped[bytes | None] = mapped_column(LargeBinary)
    label_item: Mapped[BigId | None]


class CaseItem(Base):
    """One thing that was brought: a report, a mail, a complaint of a server, a form, an event, or what staff saw."""

    __tablename__ = "case_item"
    __table_args__ = (
        ForeignKeyConstraint(
            ["report_mailbox_id", "report_id"],
            ["report.mailbox_id", "report.report_id"],
            name="case_item_report_exists",
        ),
        UniqueConstraint("report_mailbox_id", "report_id", name="case_item_report_taken_once"),
        Index("case_item_in_case", "case_id", "arrived_at", "item_id"),
        Index(
            "case_item_by_reporter",
            "reporter",
            text("arrived_at DESC"),
            postgresql_where=text("reporter IS NOT NULL"),
        ),
    )

    item_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    case_id: Mapped[BigId] = mapped_column(ForeignKey("case_file.case_id"))
    kind: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    arrived_at: Mapped[StampNow]
    account_id: Mapped[BigId | None] = mapped_column(ForeignKey(Account.account_id))
    report_mailbox_id: Mapped[BigId | None]
    report_id: Mapped[BigId | None]
    event_number: Mapped[BigId | None] = mapped_column(unique=True)
    subjects: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary), server_default="{}")
    reporter: Mapped[bytes | None] = mapped_column(LargeBinary)
    answerable: Mapped[bool] = mapped_column(server_default="false")
    size_bytes: Mapped[BigId] = mapped_column(server_default="0")
    secret: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    label: Mapped[bytes | None] = mapped_column(LargeBinary)
    words: Mapped[bytes | None] = mapped_column(LargeBinary)
    contact: Mapped[bytes | None] = mapped_column(LargeBinary)
    content_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    mark: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What the reported message is known again by in other mailboxes; for the database's functions alone."""
    sent_mailbox_id: Mapped[BigId | None]
    sent_message_id: Mapped[BigId | None]
    """The message of ours that a complaint is about, as it lies in its author's mailbox."""


class CaseSubject(Base):
    """What a case is about, as values that only somebody who knows it already can look for."""

    __tablename__ = "case_subject"
    __table_args__ = (Index("case_subject_case_id", "case_id"),)

    subject: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    case_id: Mapped[BigId] = mapped_column(
        ForeignKey("case_file.case_id"), primary_key=True, autoincrement=False
    )


class CaseNote(Base):
    """What somebody of the staff wrote about a case. Never changed."""

    __tablename__ = "case_note"
    __table_args__ = (Index("case_note_in_case", "case_id", "at", "note_id"),)

    note_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    case_id: Mapped[BigId] = mapped_column(ForeignKey("case_file.case_id"))
    account_id: Mapped[BigId] = mapped_column(ForeignKey(Account.account_id))
    at: Mapped[StampNow]
    words: Mapped[bytes] = mapped_column(LargeBinary)


class CaseAnswer(Base):
    """What was written to those who brought a case. Never changed."""

    __tablename__ = "case_answer"
    __table_args__ = (Index("case_answer_in_case", "case_id", "at", "answer_id"),)

    answer_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    case_id: Mapped[BigId] = mapped_column(ForeignKey("case_file.case_id"))
    account_id: Mapped[BigId] = mapped_column(ForeignKey(Account.account_id))
    at: Mapped[StampNow]
    words: Mapped[bytes] = mapped_column(LargeBinary)


class CaseLetter(Base):
    """An answer on its way to one of them. "shown": there is no address, it stands on the page behind their link."""

    __tablename__ = "case_letter"
    __table_args__ = (
        Index("case_letter_due", "due_at", postgresql_where=text("state = 'waiting'")),
        Index("case_letter_item_id", "item_id"),
    )

    answer_id: Mapped[BigId] = mapped_column(
        ForeignKey("case_answer.answer_id"), primary_key=True, autoincrement=False
    )
    item_id: Mapped[BigId] = mapped_column(
        ForeignKey("case_item.item_id"), primary_key=True, autoincrement=False
    )
    state: Mapped[str] = mapped_column(Text, server_default="waiting")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    due_at: Mapped[StampNow]


class CannedAnswer(Base):
    """Words that the staff keep for next time. Nothing of anybody is in them."""

    __tablename__ = "canned_answer"

    canned_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    title: Mapped[str] = mapped_column(Text, unique=True)
    words: Mapped[str] = mapped_column(Text)
    changed_by: Mapped[BigId] = mapped_column(ForeignKey(Account.account_id))
    changed_at: Mapped[StampNow]


class CaseOpening(Base):
    """Somebody of the staff looked at a part of what was brought. Written first, never changed."""

    __tablename__ = "case_opening"
    __table_args__ = (
        Index("case_opening_in_case", "case_id", "at"),
        Index("case_opening_of_item", "item_id", "at"),
    )

    opening_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    case_id: Mapped[BigId] = mapped_column(ForeignKey("case_file.case_id"))
    item_id: Mapped[BigId] = mapped_column(ForeignKey("case_item.item_id"))
    account_id: Mapped[BigId] = mapped_column(ForeignKey(Account.account_id))
    part: Mapped[str] = mapped_column(Text)
    at: Mapped[StampNow]
    event_number: Mapped[BigId] = mapped_column(unique=True)


class ServiceSecret(Base):
    """A key of the service's own, wrapped: what the staff write about cases is sealed with it."""

    __tablename__ = "service_secret"

    purpose: Mapped[str] = mapped_column(Text, primary_key=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[StampNow]


class ServiceMailbox(Base):
    """The mailbox that takes mail to abuse@ and its like where nobody has that name. It is nobody's, and nobody reads it."""

    __tablename__ = "service_mailbox"

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    purpose: Mapped[str] = mapped_column(Text, unique=True)


class FormVisit(Base):
    """That somebody without an account wrote to us, as a value that says nothing of who: so that nobody floods the form."""

    __tablename__ = "form_visit"
    __table_args__ = (Index("form_visit_by_visitor", "visitor", "at"), Index("form_visit_at", "at"))

    visit_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    visitor: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[StampNow]


class CaseWatch(Base):
    """How far the audit log was looked through for what wants a case."""

    __tablename__ = "case_watch"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[BigId] = mapped_column(server_default="0")
