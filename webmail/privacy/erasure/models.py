"""Tables of deletion: what is to be erased, what law keeps from it, and stones of what is gone."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class Tombstone(Base):
    """That a message is gone for ever, or, where `message_id` is None, its whole mailbox: so that a restore deletes it again.

    Written by triggers alone, when a message's row or a mailbox's key is deleted. To replay: for a whole mailbox remove its key
    (its trigger writes the stone again) and all rows of its tables; for a message its row, which takes the rest with it.
    """

    __tablename__ = "tombstone"
    __table_args__ = (
        Index("tombstone_of_a_message", "mailbox_id", "message_id", unique=True, postgresql_where=text("message_id IS NOT NULL")),
        Index("tombstone_of_a_mailbox", "mailbox_id", unique=True, postgresql_where=text("message_id IS NULL")),
        Index("tombstone_deleted_at", "deleted_at"),
    )  # fmt: skip

    mailbox_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    tombstone_id: Mapped[BigId] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    message_id: Mapped[BigId | None]
    deleted_at: Mapped[StampNow]


class LegalHold(Base):
    """That law forbids to erase an account and its mailboxes, by which case."""

    __tablename__ = "legal_hold"
    __table_args__ = (
        Index("legal_hold_once_a_case", "account_id", "case_id", unique=True, postgresql_where=text("ended_at IS NULL")),
    )  # fmt: skip

    hold_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    case_id: Mapped[BigId] = mapped_column(ForeignKey("case_file.case_id"))
    set_by: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    set_at: Mapped[StampNow]
    ended_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    ended_at: Mapped[Stamp | None]


_OPEN = "state NOT IN ('undone', 'done')"


class Erasure(Base):
    """One deletion: waiting, then rows, person (of an account), telling, done; or undone while it waited.

    `destroyed` counts by table; `event` is the entry of the audit log that says it is finished; `contact` is kept while it runs.
    """

    __tablename__ = "erasure"
    __table_args__ = (
        Index("erasure_one_an_account", "account_id", unique=True, postgresql_where=text(f"kind = 'account' AND {_OPEN}")),
        Index("erasure_one_a_mailbox", "mailboxes", unique=True, postgresql_where=text(f"kind = 'mailbox' AND {_OPEN}")),
        Index("erasure_account_id", "account_id", text("asked_at DESC")),
        Index("erasure_due", "due_at", postgresql_where=text(_OPEN)),
    )  # fmt: skip

    erasure_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    mailboxes: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"))
    state: Mapped[str] = mapped_column(Text, server_default="waiting")
    asked_at: Mapped[StampNow]
    due_at: Mapped[Stamp]
    undone_at: Mapped[Stamp | None]
    started_at: Mapped[Stamp | None]
    finished_at: Mapped[Stamp | None]
    destroyed: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    event: Mapped[BigId | None]
    contact: Mapped[str] = mapped_column(Text, server_default="")
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
