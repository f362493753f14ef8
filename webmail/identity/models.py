"""People: who Clerk says they are, what they may do here, and which sessions are over."""

from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, SmallInteger, Text, literal_column, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class Account(Base):
    """A person (P01): name, contact address and identifier from Clerk, and no more of Clerk's profile."""

    __tablename__ = "account"
    __table_args__ = (
        Index(
            "account_name_begins",
            literal_column("lower(name)").label("lower_name"),
            "account_id",
            postgresql_ops={"lower_name": "text_pattern_ops"},
            postgresql_where=text("name <> ''"),
        ),
        Index(
            "account_contact_is",
            text("lower(contact_email)"),
            postgresql_where=text("contact_email <> ''"),
        ),
    )

    account_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    clerk_user_id: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text, server_default="")
    contact_email: Mapped[str] = mapped_column(Text, server_default="")
    status: Mapped[str] = mapped_column(Text, server_default="active")
    reading_preference: Mapped[str] = mapped_column(Text, server_default="reading")
    rows_preference: Mapped[int] = mapped_column(SmallInteger, server_default="50")
    density_preference: Mapped[str] = mapped_column(Text, server_default="comfortable")
    preferences: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    may_sign_in: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    may_send: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    send_day: Mapped[int | None]
    """What the staff took from a person for a while (P19): see `governance.actions`. `send_day`: so many recipients a day."""
    clerk_updated_at: Mapped[BigId] = mapped_column(server_default="0")
    clerk_state: Mapped[str] = mapped_column(Text, server_default="present")
    """present, banned or deleted there: who is not present is let in no more, and the mail is untouched."""
    home_mailbox_id: Mapped[BigId | None]
    """What an address without a mailbox in it is about: chosen once, with the first mailbox."""
    created_at: Mapped[StampNow]


class AccountRole(Base):
    """A staff role of a person, who granted it and when. Being a user needs none."""

    __tablename__ = "account_role"

    account_id: Mapped[BigId] = mapped_column(
        ForeignKey("account.account_id"), primary_key=True, autoincrement=False
    )
    role: Mapped[str] = mapped_column(Text, primary_key=True)
    granted_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    granted_at: Mapped[StampNow]


class SessionDenial(Base):
    """A Clerk session or user that gets in no more, although its token may still be valid for a minute."""

    __tablename__ = "session_denial"

    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    until: Mapped[Stamp]
