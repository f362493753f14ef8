"""A process in wrong hands writes an event that whoever reads or verifies the log chokes on, for good: it is append-only."""

import json

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

STRANGE = (
    "null",
    "[]",
    "7",
    '"x"',
    '{"a": {"b": 1}}',
    '{"a": [1]}',
    json.dumps({"a": "x" * 9000}),
    '{"case": 1.5}',
    "[" * 3000 + "]" * 3000,
)


def test_P16_only_a_few_plain_values_get_in(log, connect, faults):
    call = text("SELECT audit_append(:kind, :actor, CAST(:facts AS jsonb))")
    for role in ("web", "staff", "worker", "owner"):
        connection = connect(role)
        for facts in STRANGE:
            point = connection.begin_nested()
            with pytest.raises(DBAPIError):
                connection.execute(call, {"kind": "a.b", "actor": "account:1", "facts": facts})
            point.rollback()
        with pytest.raises(DBAPIError):
            connection.execute(call, {"kind": "a.b", "actor": "x" * 300, "facts": "{}"})
    assert faults() == []


def test_P16_what_claims_to_be_the_logs_own_is_read_calmly(log, superuser, browser_of, make_person, faults):
    for kind, actor, facts in (
        ("audit.detail_dropped", "system:retention", "{}"),
        ("audit.detail_dropped", "x", '{"from": "a", "to": null}'),
        ("audit.forgotten", "system:erasure", '{"events": "many"}'),
        ("access.opened", "account:²", '{"case": "nothing", "mailbox": -5, "at": "never"}'),
        ("case.closed", "account:99999999999999999999999", '{"account": 99999999999999999999}'),
        ("role.granted", "grant:-7", '{"role": "king", "account": true}'),
    ):
        call = text("SELECT audit_append(:kind, :actor, CAST(:facts AS jsonb))")
        superuser.execute(call, {"kind": kind, "actor": actor, "facts": facts})
    assert faults() == []
    client = browser_of(make_person("otto", "Otto", "auditor"))
    page = client.get("/staff/log")
    assert page.status_code == 200
    for number in range(log + 1, log + 7):
        assert client.get(f"/staff/log/{number}").status_code == 200
