"""Whoever holds a database role writes an act that never was, moves one to somebody else, or removes his own."""

import pytest

INSERT = (
    "INSERT INTO access_act (mailbox_id, grant_id, number, message_id, part, account_id, at, event)"
    " SELECT mailbox_id, grant_id, 9, message_id, part, account_id, at, 99 FROM access_act"
)
CHANGE = "UPDATE access_act SET account_id = account_id + 1"
DELETE = "DELETE FROM access_act"


@pytest.fixture
def act(desk, sam, grant, message):
    desk.read(sam, grant, message)


def test_P11_no_role_of_a_process_touches_what_was_opened(refused, desk, act, grant):
    for role in ("web", "staff", "worker", "inbound"):
        for statement in (INSERT, CHANGE, DELETE):
            assert "permission denied" in refused(role, statement)
    assert len(desk.acts(grant)) == 1


def test_P11_nor_does_their_owner_or_a_superuser(refused, desk, act, grant):
    for role in ("owner", "superuser"):
        for statement in (CHANGE, DELETE):
            assert refused(role, statement) == "access_act is append-only"
    assert len(desk.acts(grant)) == 1
