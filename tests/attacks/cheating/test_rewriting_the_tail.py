"""Whoever runs the database cuts the newest entries off and lets others grow in their place, as many as there were."""

from webmail import audit
from webmail.db import transaction


def test_P16_another_tail_has_another_root(log, behind, faults, signed, owner_app):
    note = signed()
    behind("DELETE FROM audit_event WHERE number > 4", "DELETE FROM audit_checkpoint")
    with owner_app.app_context(), transaction():
        for _ in range(2):
            audit.record("mailbox.created", "system:tests", mailbox=9)
    assert faults() == [], "by itself it is a good log"
    signed()
    found = faults(note)
    assert len(found) == 1
    assert found[0].startswith("checkpoint 6 tells another history")
