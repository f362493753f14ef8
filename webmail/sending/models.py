"""What is being written, and what is leaving."""

from datetime import date

from sqlalchemy import (
    Boolean,
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
from webmail.mail.models import of_message


def of_draft(name: str) -> ForeignKeyConstraint:
    """The constraint `name`: a row belongs to a draft, and goes with it."""
    return ForeignKeyConstraint(
        ["mailbox_id", "message_id"],
        ["draft.mailbox_id", "draft.message_id"],
        name=name,
        ondelete="CASCADE",
    )


class Draft(Base):
    """The fields of a message that is still being written, sealed. `revision` tells two open tabs apart."""

    __tablename__ = "draft"
    __table_args__ = (of_message("draft_message_exists"),)

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(Integer, server_default="1")
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    saved_at: Mapped[StampNow]


class DraftAttachment(Base):
    """A file attached to a draft; its name and type (`description`) and its bytes are sealed apart."""

    __tablename__ = "draft_attachment"
    __table_args__ = (of_draft("draft_attachment_draft_exists"),)

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    size_bytes: Mapped[BigId]
    description: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class Scheduled(Base):
    """A draft that leaves by itself at `send_at`, as it stands in `revision`; `held`: why it does not, as a code."""

    __tablename__ = "scheduled"
    __table_args__ = (of_draft("scheduled_draft_exists"),)

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(Integer)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    way: Mapped[str] = mapped_column(Text)
    send_at: Mapped[Stamp]
    held: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[StampNow]


class LimitTold(Base):
    """When somebody's reaching the limit was last written into the audit log."""

    __tablename__ = "limit_told"

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    told_at: Mapped[StampNow]


class SendingDay(Base):
    """How many recipients a mailbox wrote to on a day (UTC). `is_told`: that this was sudden stands in the audit log."""

    __tablename__ = "sending_day"

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    recipients: Mapped[int] = mapped_column(Integer)
    is_told: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))


class Submission(Base):
    """One message on its way out: the outbox. `counts_from`: since when it could leave, for the five days that it is tried."""

    __tablename__ = "submission"
    __table_args__ = (
        of_message("submission_message_exists"),
        UniqueConstraint("mailbox_id", "message_id"),
        Index("submission_by_time", "mailbox_id", "created_at"),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    submission_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId]
    account_id: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    envelope_from: Mapped[str] = mapped_column(Text)
    created_at: Mapped[StampNow]
    finished_at: Mapped[Stamp | None]
    counts_from: Mapped[StampNow]


class Delivery(Base):
    """One recipient of a submission and how far it got. `repeated`: the relay may have taken it before, and got it again. `told`:
    what the author was told of it by mail, "", delayed or failed."""

    __tablename__ = "delivery"
    __table_args__ = (
        ForeignKeyConstraint(
            ["mailbox_id", "submission_id"],
            ["submission.mailbox_id", "submission.submission_id"],
            name="delivery_submission_exists",
            ondelete="CASCADE",
        ),
        UniqueConstraint("mailbox_id", "submission_id", "recipient"),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    submission_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    recipient: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="queued")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    reply_code: Mapped[int | None] = mapped_column(SmallInteger)
    reply: Mapped[str] = mapped_column(Text, server_default="")
    repeated: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    next_at: Mapped[Stamp | None]
    changed_at: Mapped[StampNow]
    told: Mapped[str] = mapped_column(Text, server_default="")


class DeliveryEvent(Base):
    """Something that happened to one recipient's copy: said by the relay, or by a report that came back (`report_id`).

    `fingerprint` stands for what was said, so that the same is written down once, however often it is told.
    """

    __tablename__ = "delivery_event"
    __table_args__ = (
        ForeignKeyConstraint(
            ["mailbox_id", "submission_id", "number"],
            ["delivery.mailbox_id", "delivery.submission_id", "delivery.number"],
            name="delivery_event_delivery_exists",
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["mailbox_id", "report_id"],
            ["message.mailbox_id", "message.message_id"],
            name="delivery_event_report_exists",
            ondelete="SET NULL (report_id)",
        ),
        UniqueConstraint(
            "mailbox_id", "submission_id", "number", "fingerprint", name="delivery_event_told_once"
        ),
        Index(
            "delivery_event_from_a_report",
            "mailbox_id",
            "report_id",
            postgresql_where=text("report_id IS NOT NULL"),
        ),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    submission_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[Stamp] = mapped_column(server_default=text("clock_timestamp()"))
    kind: Mapped[str] = mapped_column(Text)
    reply_code: Mapped[int | None] = mapped_column(SmallInteger)
    status: Mapped[str] = mapped_column(Text, server_default="")
    reason: Mapped[str] = mapped_column(Text, server_default="")
    reply: Mapped[str] = mapped_column(Text, server_default="")
    until: Mapped[Stamp | None]
    report_id: Mapped[BigId | None]
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
