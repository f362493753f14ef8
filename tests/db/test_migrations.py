"""The schema goes up and down, agrees with the models, and its names are sentences."""

import re
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from webmail import provision
from webmail.db import Base

VERSIONS = Path(provision.__file__).parent / "migrations" / "versions"


def test_up_down_up_leaves_the_same_schema(database):
    passwords = dict.fromkeys(provision.ROLES, "for-tests-only")
    urls = provision.provision(database.server_url, passwords, "mtumail_updown")
    engine = create_engine(urls["owner"], poolclass=NullPool)

    def shape() -> list[tuple[str, ...]]:
        queries = (
            "SELECT table_name, column_name, data_type, is_nullable, coalesce(column_default, '') FROM information_schema.columns WHERE table_schema = 'public'",
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
            "SELECT polname, pg_get_expr(polqual, polrelid) FROM pg_policy",
            "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal",
            "SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants WHERE grantee LIKE 'mtumail%'",
        )
        with engine.connect() as connection:
            return sorted(
                tuple(map(str, row)) for query in queries for row in connection.execute(text(query))
            )

    provision.migrate(urls["owner"])
    first = shape()
    provision.migrate(urls["owner"], "base")
    left = [row for row in shape() if "alembic_version" not in str(row)]
    assert left == []
    provision.migrate(urls["owner"])
    assert shape() == first
    assert provision.pending(urls["owner"]) == []


def test_models_and_migrations_agree(database):
    provision.import_models()
    engine = create_engine(database.urls["owner"], poolclass=NullPool)
    with engine.connect() as connection:
        assert (
            compare_metadata(
                MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata
            )
            == []
        )


def test_every_migration_is_named_and_described_by_a_sentence():
    for path in VERSIONS.glob("*.py"):
        assert re.fullmatch(r"\d{4}_[a-z0-9_]{15,}\.py", path.name), path.name
        first = path.read_text().splitlines()[0]
        assert first.startswith('"""'), path.name
        assert len(first.split()) >= 5, path.name


def test_every_mail_table_begins_its_key_with_the_mailbox(superuser):
    """So that the same schema runs distributed by mailbox, and one mailbox costs the same beside a million others."""
    rows = superuser.execute(
        text("""
            SELECT c.conrelid::regclass::text, a.attname FROM pg_constraint c
              JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
             WHERE c.contype = 'p' AND c.connamespace = 'public'::regnamespace""")
    ).all()
    first = dict(rows)
    with_mailbox = superuser.execute(
        text(
            "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'mailbox_id'"
        )
    ).scalars()
    # Addresses and routes lead to their mailboxes: reference tables.
    for table in set(with_mailbox) - {"address", "domain_route"}:
        assert first[table] == "mailbox_id", table


def test_every_constraint_has_a_name_of_ours(superuser):
    names = (
        superuser.execute(
            text(
                "SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f', 'u')"
            )
        )
        .scalars()
        .all()
    )
    assert names
    for name in names:
        assert not re.search(r"_(check|fkey|key)\d*$", name), f"{name} was named by Postgres"
