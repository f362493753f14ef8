"""The queue costs the same beside a hundred thousand cases: every filter and every page follows an index."""

import json

import pytest
from sqlalchemy import text

from webmail.db import transaction
from webmail.governance.cases import queue, reading
from webmail.governance.cases.queue import Filters
from webmail.governance.cases.sealing import open_secret

CASES = 100_000


@pytest.fixture
def many(make_person, superuser):
    sam = make_person("sam", "Sam Lindgren", "support")
    superuser.exec_driver_sql(f"""
        SET session_replication_role = replica;
        INSERT INTO case_file (case_id, kind, source, state, assigned_to, opened_at, due_at, closed_at, outcome, items)
        SELECT n, (ARRAY['spam','phishing','malware','fraud','harassment','other'])[1 + mod(n, 6)], 'report',
               CASE WHEN mod(n, 10) < 8 THEN 'closed' WHEN mod(n, 10) = 8 THEN 'waiting' ELSE 'open' END,
               CASE WHEN mod(n, 3) = 0 THEN {sam.account_id} END, now() - n * interval '1 minute', now() + (n - 2000) * interval '1 minute',
               CASE WHEN mod(n, 10) < 8 THEN now() - n * interval '30 seconds' END, CASE WHEN mod(n, 10) < 8 THEN 'acted' ELSE '' END, 1
          FROM generate_series(1, {CASES}) n;
        INSERT INTO case_subject SELECT '\\x02'::bytea || sha256(int8send(mod(n, 50000))), n FROM generate_series(1, {CASES}) n;
        INSERT INTO case_item (item_id, case_id, kind, source, reporter, subjects)
        SELECT n, n, 'spam', 'mail', sha256(int8send(mod(n, 20000))), '{{}}' FROM generate_series(1, {CASES}) n;
        SET session_replication_role = origin;
        ANALYZE case_file; ANALYZE case_subject; ANALYZE case_item;""")
    return sam


def read(plan):
    """Rows that were looked at, with those that a filter threw away, in all of a plan."""
    own = plan.get("Actual Rows", 0) + plan.get("Rows Removed by Filter", 0)
    return own * plan.get("Actual Loops", 1) + sum(read(one) for one in plan.get("Plans", ()))


def kinds(plan):
    return {(plan["Node Type"], plan.get("Relation Name", ""))} | {
        one for inner in plan.get("Plans", ()) for one in kinds(inner)
    }


def test_no_page_of_the_queue_grows_with_the_number_of_cases(many, web_app, master, superuser, monkeypatch):
    asked = []
    ask = queue.rows

    def note(sql, values):
        asked.append((sql, dict(values)))
        return ask(sql, values)

    monkeypatch.setattr(queue, "rows", note)
    monkeypatch.setattr(reading, "rows", note)
    filters = [
        {}, {"state": "open"}, {"state": "waiting"}, {"kind": "malware"}, {"who": "me"}, {"who": "nobody"}, {"overdue": True},
        {"state": "closed"}, {"state": "closed", "kind": "spam"}, {"state": "closed", "who": "me"}, {"subject": "a@b.example"},
        {"overdue": True, "who": "me", "kind": "spam"},
    ]  # fmt: skip
    with web_app.app_context(), transaction(staff=True):
        secret = open_secret(master)
        for one in filters:
            page = queue.page(secret, many.account_id, Filters(**one))
            assert len(page.lines) == (0 if "subject" in one else 50), one
            if page.older:
                queue.page(secret, many.account_id, Filters(**one), page.older)
        told = queue.counts(many.account_id)
        assert (told.late, told.mine, told.nobodys) == (queue.MOST_COUNTED,) * 3
        queue.first_late(secret)
        case = reading.load(secret, 500)
        reading.related(secret, case)
    raw = superuser.connection.driver_connection
    for sql, values in asked:
        [[plan]] = raw.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", values).fetchall()
        plan = (plan if isinstance(plan, list) else json.loads(plan))[0]
        assert not {
            one for one in kinds(plan["Plan"]) if one[0] == "Seq Scan" and one[1].startswith("case_")
        }, (sql, values)
        assert read(plan["Plan"]) < 5_000, (sql, values, read(plan["Plan"]))
        assert plan["Execution Time"] < 50, (sql, values)
    assert len(asked) > 25


def test_each_index_of_cases_is_there(superuser):
    names = (
        superuser.execute(text("SELECT indexname FROM pg_indexes WHERE tablename = 'case_file'"))
        .scalars()
        .all()
    )
    assert {"case_file_due", "case_file_due_of_state", "case_file_closed"} <= set(names)
