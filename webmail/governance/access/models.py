"""Grants: what may be opened of whose mail, what was, who judged it, and whether its owner may know yet.

Rows are written by the functions of the database alone (`access_request`, `access_open` and their like), which check and audit.
"""

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


def _of_grant(name: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["mailbox_id", "grant_id"], ["access_grant.mailbox_id", "access_grant.grant_id"], name=name
    )


class AccessGrant(Base):
    """The right to open some parts of some messages of one mailbox for some minutes, asked for and approved."""

    __tablename__ = "access_grant"
    __table_args__ = (
        Index("access_grant_requested", "requested_at", postgresql_where=text("state = 'requested'")),
        Index("access_grant_held", "requested_by", "requested_at"),
        Index("access_grant_of_case", "case_id", "requested_at"),
        Index(
            "access_grant_unreviewed",
            "review_due_at",
            postgresql_where=text("review_due_at IS NOT NULL AND reviewed_at IS NULL"),
        ),
        Index(
            "access_grant_untold",
            "expires_at",
            postgresql_where=text("opened_at IS NOT NULL AND told_at IS NULL"),
        ),
        Index(
            "access_grant_opened",
            "mailbox_id",
            "opened_at",
            postgresql_where=text("opened_at IS NOT NULL"),
        ),
        Index("access_grant_by_year", "requested_at"),
    )

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    grant_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False, unique=True)
    case_id: Mapped[BigId] = mapped_column(ForeignKey("case_file.case_id"))
    requested_by: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    requested_at: Mapped[StampNow]
    reason: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, server_default="")
    purpose: Mapped[str] = mapped_column(Text)
    basis: Mapped[str] = mapped_column(Text)
    words: Mapped[bytes] = mapped_column(LargeBinary)
    minutes: Mapped[int] = mapped_column(SmallInteger)
    is_emergency: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    legal: Mapped[bytes | None] = mapped_column(LargeBinary)
    legal_from: Mapped[date | None] = mapped_column(Date)
    legal_until: Mapped[date | None] = mapped_column(Date)
    state: Mapped[str] = mapped_column(Text, server_default="requested")
    decided_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    decided_at: Mapped[Stamp | None]
    decision_words: Mapped[bytes | None] = mapped_column(LargeBinary)
    opened_at: Mapped[Stamp | None]
    expires_at: Mapped[Stamp | None]
    closed_at: Mapped[Stamp | None]
    closed_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    closed_why: Mapped[str | None] = mapped_column(Text)
    review_due_at: Mapped[Stamp | None]
    reviewed_at: Mapped[Stamp | None]
    told_at: Mapped[Stamp | None]


class AccessScope(Base):
    """A message that a grant names, and which of its parts."""

    __tablename__ = "access_scope"
    __table_args__ = (_of_grant("access_scope_grant_exists"),)

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    grant_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    headers: Mapped[bool] = mapped_column(Boolean)
    body: Mapped[bool] = mapped_column(Boolean)
    attachments: Mapped[bool] = mapped_column(Boolean)


class AccessAct(Base):
    """One opening of one part. `event` is its number in the audit log."""

    __tablename__ = "access_act"
    __table_args__ = (
        ForeignKeyConstraint(
            ["mailbox_id", "grant_id", "message_id"],
            ["access_scope.mailbox_id", "access_scope.grant_id", "access_scope.message_id"],
            name="access_act_in_scope",
        ),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    grant_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    message_id: Mapped[BigId]
    part: Mapped[str] = mapped_column(Text)
    file: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    at: Mapped[Stamp]
    event: Mapped[BigId] = mapped_column(unique=True)


class AccessReview(Base):
    """The verdict of somebody who had no part in it. It is never changed."""

    __tablename__ = "access_review"
    __table_args__ = (_of_grant("access_review_grant_exists"),)

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    grant_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    reviewed_by: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    verdict: Mapped[str] = mapped_column(Text)
    words: Mapped[bytes] = mapped_column(LargeBinary)
    due_at: Mapped[Stamp]
    at: Mapped[Stamp]
    event: Mapped[BigId] = mapped_column(unique=True)
    case_id: Mapped[BigId | None] = mapped_column(ForeignKey("case_file.case_id"))


class AccessGag(Base):
    """Why the owner may not know of a legal access yet, who agreed, and when that is looked at again."""

    __tablename__ = "access_gag"
    __table_args__ = (
        _of_grant("access_gag_grant_exists"),
        Index("access_gag_running", "review_at", postgresql_where=text("ended_at IS NULL")),
    )

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    grant_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    asked_by: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    asked_at: Mapped[StampNow]
    words: Mapped[bytes] = mapped_column(LargeBinary)
    review_at: Mapped[Stamp]
    approved_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    approved_at: Mapped[Stamp | None]
    looked_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    looked_at: Mapped[Stamp | None]
    ended_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    ended_at: Mapped[Stamp | None]
