"""Configuration kept in the database."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class Domain(Base):
    """A mail domain that we host."""

    __tablename__ = "domain"
    __table_args__ = (
        CheckConstraint(
            "name = lower(name) AND name ~ '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$'", "name_is_lower_case"
        ),
    )

    domain_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[StampNow]


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
