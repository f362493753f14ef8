"""Actions, their notices, and appeals. Rows are written by the functions of the database alone (`action_take` and their like)."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class StaffAction(Base):
    """Something done to a person or a mailbox, from a case: in force until it is lifted. The row is the strike as well."""

    __tablename__ = "staff_action"
    __table_args__ = (
        Index("staff_action_of_case", "case_id", "acted_at", postgresql_where=text("kind <> 'hold'")),
        Index("staff_action_of_account", "account_id", "acted_at"),
        UniqueConstraint("quarantine_id", "account_id", "target_mailbox_id", name="staff_action_held_once"),
        Index(
            "staff_action_of_mailbox",
            "target_mailbox_id",
            postgresql_where=text("target_mailbox_id IS NOT NULL"),
        ),
        Index("staff_action_proposed", "acted_at", postgresql_where=text("state = 'proposed'")),
        Index(
            "staff_action_ending", "until", postgresql_where=text("state = 'in_force' AND until IS NOT NULL")
        ),
        Index(
            "staff_action_resting",
            "in_force_at",
            postgresql_where=text("state = 'in_force' AND kind = 'reclaim' AND name_freed_at IS NULL"),
        ),
    )

    action_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    case_id: Mapped[BigId] = mapped_column(ForeignKey("case_file.case_id"))
    kind: Mapped[str] = mapped_column(Text)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    target_mailbox_id: Mapped[BigId | None] = mapped_column(ForeignKey("mailbox.mailbox_id"))
    amount: Mapped[int | None]
    rule: Mapped[str] = mapped_column(Text)
    words: Mapped[bytes | None] = mapped_column(LargeBinary)
    """None of a hold: there they are its quarantine's."""
    acted_by: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    acted_at: Mapped[StampNow]
    until: Mapped[Stamp | None]
    state: Mapped[str] = mapped_column(Text, server_default="proposed")
    decided_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    decided_at: Mapped[Stamp | None]
    in_force_at: Mapped[Stamp | None]
    withheld: Mapped[bytes | None] = mapped_column(LargeBinary)
    withheld_until: Mapped[Stamp | None]
    lifted_at: Mapped[Stamp | None]
    lifted_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    lifted_why: Mapped[str | None] = mapped_column(Text)
    domain_id: Mapped[BigId | None] = mapped_column(ForeignKey("domain.domain_id"))
    name_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    then_reserved: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    name_freed_at: Mapped[Stamp | None]
    quarantine_id: Mapped[BigId | None]
    """Of a hold, which tells one owner of a quarantine: it is that one's, with its words."""


class StaffNotice(Base):
    """What somebody is told about an action: that it is, that it has ended, or what became of the appeal. Not before `due_at`."""

    __tablename__ = "staff_notice"
    __table_args__ = (
        UniqueConstraint("action_id", "kind"),
        Index("staff_notice_unseen", "account_id", "due_at", postgresql_where=text("seen_at IS NULL")),
        Index("staff_notice_unmailed", "mail_at", postgresql_where=text("mail = 'waiting'")),
    )

    notice_id: Mapped[BigId] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    action_id: Mapped[BigId] = mapped_column(ForeignKey("staff_action.action_id"))
    kind: Mapped[str] = mapped_column(Text)
    made_at: Mapped[StampNow]
    due_at: Mapped[Stamp]
    seen_at: Mapped[Stamp | None]
    mail: Mapped[str] = mapped_column(Text, server_default="waiting")
    """waiting, sent, shown (there is no address elsewhere) or failed."""
    mail_at: Mapped[Stamp]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")


class Appeal(Base):
    """An objection to one action, and its answer."""

    __tablename__ = "appeal"
    __table_args__ = (
        Index("appeal_open", "due_at", postgresql_where=text("verdict IS NULL")),
        Index("appeal_of_account", "account_id", "made_at"),
    )

    appeal_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    action_id: Mapped[BigId] = mapped_column(ForeignKey("staff_action.action_id"), unique=True)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    words: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[StampNow]
    due_at: Mapped[StampNow]
    verdict: Mapped[str | None] = mapped_column(Text)
    judged_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    judged_at: Mapped[Stamp | None]
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
