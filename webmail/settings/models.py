"""Configuration kept in the database."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class Domain(Base):
    """A mail domain that we host. `registration`: who may take a name in it; None is what the installation does.

    `token`: what DNS says of it, publicly, to show that it is ours to host; `verified_at`: that it did. `alias_of`: mail for it
    goes to the same name at that domain; `alias_was`: at those it did so before.
    """

    __tablename__ = "domain"
    __table_args__ = (
        CheckConstraint(
            "name = lower(name) AND name ~ '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$'", "name_is_lower_case"
        ),
        CheckConstraint("state IN ('active', 'resting', 'removed')", "state_is_known"),
        CheckConstraint("token ~ '^[a-z0-9]{20,64}$'", "token_cannot_be_guessed"),
        CheckConstraint("alias_of <> domain_id", "alias_is_of_another"),
        CheckConstraint(
            "state <> 'removed' OR (verified_at IS NULL AND alias_of IS NULL)", "removed_is_nothing"
        ),
        CheckConstraint("sts_mode IN ('none', 'testing', 'enforce')", "sts_mode_is_known"),
    )

    domain_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text, unique=True)
    registration: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[StampNow]
    state: Mapped[str] = mapped_column(Text, server_default="active")
    token: Mapped[str] = mapped_column(Text, server_default=text("replace(gen_random_uuid()::text, '-', '')"))
    verified_at: Mapped[Stamp | None]
    alias_of: Mapped[BigId | None] = mapped_column(ForeignKey("domain.domain_id"), index=True)
    alias_was: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")
    sts_mode: Mapped[str] = mapped_column(Text, server_default="none")


class DomainRoute(Base):
    """Where mail goes for a name that nobody has: postmaster, abuse, or `*`, which is any."""

    __tablename__ = "domain_route"
    __table_args__ = (CheckConstraint("name IN ('*', 'postmaster', 'abuse')", "name_is_known"),)

    domain_id: Mapped[BigId] = mapped_column(
        ForeignKey("domain.domain_id"), primary_key=True, autoincrement=False
    )
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    # By name: mailboxes are a layer above.
    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id", ondelete="CASCADE"), index=True
    )
    since: Mapped[StampNow]


class DomainCheck(Base):
    """One look at a domain's records in DNS: asked for, begun, done. `found`: see `domain_health`."""

    __tablename__ = "domain_check"
    __table_args__ = (
        Index("domain_check_of_domain", "domain_id", text("asked_at DESC")),
        Index(
            "domain_check_one_waits", "domain_id", unique=True, postgresql_where=text("finished_at IS NULL")
        ),
    )

    check_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    domain_id: Mapped[BigId] = mapped_column(ForeignKey("domain.domain_id"))
    asked_at: Mapped[StampNow] = mapped_column(index=True)
    started_at: Mapped[Stamp | None]
    finished_at: Mapped[Stamp | None]
    found: Mapped[Any] = mapped_column(JSONB, server_default=text("'[]'"))


class DkimKey(Base):
    """A key pair that a domain's mail is signed with; of a retired one only the public half is left."""

    __tablename__ = "dkim_key"
    __table_args__ = (
        CheckConstraint("selector ~ '^m[0-9]{6}[a-z]{1,2}$'", "selector_is_a_month"),
        CheckConstraint("algorithm IN ('rsa', 'ed25519')", "algorithm_is_known"),
        CheckConstraint("state IN ('next', 'active', 'retired')", "state_is_known"),
        CheckConstraint("octet_length(public_key) BETWEEN 32 AND 1024", "public_key_is_whole"),
        CheckConstraint("(state = 'retired') = (wrapped IS NULL)", "retired_opens_no_more"),
        CheckConstraint(
            "(state = 'next') = (activated_at IS NULL) OR state = 'retired'", "active_since_when"
        ),
        CheckConstraint(
            "(state = 'retired') = (retired_at IS NOT NULL) AND (state = 'retired') = (verifies_until IS NOT NULL)",
            "retired_since_when",
        ),
        Index(
            "dkim_key_one_active",
            "domain_id",
            "algorithm",
            unique=True,
            postgresql_where=text("state = 'active'"),
        ),
        Index(
            "dkim_key_one_next",
            "domain_id",
            "algorithm",
            unique=True,
            postgresql_where=text("state = 'next'"),
        ),
    )

    domain_id: Mapped[BigId] = mapped_column(
        ForeignKey("domain.domain_id"), primary_key=True, autoincrement=False
    )
    selector: Mapped[str] = mapped_column(Text, primary_key=True)
    algorithm: Mapped[str] = mapped_column(Text)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    wrapped: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(Text, server_default="next")
    created_at: Mapped[StampNow]
    activated_at: Mapped[Stamp | None]
    retired_at: Mapped[Stamp | None]
    verifies_until: Mapped[Stamp | None]


class Setting(Base):
    """A setting of the service that somebody set; a value of NULL gave it back to its standard."""

    __tablename__ = "setting"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[Any | None] = mapped_column(JSONB)
    changed_at: Mapped[Stamp] = mapped_column(server_default=func.clock_timestamp())
    changed_by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, server_default="")


class SettingSecret(Base):
    """A setting that is shown to nobody, wrapped by the master key; its row in `setting` says when it was replaced."""

    __tablename__ = "setting_secret"

    name: Mapped[str] = mapped_column(ForeignKey("setting.name"), primary_key=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)


class SettingChange(Base):
    """What a setting was before and after a change: written by the database, and by nobody again."""

    __tablename__ = "setting_change"
    __table_args__ = (Index("setting_change_name_change_id", "name", text("change_id DESC")),)

    change_id: Mapped[BigId] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    before: Mapped[Any | None] = mapped_column(JSONB)
    after: Mapped[Any | None] = mapped_column(JSONB)
    changed_at: Mapped[Stamp]
    changed_by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
