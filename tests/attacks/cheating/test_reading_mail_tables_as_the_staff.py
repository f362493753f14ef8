"""Somebody who can run SQL as the staff's pages reads mail there. That role has no right to any table that holds any."""

import pytest
from sqlalchemy import text


def test_P06_P15_what_belongs_to_a_mailbox_is_not_the_staffs(superuser):
    seen = superuser.execute(
        text("""
        SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'mailbox_id'
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
           AND has_any_column_privilege('mtumail_staff', c.oid, 'SELECT') ORDER BY 1""")
    ).scalars()
    assert [table for table in seen if not table.startswith("access_")] == []


@pytest.mark.parametrize("kind", ["SELECT", "INSERT", "UPDATE"])
def test_P06_P15_nothing_sealed_is_the_staffs(superuser, kind):
    columns = superuser.execute(
        text("""
        SELECT table_name || '.' || column_name FROM information_schema.columns
         WHERE table_schema = 'public' AND (table_name LIKE 'message%' OR table_name LIKE 'draft%' OR table_name LIKE 'contact%'
            OR table_name IN ('mailbox_key', 'report', 'folder', 'submission', 'delivery', 'upload')
            OR (table_name, column_name) IN (('case_item', 'sealed'), ('case_item', 'content_key')))
           AND has_column_privilege('mtumail_staff', quote_ident(table_name)::regclass, column_name, :kind)"""),
        {"kind": kind},
    ).scalars()
    assert columns.all() == []
