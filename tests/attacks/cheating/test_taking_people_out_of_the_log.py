"""Whoever holds the tables has an entry be about nobody, so that its person never finds it; or takes away what a gag sealed."""

from sqlalchemy import text

from webmail import audit
from webmail.db import transaction


def test_P16_whom_an_entry_is_about_is_missed(desk, ann, sam, grant, message, connect, faults, worker):
    desk.read(sam, grant, message)
    assert faults() == []
    owner = connect("owner")
    owner.execute(text("DELETE FROM audit_subject WHERE account_id = :ann"), {"ann": ann.account_id})
    owner.commit()
    assert faults() == [
        "in all, 1 entries do not say any more whom they are about, and no event says that somebody was forgotten"
    ]


def test_P16_who_was_forgotten_by_the_verb_is_not(desk, ann, sam, grant, message, faults, worker):
    desk.read(sam, grant, message)
    with worker.app_context(), transaction():
        assert audit.forget(ann.account_id) == 1
    assert faults() == []


def test_P16_another_person_in_its_place_is_missed_too(desk, ann, ben, sam, grant, message, behind, faults):
    desk.read(sam, grant, message)
    behind(
        f"UPDATE audit_subject SET account_id = {ben.account_id}, commitment ="
        f" sha256(salt || convert_to('account:{ben.account_id}', 'UTF8')) WHERE account_id = {ann.account_id}"
    )
    assert len(faults()) == 1


def test_P09_P16_what_was_sealed_is_missed(log, owner_app, master, behind, faults):
    with owner_app.app_context(), transaction():
        audit.seal(master, "access.opened", "grant:1", b"what a gag keeps")
    assert faults() == []
    behind("DELETE FROM audit_sealed")
    assert faults() == ["in all, 1 sealed entries can never be opened"]


def test_P16_no_process_does_either(refused, log):
    for role in ("web", "staff", "worker", "inbound"):
        for table in ("audit_subject", "audit_sealed", "audit_opened"):
            for verb in (f"DELETE FROM {table}", f"UPDATE {table} SET number = 1"):
                assert "permission denied" in refused(role, verb)
