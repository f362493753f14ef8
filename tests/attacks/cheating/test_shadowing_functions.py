"""A process makes a function or a table of the same name that is found first, so that a verb with more rights calls it."""

import pytest
from sqlalchemy import text


@pytest.mark.parametrize("role", ["web", "staff", "worker", "inbound"])
def test_P15_no_process_makes_anything_to_be_found_first(refused, role):
    for statement in (
        "CREATE TEMP TABLE access_grant (grant_id bigint)",
        "CREATE FUNCTION pg_temp.access_may(bigint, text[]) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE FUNCTION public.access_may(bigint, bigint[]) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE SCHEMA mine",
    ):
        assert "permission denied" in refused(role, statement)


def test_P15_every_verb_with_more_rights_says_where_it_looks(superuser):
    loose = superuser.execute(
        text("""
        SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
           AND NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=public, pg_temp']""")
    ).scalars()
    assert loose.all() == []


def test_P15_everybody_may_call_none_of_them(superuser):
    called = superuser.execute(
        text("""
        SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE p.prosecdef AND n.nspname = 'public' AND has_function_privilege('mtumail_inbound', p.oid, 'EXECUTE')
           AND p.proname ~ '^(access|audit|case|trace|role|report)_'""")
    ).scalars()
    assert called.all() == []


def test_P12_with_another_path_the_same_verb_answers(connect, desk, sam, ann, message):
    grant, _none = desk.ask(sam, ann, [message])
    staff = connect("staff")
    staff.execute(text("SET LOCAL search_path = pg_temp, pg_catalog, public"))
    call = text("SELECT public.access_decide(:grant, :account, true, NULL)")
    assert staff.execute(call, {"grant": grant, "account": sam.account_id}).scalar() == "role"
